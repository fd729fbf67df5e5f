"""Rollouts that are played while updates run: which policy plays which follows from the recipe
alone; what is too old is dropped, what goes wrong is told at its step, nothing hangs at the end.
"""

import math
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Forked
from made_traces import policy
from places import SUPPORT
from processes import in_two_processes

from tesuji.core.errors import EngineError
from tesuji.core.metric_log import MetricLog
from tesuji.learners.hooks import Hooks
from tesuji.learners.rl.checkpoint import load_rollouts
from tesuji.learners.rl.rollout.ahead import PATIENCE_S, Rollouts
from tesuji.learners.rl.rollout.engine import Here
from tesuji.learners.rl.rollout.play import Rollout, play
from tesuji.learners.rl.rollout.setup import RolloutSetup
from tesuji.learners.rl.token_layout import flatten
from tesuji.learners.rl.train import train_rl
from tesuji.learners.rl.training_state import TrainingState
from tesuji.learners.rl.update.build import build_learner
from tesuji.learners.rl.update.learn import (
    estimate_advantages,
    loss_inputs,
    new_unit,
    score_rollout,
    update,
)
from tesuji.learners.rl.update.loss import LossOptions, TokenData, token_loss
from tesuji.learners.rl.weights import frozen_copy, put_into
from tesuji.recipe.reading.load import dump_recipe
from tesuji.recipe.schema.recipe import Recipe

STEPS = 5


def recipe_of(kind: str = "grpo", staleness: int = 0, **changes: Any) -> Recipe:
    stage = {
        "kind": kind,
        "num_generations": 2,
        "max_steps": STEPS,
        "batch_size": 8,
        "learning_rate": 3e-3,
        "num_mini_batches": 2,
        "save_steps": 2,
        "save_total_limit": 9,
        "max_staleness": staleness,
        "play": {
            "opponents": ["random", "snapshot"],
            "snapshot_steps": 1,
            "snapshots": 2,
            "failure_replay": {"share": 0.5},
        },
        **changes,
    }
    return Recipe.model_validate(
        {
            "name": "ahead",
            "seed": 3,
            "game": "tic_tac_toe",
            "prompt": {"style": "compact", "answer": "id"},
            "sampling": {"max_new_tokens": 3, "legal_only": True},
            "stages": {"rl": stage},
        }
    )


def trained(out: Path, recipe: Recipe, lora: bool = False, **hooks: Any) -> tuple[Any, list[dict]]:
    """The model after the stage, and the lines of the metric log."""
    learner = policy(lora)
    if saved := sorted(out.glob("checkpoints/step-*/model.safetensors")):
        from safetensors.torch import load_file

        put_into(learner.model, load_file(saved[-1]))
    out.mkdir(exist_ok=True)
    log = MetricLog(out)
    stage = recipe.stages["rl"]
    train_rl(stage, learner, recipe=recipe, name="rl", out=out, metrics=log, hooks=Hooks(**hooks))
    return learner.model, log.rows()


def in_turns(out: Path, recipe: Recipe, lora: bool = False) -> Any:
    """The model after the same steps, taken one after the other in one thread: each rollout is
    played when its step has come, by its version."""
    torch.manual_seed(recipe.seed)
    stage = recipe.stages["rl"]
    made = policy(lora)
    learner = build_learner(stage, made, temperature=1.0)
    setup = RolloutSetup(stage, made, recipe, out, learner.autocast)
    state = TrainingState(stage, made, learner, setup, out / "checkpoints")
    versions, ordered = [setup.version(0)], []
    for step in range(1, STEPS + 1):
        ordered += [setup.propose()] if len(ordered) < step else []
        version = versions[max(0, step - 1 - stage.max_staleness)]
        setup.play_as(version)
        rollout = play(ordered[step - 1], setup.matches(version.number), version=version.number)
        setup.schedule.observe(rollout.outcomes)
        while len(ordered) < min(step + stage.max_staleness, STEPS):
            ordered.append(setup.propose())
        flat = flatten(rollout.traces)
        scores = score_rollout(stage, learner, None, flat)
        estimate, _ = estimate_advantages(stage, flat, scores, 0.0, state.baseline)
        unit = new_unit(learner, estimate)
        tokens = loss_inputs(stage, flat, scores, estimate, made.model.device, unit)
        update(stage, learner, flat, tokens, recipe=recipe, number=step, beta=0.0)
        state.step = step
        state.observe(flat, 0.0, int(rollout.sums["matches"]))
        state.follow()
        versions.append(setup.version(step))
    return made.model


def assert_equal(left: Any, right: Any) -> None:
    others = dict(right.named_parameters())
    for name, parameter in left.named_parameters():
        assert torch.equal(parameter, others[name]), name


@pytest.mark.parametrize("staleness", [0, 1, 2])
@pytest.mark.parametrize(("kind", "lora"), [("grpo", False), ("ppo", True)])
def test_the_weights_are_those_of_rollouts_played_in_turns_by_their_versions(
    kind: str, lora: bool, staleness: int, tmp_path: Path
) -> None:
    recipe = recipe_of(kind, staleness)
    model, rows = trained(tmp_path / "threads", recipe, lora)
    assert_equal(model, in_turns(tmp_path / "turns", recipe, lora))
    assert [row["staleness"] for row in rows] == [min(staleness, n) for n in range(STEPS)]
    moved = [row["sampler_gap"] > 1e-4 for row in rows]
    assert moved == [staleness > 0 and step > 0 for step in range(STEPS)]
    assert not threads()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "rollouts"]


def test_under_an_adapter_only_the_adapter_is_there_twice() -> None:
    model = policy(lora=True).model
    copied = frozen_copy(model)
    own = dict(copied.named_parameters())
    for name, parameter in model.named_parameters():
        shared = own[name].data_ptr() == parameter.data_ptr()
        assert shared is ("lora_" not in name), name
        assert not own[name].requires_grad


def test_the_checkpoint_holds_the_rollouts_of_the_next_steps_as_plain_json(tmp_path: Path) -> None:
    trained(tmp_path, recipe_of(staleness=2))
    kept = {path.name: load_rollouts(path) for path in (tmp_path / "checkpoints").iterdir()}
    assert {name: sorted(some) for name, some in kept.items()} == {
        "step-000002": [3, 4],
        "step-000004": [5],
        "step-000005": [],
    }
    rollout = kept["step-000002"][4]
    assert {trace.policy_version for trace in rollout.traces} == {1}
    assert rollout.sums["matches"] == 8
    assert len(rollout.outcomes) == 8
    assert any(segment.allowed for trace in rollout.traces for segment in trace.segments)


def stopped_at(step: int) -> dict[str, Any]:
    def on_step(done: int, *_: Any) -> None:
        if done == step:
            raise KeyboardInterrupt

    return {"on_step": on_step}


@pytest.mark.parametrize("staleness", [1, 2])
def test_stopped_and_gone_on_with_it_ends_as_if_never_stopped(
    staleness: int, tmp_path: Path
) -> None:
    recipe = recipe_of(staleness=staleness)
    whole, all_rows = trained(tmp_path / "whole", recipe)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "torn", recipe, **stopped_at(3))
    assert not threads()
    torn, rows = trained(tmp_path / "torn", recipe)
    assert_equal(whole, torn)
    for left, right in zip(all_rows, rows, strict=True):
        assert _lasting(left) == _lasting(right)


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    return {name: v for name, v in row.items() if name != "time" and not name.startswith("speed/")}


def test_what_is_older_than_a_changed_recipe_allows_is_dropped_and_counted(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, recipe_of(staleness=2), **stopped_at(2))
    _, rows = trained(tmp_path, recipe_of(staleness=1))
    assert [row["traces_too_stale"] for row in rows] == [0, 0, 8, 8, 0]
    assert ["grad_norm" in row for row in rows] == [True, True, False, False, True]
    assert rows[-1]["staleness"] == 1


class Failing(Here):
    """Plays until the rollout of this step is to be played."""

    step = 4

    def play(self, tasks: Any, version: int) -> Rollout:
        if self.setup.schedule.state_dict()["cursor"] >= self.step * 4:  # groups
            raise EngineError("out of opponents")
        return super().play(tasks, version)


def test_an_error_is_raised_at_its_step_and_what_was_learned_is_in_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(staleness=1, save_steps=1)
    whole, _ = trained(tmp_path / "whole", recipe)
    with monkeypatch.context() as patched:
        patched.setattr("tesuji.learners.rl.rollout.engine.Here", Failing)
        with pytest.raises(EngineError, match="out of opponents"):
            trained(tmp_path / "torn", recipe)
    assert not threads()
    saved = sorted((tmp_path / "torn" / "checkpoints").iterdir())
    assert saved[-1].name == "step-000003"
    assert load_rollouts(saved[-1]) == {}, "the one that failed is not there"
    model, rows = trained(tmp_path / "torn", recipe)
    assert [row["staleness"] for row in rows] == [0, 1, 1, 0, 1], (
        "played by the checkpoint's weights"
    )
    assert not all(
        torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters(), strict=True)
    )


def test_the_end_does_not_wait_for_a_rollout_that_nobody_wants(tmp_path: Path) -> None:
    """A long one is given up at the model's next token."""
    recipe = recipe_of(staleness=1, batch_size=4000, play={"concurrent": 4000})
    stage, made = recipe.stages["rl"], policy()
    learner = build_learner(stage, made, temperature=1.0)
    setup = RolloutSetup(stage, made, recipe, tmp_path, learner.autocast)
    with Rollouts(setup, Here(setup), kept={1: Rollout([], [])}) as rollouts:
        rollouts.take(1)
        rollouts.order(1)
        time.sleep(0.3)
        assert threads()
        before = time.monotonic()
    assert time.monotonic() - before < PATIENCE_S
    assert not threads()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_while_a_rollout_is_played_are_one_message(
    tmp_path: Path, number: signal.Signals
) -> None:
    recipe = recipe_of(staleness=2, max_steps=100_000, batch_size=64)
    (tmp_path / "ahead.yaml").write_text(dump_recipe(recipe))
    command = Forked(
        "run", "ahead.yaml", "model.base=tiny", "evaluation.before=false", cwd=tmp_path
    )
    command.wait_until(lambda: list(tmp_path.glob("runs/*/stages/*/checkpoints/step-*")))
    command.send_signal(number)
    done = command.ended()
    assert done.returncode == 130, done.stderr
    assert "the same command goes on" in done.stderr
    assert "Traceback" not in done.stderr


TWO = """
import sys, torch
torch.set_num_threads(1)
sys.path[:0] = {tests!r}
from pathlib import Path
from accelerate import PartialState
PartialState(cpu=True)
from test_ahead import recipe_of, stopped_at, trained
out = Path(sys.argv[1])
recipe = recipe_of(staleness=1)
model, _ = trained(out / "two", recipe)
torch.save([p.detach() for p in model.parameters()], out / f"rank-{{PartialState().process_index}}")
try:
    trained(out / "torn", recipe, **stopped_at(3))
except KeyboardInterrupt:
    pass
"""


def test_two_processes_play_their_shares_ahead_and_one_goes_on_from_them(tmp_path: Path) -> None:
    recipe = recipe_of(staleness=1)
    script = TWO.format(tests=[str(SUPPORT), str(Path(__file__).parent)])
    in_two_processes(tmp_path, script, str(tmp_path))
    left, right = (torch.load(tmp_path / f"rank-{rank}") for rank in (0, 1))
    one, _ = trained(tmp_path / "one", recipe)
    torn, _ = trained(tmp_path / "torn", recipe)
    for many in (right, one.parameters(), torn.parameters()):
        for mine, theirs in zip(left, many, strict=True):
            assert (mine - theirs).abs().max() < 1e-5


def test_a_stale_token_is_clipped_against_the_newest_policy_and_weighed_for_its_own() -> None:
    """By hand: pi_new / pi_proximal is clipped, pi_proximal / pi_behaviour weighs, at most 2."""
    new, proximal = [0.44, 0.6, 0.6, 0.1], [0.4, 0.4, 0.4, 0.4]
    behaviour, advantage = [0.5, 0.32, 0.1, 0.32], [1.0, 1.0, 1.0, -1.0]
    expected = [
        -1.1 * 0.8,  # inside; sampled by a policy that liked it more: 0.4 / 0.5
        -1.28 * 1.25,  # 1.5 is clipped; 0.4 / 0.32 is not
        -1.28 * 2.0,  # 0.4 / 0.1 is 4: cut off
        0.8 * 1.25,  # 0.25 is clipped below
    ]
    logs = [torch.tensor([math.log(p) for p in row]) for row in (new, proximal, behaviour)]
    data = TokenData(torch.tensor(advantage), logs[2], logs[1])
    found = token_loss(logs[0], data, LossOptions(), entropy=torch.zeros(4), values=None)
    assert found.loss.tolist() == pytest.approx(expected, rel=1e-5)
    figures = {name: value.tolist() for name, value in found.figures.items()}
    assert figures["importance_weight"] == pytest.approx([0.8, 1.25, 2.0, 1.25], rel=1e-5)
    assert figures["importance_cut"] == [0, 0, 1, 0]
    assert figures["clip_share"] == [0, 1, 1, 1]
    assert figures["sampler_gap"][0] == pytest.approx(math.log(0.5 / 0.4), rel=1e-5)
