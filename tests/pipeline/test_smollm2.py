"""A language model that people trained through every learner: two steps each, from one recipe."""

import json
import math
from pathlib import Path

import pytest
import torch
from places import ROOT
from safetensors.torch import load_file

from tesuji.core.metric_log import MetricLog
from tesuji.evaluation.results import load_evaluation
from tesuji.learners.model.load import load_policy
from tesuji.learners.reward_model.scorer import load_scorer
from tesuji.pipeline.run import run_recipe
from tesuji.players.prompting.chat_template import render_prompt
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe

pytestmark = pytest.mark.slow
LEARNERS = ("sft", "dpo", "reward", "ppo", "grpo")
SHORT = {"max_steps": 2, "batch_size": 2, "learning_rate": 1e-4, "logging_steps": 1}
PLAY = SHORT | {"play": {"opponents": [{"player": "random"}]}, "gamma": 0.0}
QUESTION = ({"role": "user", "content": "What is the capital of France?"},)


def short_chain() -> Recipe:
    """The shipped recipe with few positions, every learner behind its SFT, two steps each."""
    plain = load_recipe(str(ROOT / "recipes/tictactoe/smollm2.yaml")).model_dump(mode="json")
    plain["model"] |= {"dtype": "float32", "device": "cpu"}
    plain["sampling"] |= {"max_new_tokens": 2, "legal_only": True}
    few = {"positions": "sampled", "num_positions": 8, "pairs": "one", "held_out_from": "all"}
    stages = plain["stages"]
    stages["data"] |= few
    stages["sft"] |= SHORT | {"warmup_steps": 0}
    stages["dpo"] = SHORT | {"max_length": 64}
    stages["reward"] = SHORT | {"max_length": 64}
    stages["ppo"] = PLAY | {"rewards": {"oracle": 1.0, "reward_model": 0.1}, "num_iterations": 1}
    stages["ppo"] |= {"critic": "reward_model", "beta": 0.1}
    stages["grpo"] = PLAY | {"rewards": {"oracle": 1.0}, "num_generations": 2}
    for name in LEARNERS:
        stages[name]["kind"] = name
    plain["evaluation"] |= {"opponents": [{"player": "random"}], "episodes": 2, "positions": 4}
    plain["evaluation"] |= {"certificate": False, "before": False}
    return Recipe.model_validate(plain)


@pytest.fixture(scope="module")
def run(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_recipe(short_chain(), tmp_path_factory.mktemp("smollm2")).folder


def final(run: Path, stage: str) -> Path:
    [folder] = run.glob(f"stages/*-{stage}/final")
    return folder


def test_every_learner_takes_its_steps_and_changes_its_adapter(run: Path) -> None:
    rows = MetricLog(run).rows()
    adapters = {n: load_file(final(run, n) / "adapter_model.safetensors") for n in LEARNERS}
    before = None
    for name in LEARNERS:
        own = [row for row in rows if row["stage"] == name]
        assert {row["step"] for row in own} >= {1, 2}
        numbers = [v for row in own for v in row.values() if isinstance(v, float)]
        assert all(map(math.isfinite, numbers))
        known = adapters["sft" if name == "reward" else before] if before else {}
        adapter = adapters[name]
        common = adapter.keys() & known.keys()
        assert adapter and bool(common) == bool(known)
        assert all(tensor.isfinite().all() for tensor in adapter.values())
        assert not known or any(not torch.equal(adapter[key], known[key]) for key in common)
        before = before if name == "reward" else name
    first = next(row["loss"] for row in rows if row["stage"] == "dpo" and "loss" in row)
    assert first == pytest.approx(math.log(2), abs=1e-6)


def test_what_was_trained_is_evaluated_and_reported(run: Path) -> None:
    [after] = run.glob("stages/*-after/evaluation.json")
    found = load_evaluation(after)
    assert found.matches and found.positions
    assert json.loads((final(run, "grpo") / "adapter_config.json").read_text())["r"] == 16
    assert "HuggingFaceTB/SmolLM2-135M-Instruct" in (final(run, "grpo") / "README.md").read_text()
    assert (run / "report.html").is_file()


def test_the_final_model_replies_as_transformers_own_generate(run: Path) -> None:
    policy = load_policy(short_chain().model, str(final(run, "grpo")))
    prompt = render_prompt(policy.tokenizer, QUESTION)
    [reply] = LocalSampler(policy.model, policy.tokenizer).sample(
        [prompt], temperature=0.0, top_p=1.0, max_new_tokens=6, seeds=[1], stop_ids=frozenset()
    )
    ids = torch.tensor([prompt])
    with torch.no_grad():
        [theirs] = policy.model.eval().generate(
            input_ids=ids, max_new_tokens=6, min_new_tokens=6, do_sample=False
        )
    assert list(reply.reply_ids) == theirs[len(prompt) :].tolist()


def test_the_reward_model_scores(run: Path) -> None:
    scorer = load_scorer(short_chain().model, str(final(run, "reward")))
    one, other = scorer.score([(QUESTION, "Paris"), (QUESTION, "Rome")])
    assert math.isfinite(one) and one != other
