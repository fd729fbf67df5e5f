"""Two processes train as one does, and a rollout without a choice stops neither."""

from pathlib import Path

import pytest
import torch
from made_traces import STAGES, assert_same, gradient_of_step, policy
from places import SUPPORT
from processes import in_two_processes

from tesuji.core.metric_log import MetricLog
from tesuji.core.tensors import save_tensors
from tesuji.learners.rl.train import train_rl
from tesuji.recipe.schema.recipe import Recipe

TWO = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
sys.path[:0] = {tests!r}
from accelerate import PartialState
PartialState(cpu=True)
from safetensors.torch import save_file
from made_traces import STAGES, gradients, learner_of, made_traces, tokens_of
from test_processes import train
from tesuji.learners.distributed import gathered, process
from tesuji.learners.rl.update.optimizer_step import share_of
from tesuji.learners.rl.token_layout import flatten
from tesuji.learners.rl.update.build import loss_options
from tesuji.learners.rl.update.optimizer_step import rows_of, step

mine, count = process()
assert count == 2
flat = flatten(made_traces())
for name, stage in STAGES.items():
    learner = learner_of(stage)
    learner.micro_batch_tokens = 64
    rows = rows_of(learner, flat)
    parts = gathered([len(learner.parts(share_of(rows)))])
    assert parts[0] != parts[1], "one process has to keep the other company"
    step(learner, rows, tokens_of(flat), flat.tokens, loss_options(stage, 9, 0.0))
    if mine == 0:
        save_file(gradients(learner.module), f"{{sys.argv[1]}}/{{name}}.safetensors")
train(Path(sys.argv[1]) / f"run-{{mine}}", batch_size=3, num_mini_batches=2, save_steps=3)
"""


def train(out: Path, *, opening: int = 0, **changes) -> list[dict]:
    """A few steps of GRPO or of what `changes` say; the lines of the metric log."""
    stage = {"kind": "grpo", "num_generations": 1, "max_steps": 3, **changes}
    recipe = Recipe.model_validate(
        {
            "name": "small",
            "game": "tic_tac_toe",
            "prompt": {"style": "compact", "answer": "id"},
            "sampling": {"max_new_tokens": 3, "legal_only": True},
            "stages": {"rl": {**stage, "play": {"opening_moves": opening}}},
        }
    )
    out.mkdir()
    log = MetricLog(out)
    learner = policy()
    train_rl(recipe.stages["rl"], learner, recipe=recipe, name="rl", out=out, metrics=log)
    save_tensors(out / "trained.safetensors", dict(learner.model.named_parameters()))
    return log.rows()


@pytest.mark.parametrize("kind", ["grpo", "ppo", "reinforce++"])
def test_a_rollout_without_any_choice_is_nothing_to_learn_from(kind: str, tmp_path: Path) -> None:
    """After eight random moves one move is left: every token of it is certain."""
    rows = train(
        tmp_path / "run", kind=kind, batch_size=1, max_steps=25, opening=8, learning_rate=1e-5
    )
    learned = ["grad_norm" in row for row in rows]
    assert len(learned) == 25
    assert True in learned
    assert False in learned


def test_two_processes_have_the_gradient_of_one(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    in_two_processes(
        tmp_path, TWO.format(tests=[str(SUPPORT), str(Path(__file__).parent)]), str(tmp_path)
    )
    left, right = (load_file(tmp_path / f"run-{n}" / "trained.safetensors") for n in (0, 1))
    assert all(torch.equal(left[name], right[name]) for name in left)
    for name, stage in STAGES.items():
        alone, _ = gradient_of_step(stage)
        assert_same(alone, load_file(tmp_path / f"{name}.safetensors"))
