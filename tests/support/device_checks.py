"""What runs on a device that is not the CPU: `test_device.py` runs this in a process of its own,
for the device stays with a process. Every number must be that of the same run on the CPU.

Of Tesuji's own lines, those that wait for the device are counted; what transformers' and TRL's
trainers wait for (they read every loss) is theirs.
"""

import functools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pretended_device
import pytest
import torch
from accelerate.state import AcceleratorState
from made_recipes import recipe_of
from made_traces import STAGES, assert_same, gradients, learner_of, made_traces, tokens_of
from pretended_device import NAME, waits
from tiny_models import EXAMPLES, WIDER, flat, made_pairs, tiny_policy

from tesuji.core.metric_log import MetricLog
from tesuji.core.types import Sampled
from tesuji.learners.model import load
from tesuji.learners.model.load import Policy, prepare_base
from tesuji.learners.pairs.dpo import train_dpo
from tesuji.learners.pairs.reward import train_reward
from tesuji.learners.reward_model.model import load_reward_model, score_ids
from tesuji.learners.rl.token_layout import flatten
from tesuji.learners.rl.update.build import loss_options
from tesuji.learners.rl.update.loss import TokenData
from tesuji.learners.rl.update.optimizer_step import Tokens, rows_of, score, step
from tesuji.learners.sft.train import train_sft
from tesuji.pipeline.forecast import measure
from tesuji.pipeline.run import run_recipe
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.pairs import DpoStage, RewardStage
from tesuji.recipe.schema.sections import ModelSection, PromptSection
from tesuji.recipe.schema.stages import SftStage

pretended_device.install()
torch.backends.cuda.enable_flash_sdp(False)  # the device has none: the same kernel on the CPU
DEVICES = ("cpu", NAME)
PROMPT = PromptSection(style="compact", answer="id")
LONG, SHORT = tuple(range(20, 50)), tuple(range(20, 29))
END = 1


@pytest.fixture(autouse=True)
def no_waits_yet() -> None:
    waits.clear()


def use(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are loaded to this device, and Accelerate's device is this one."""
    for module in (load, measure):
        monkeypatch.setattr(module, "device_of", lambda section: device)
    AcceleratorState._reset_state(reset_partial_state=True)
    if device == "cpu":
        monkeypatch.delenv("ACCELERATE_TORCH_DEVICE", raising=False)
    else:
        monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", device)


def on_both(run: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    results = []
    for device in DEVICES:
        with monkeypatch.context() as patch:
            use(device, patch)
            waits.clear()
            results.append(run(device))
    AcceleratorState._reset_state(reset_partial_state=True)
    return results


def test_the_device_is_as_strict_as_cuda() -> None:
    here, there = torch.ones(3), torch.ones(3, device=NAME)
    with pytest.raises(RuntimeError, match="on one device"):
        there + here
    with pytest.raises(RuntimeError, match="on one device"):
        there[torch.tensor([0, 1])]
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    with pytest.raises(RuntimeError, match="generator"):
        torch.rand(3, device=NAME, generator=torch.Generator())
    assert (there + torch.tensor(1.0)).tolist() == [2, 2, 2]
    assert Counter(wait.split()[0] for wait in waits) == {"tolist": 1}
    waits.clear()
    here.to(NAME, non_blocking=True)
    assert not waits
    for ask in (
        there.sum().item,
        there.nonzero,
        there.cpu,
        lambda: there[there > 0],
        here.pretended,
    ):
        ask()
    assert len(waits) == 5


def replies(device: str, sampler: LocalSampler, kind: str) -> list[list[Sampled]]:
    """Two calls, the second going on where the first ended; `waits` are those of both."""
    prompts = [LONG, SHORT, LONG, SHORT, LONG] if kind != "shared" else [LONG] * 3 + [SHORT] * 2
    changes: dict[str, Any] = {"temperature": 1.0, "top_p": 1.0}
    if kind == "nucleus":
        changes = {"temperature": 0.7, "top_p": 0.9}
    if kind == "likeliest":
        changes["temperature"] = 0.0
    if kind == "legal":
        changes["choices"] = [[(5, 6, END), (5, 7, END), (8, END)]] * 5
    waits.clear()
    results = []
    for _ in range(2):
        results.append(
            sampler.sample(
                prompts,
                max_new_tokens=2 if kind == "shared" else 6,
                seeds=range(5),
                stop_ids=frozenset({END, *range(200, 230)}),
                **changes,
            )
        )
        prompts = [(*each.prompt_ids, *each.reply_ids, 3) for each in results[-1]]
    return results


@functools.cache
def model_on(device: str, architecture: str = "qwen3") -> Policy:
    policy = tiny_policy(1, architecture)
    policy.model.to(device)
    return policy


def assert_close(left: Sequence[Sampled], right: Sequence[Sampled]) -> None:
    for one, other in zip(left, right, strict=True):
        assert (one.reply_ids, one.stopped, one.allowed) == (
            other.reply_ids,
            other.stopped,
            other.allowed,
        )
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


@pytest.mark.parametrize("architecture", ["qwen3", "llama"])
@pytest.mark.parametrize(
    "kind", ["free", "nucleus", "likeliest", "legal", "shared", "conversation"]
)
def test_a_token_of_all_replies_waits_for_the_device_once(
    architecture: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(device: str) -> list[list[Sampled]]:
        policy = model_on(device, architecture)
        sampler = LocalSampler(policy.model, policy.tokenizer, reuse=kind == "conversation")
        assert sampler.support.shared, sampler.support.detail
        return replies(device, sampler, kind)

    here, there = on_both(run, monkeypatch)
    for left, right in zip(here, there, strict=True):
        assert_close(left, right)
    steps = sum(max(len(each.reply_ids) for each in some) for some in there)
    assert set(waits) == {"tolist in players/sampling/local.py _draw"}
    assert len(waits) <= steps


def test_scores_wait_for_the_device_once_a_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(device: str) -> tuple[list[list[float]], int]:
        policy = model_on(device)
        sampler = LocalSampler(policy.model, policy.tokenizer)
        waits.clear()
        choices = [[(5, 6, 1), (5, 7, 1), (8, 1)]] * 2
        return sampler.score([LONG, SHORT], choices), len(waits)

    (here, _), (there, waited) = on_both(run, monkeypatch)
    assert waited == 1
    for left, right in zip(here, there, strict=True):
        assert left == pytest.approx(right, abs=1e-5)


def to(tokens: Tokens, device: str) -> Tokens:
    parts = {name: getattr(tokens.data, name) for name in TokenData.__slots__}
    moved = {n: None if part is None else part.to(device) for n, part in parts.items()}
    return Tokens(TokenData(**moved), tokens.weights.to(device))


@pytest.mark.parametrize("trees", [True, False])
@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_no_micro_batch_of_an_update_waits(
    stage: Any, trees: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An optimizer step reads its figures and its gradient's norm, whatever its micro-batches. Of
    padded rows transformers asks once a forward pass whether they are packed."""

    def run(device: str) -> tuple[dict[str, Any], Any, Any, list[tuple[int, Counter[str]]]]:
        learner, traces = learner_of(stage, device=device), flatten(made_traces())
        learner.share_prompts, waited = trees, []
        for most in (10_000, 60):
            learner.micro_batch_tokens = most
            learner.module.zero_grad()
            tokens = to(tokens_of(traces), device)
            waits.clear()
            options = loss_options(stage, 9, 0.0)
            rows = rows_of(learner, traces)
            figures = step(learner, rows, tokens, traces.tokens, options)
            waited.append((len(learner.parts(rows)), Counter(waits)))
        result = {name: value.cpu() for name, value in gradients(learner.module).items()}
        return result, figures, score(learner, traces)[0], waited

    here, there = on_both(run, monkeypatch)
    assert_same(here[0], there[0])
    assert here[1] == pytest.approx(there[1], rel=1e-4, abs=1e-6)
    assert here[2] == pytest.approx(there[2], abs=1e-5)
    packed = "_local_scalar_dense in learners/rl/update/actor_critic.py _hidden"
    for parts, waited in there[3]:
        assert waited.pop(packed, 0) == (0 if trees else parts)
        assert waited.total() == len(there[1])


def train(kind: str, device: str, out: Path) -> Policy:
    common: dict[str, Any] = {"name": kind, "prompt": PROMPT, "out": out, "seed": 3}
    options = {"batch_size": 4, "max_steps": 2, "learning_rate": 1e-3, "logging_steps": 1}
    common["metrics"] = MetricLog(out)
    if kind == "sft":
        common |= {"train": EXAMPLES * 2, "held_out": EXAMPLES[:2]}
    else:
        common |= {"train": made_pairs(8, 1), "held_out": made_pairs(4, 2)}
    if kind == "reward":
        section = ModelSection(tiny=WIDER)
        source = prepare_base(section, out / "base", 1)
        train_reward(RewardStage.model_validate(options), section, source, **common)
        return load_reward_model(section, str(out / "final"))
    policy = tiny_policy()
    policy.model.to(device)
    if kind == "dpo":
        train_dpo(DpoStage.model_validate(options), policy, **common)
    else:
        train_sft(SftStage.model_validate(options), policy, **common)
    return policy


@pytest.mark.parametrize("kind", ["sft", "dpo", "reward"])
def test_a_trainer_ends_with_the_same_weights(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(device: str) -> tuple[torch.Tensor, list[float]]:
        out = tmp_path / device
        out.mkdir()
        policy = train(kind, device, out)
        assert policy.model.device.type == device
        scores = score_ids(policy.model, [LONG, SHORT], 0, 99) if kind == "reward" else []
        return flat(policy.model).cpu(), scores

    here, there = on_both(run, monkeypatch)
    torch.testing.assert_close(here[0], there[0], atol=1e-5, rtol=0)
    assert here[1] == pytest.approx(there[1], abs=1e-5)


def numbers(file: Path) -> Iterator[dict[str, float]]:
    """The figures in the lines of the metric log, without those of the clock and of memory."""
    for line in file.read_text(encoding="utf-8").splitlines():
        figures = {k: v for k, v in json.loads(line).items() if not isinstance(v, str)}
        yield {k: v for k, v in figures.items() if k != "time" and not k.startswith("speed/")}


@pytest.mark.parametrize("kind", ["grpo", "ppo"])
def test_a_run_has_the_same_numbers(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Model loaded, rollouts, reference, updates, checkpoints, evaluation: all on the device."""
    recipe = recipe_of(kind, max_steps=2, num_iterations=2, beta=0.05, entropy_coef=0.01)

    def run(device: str) -> tuple[list[dict[str, Any]], Any]:
        outcome = run_recipe(recipe, tmp_path / device)
        return list(numbers(outcome.folder / "metrics.jsonl")), outcome.after

    here, there = on_both(run, monkeypatch)
    for left, right in zip(here[0], there[0], strict=True):
        assert left == pytest.approx(right, rel=1e-3, abs=1e-5)
    assert here[1].matches == there[1].matches
    assert os.environ.get("ACCELERATE_TORCH_DEVICE") is None
