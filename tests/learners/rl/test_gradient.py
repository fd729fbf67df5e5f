"""The gradient does not depend on how the work is cut up: micro-batches, shared prompts, processes,
or memory that ran out on the way."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from places import SUPPORT

from tesuji.core.errors import EngineError
from tesuji.core.metric_log import MetricLog
from tesuji.core.types import Segment, Trace
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.learners.rl.token_layout import Flat, flatten
from tesuji.learners.rl.train import train_rl
from tesuji.learners.rl.update.actor_critic import ActorCritic
from tesuji.learners.rl.update.batch import collate, micro_batches, pack
from tesuji.learners.rl.update.build import build_learner, loss_options
from tesuji.learners.rl.update.loss import TokenData
from tesuji.learners.rl.update.optimizer_step import Learner, Tokens, rows_of, step
from tesuji.learners.rl.weights import save_tensors
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import GrpoStage, PpoStage, RLStage
from tesuji.recipe.schema.sections import LoraSection, TinyModel

SHAPE = TinyModel(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
    intermediate_size=48,
)  # fmt: skip


def policy(lora: bool = False) -> Policy:
    made = Policy(build_model(SHAPE, seed=2), build_tokenizer(), "")
    if not lora:
        return made
    torch.manual_seed(5)
    adapted = with_adapter(made, LoraSection(r=4))
    for name, parameter in adapted.model.named_parameters():
        if "lora_B" in name:  # zero at first: then half of the gradients would be zero, too
            torch.nn.init.normal_(parameter, std=0.1)
    return adapted


def made_traces(groups: int = 5) -> list[Trace]:
    """Groups of different sizes; some replies are followed by the environment and another turn,
    some were limited to a few tokens."""
    draw = random.Random(3)

    def ids(count):
        return tuple(draw.randrange(256) for _ in range(count))

    traces = []
    for group in range(groups):
        prompt = ids(draw.randint(6, 30))
        for place in range(1 + group % 4):
            segment = _segment(draw, ids, prompt, two_turns=place % 2 == 1)
            rewards = (draw.gauss(0, 1), draw.gauss(0, 1))
            traces.append(Trace((segment,), rewards, "g", 0, "x", f"group {group}", "random"))
    return traces


def _segment(draw, ids, prompt, *, two_turns):
    reply = ids(draw.randint(1, 6))
    tokens, turns = [*prompt, *reply], [-1] * len(prompt) + [0] * len(reply)
    allowed = {}
    if draw.random() < 0.4:
        allowed[len(prompt)] = (reply[0], *ids(3))
    if two_turns:
        read, again = ids(draw.randint(1, 9)), ids(draw.randint(1, 4))
        tokens += [*read, *again]
        turns += [-1] * len(read) + [1] * len(again)
    logprobs = tuple(draw.uniform(-6, -1) if turn >= 0 else 0.0 for turn in turns)
    return Segment(tuple(tokens), tuple(turns), logprobs, allowed)


def packed(actor, flat: Flat, share: bool, budget: int = 4096):
    """Log-probs [N] and gradients of a weighted sum of everything the actor gives."""
    logps = torch.zeros(flat.tokens)
    actor.zero_grad()
    for rows in micro_batches(pack(flat.segments, flat.first, share=share, width=32), budget):
        batch = collate(rows, torch.device("cpu"))
        scored = actor(batch)
        logps[batch.index] = scored.logp.detach()
        weights = torch.cos(batch.index.float())
        total = (weights * (scored.logp + 0.1 * scored.entropy)).sum()
        if scored.values is not None:
            total = total + (weights * scored.values).sum()
        total.backward()
    return logps, gradients(actor)


def gradients(module) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}


def assert_same(left: dict, right: dict, tolerance: float = 1e-5) -> None:
    assert left.keys() == right.keys()
    largest = max(float(value.abs().max()) for value in left.values())
    for name, value in left.items():
        assert float((value - right[name]).abs().max()) <= tolerance * largest, name


@pytest.mark.parametrize("lora", [False, True])
def test_a_shared_prompt_changes_neither_log_probs_nor_gradient(lora: bool) -> None:
    flat = flatten(made_traces())
    actor = ActorCritic(
        policy(lora).model, temperature=0.7, with_values=True, value_grad=0.5, entropy_grad=True
    )
    torch.nn.init.normal_(actor.value_head.weight)
    apart, apart_gradients = packed(actor, flat, share=False)
    shared, shared_gradients = packed(actor, flat, share=True)
    assert torch.allclose(apart, shared, atol=1e-5)
    assert_same(apart_gradients, shared_gradients)
    assert len(pack(flat.segments, flat.first, share=True, width=32)) < len(flat.segments)


def test_log_probs_are_those_of_the_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in chunks over the vocabulary, and against a plain forward pass, segment by segment."""
    from tesuji.learners.rl.update import actor_critic as module

    flat = flatten(made_traces())
    model = policy().model
    found, whole = packed(ActorCritic(model, temperature=0.7), flat, share=True)
    expected = []
    for segment in flat.segments:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([segment.token_ids])).logits[0] / 0.7
        for place, turn in enumerate(segment.turns):
            if turn < 0:
                continue
            row = logits[place - 1]
            if place in segment.allowed:
                row = torch.full_like(row, -torch.inf)
                some = list(segment.allowed[place])
                row[some] = logits[place - 1][some]
            expected.append(row.log_softmax(-1)[segment.token_ids[place]])
    assert torch.allclose(found, torch.stack(expected), atol=1e-5)
    monkeypatch.setattr(module, "CHUNK", 3 * 264)
    chunked, parts = packed(ActorCritic(model, temperature=0.7), flat, share=True)
    assert torch.allclose(found, chunked, atol=1e-6)
    assert_same(whole, parts)


def learner_of(stage: RLStage, lora: bool = False) -> Learner:
    learner = build_learner(stage, policy(lora), temperature=0.7)
    learner.optimizer.step = lambda: None  # the gradient is what is looked at
    learner.optimizer.zero_grad = lambda set_to_none=True: None
    learner.max_grad_norm = 0.0
    return learner


def tokens_of(flat: Flat) -> Tokens:
    generator = torch.Generator().manual_seed(8)
    advantages, old, values, returns = torch.randn(4, flat.tokens, generator=generator)
    behaviour = torch.tensor(flat.behaviour, dtype=torch.float32)
    data = TokenData(advantages, behaviour, behaviour + 0.1 * old, None, values, returns)
    return Tokens(data, torch.ones(flat.tokens))


def gradient_of_step(stage: RLStage, **changes) -> tuple[dict[str, torch.Tensor], Learner]:
    flat, learner = flatten(made_traces()), learner_of(stage)
    for name, value in changes.items():
        setattr(learner, name, value)
    step(learner, rows_of(learner, flat), tokens_of(flat), flat.tokens, loss_options(stage, 9, 0.0))
    return gradients(learner.module), learner


STAGES = {"grpo": GrpoStage(entropy_coef=0.01), "ppo": PpoStage(value_grad=0.3)}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
@pytest.mark.parametrize("changes", [{"micro_batch_tokens": 64}, {"share_prompts": False}])
def test_the_gradient_does_not_depend_on_the_micro_batch(stage, changes) -> None:
    plain, _ = gradient_of_step(stage)
    other, _ = gradient_of_step(stage, **changes)
    assert_same(plain, other)


def run_out_of_memory(learner: Learner, most: int) -> None:
    forward = learner.module.forward

    def scarce(batch):
        if batch.ids.numel() > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(batch)

    learner.module.forward = scarce
    learner.optimizer.zero_grad = lambda set_to_none=True: learner.module.zero_grad()


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_gradient() -> None:
    stage = GrpoStage()
    plain, _ = gradient_of_step(stage)
    flat, learner = flatten(made_traces()), learner_of(stage)
    run_out_of_memory(learner, most=150)
    kept = {}
    learner.optimizer.step = lambda: kept.update(gradients(learner.module))
    options = loss_options(stage, 9, 0.0)
    step(learner, rows_of(learner, flat), tokens_of(flat), flat.tokens, options)
    assert_same(plain, kept)
    assert len(learner.notices) >= 1
    assert "out of memory: going on with" in learner.notices[-1]
    assert learner.micro_batch_tokens <= 150
    learner.notices.clear()
    step(learner, rows_of(learner, flat), tokens_of(flat), flat.tokens, options)
    assert not learner.notices, "said once"


def test_memory_that_runs_out_halfway_leaves_no_gradient_behind() -> None:
    stage = GrpoStage()
    plain, _ = gradient_of_step(stage)
    flat, learner = flatten(made_traces()), learner_of(stage)
    learner.micro_batch_tokens = 100
    forward, passes, kept = learner.module.forward, [], {}

    def scarce(batch):
        passes.append(batch)
        if len(passes) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(batch)

    learner.module.forward = scarce
    learner.optimizer.zero_grad = lambda set_to_none=True: learner.module.zero_grad()
    learner.optimizer.step = lambda: kept.update(gradients(learner.module))
    options = loss_options(stage, 9, 0.0)
    step(learner, rows_of(learner, flat), tokens_of(flat), flat.tokens, options)
    assert_same(plain, kept)
    assert len(learner.notices) == 1
    assert len(passes) > 4


def test_a_row_that_does_not_fit_by_itself_is_one_clear_message() -> None:
    stage = GrpoStage()
    flat, learner = flatten(made_traces()), learner_of(stage)
    run_out_of_memory(learner, most=3)
    with pytest.raises(EngineError, match="out of memory in the update") as caught:
        step(
            learner, rows_of(learner, flat), tokens_of(flat), flat.tokens, loss_options(stage, 9, 0)
        )
    assert "gradient_checkpointing" in str(caught.value)


def test_a_loss_that_is_not_a_number_leaves_the_weights_alone() -> None:
    stage = GrpoStage(learning_rate=1.0)
    learner = build_learner(stage, policy(), temperature=1.0)
    before = {n: p.detach().clone() for n, p in learner.module.named_parameters()}
    flat = flatten(made_traces())
    tokens = tokens_of(flat)
    tokens.data.advantages[3] = torch.nan
    with pytest.raises(EngineError, match="the loss is not a number"):
        step(learner, rows_of(learner, flat), tokens, flat.tokens, loss_options(stage, 9, 0.0))
    assert all(torch.equal(p, before[n]) for n, p in learner.module.named_parameters())


def test_models_with_windowed_attention_get_a_row_a_reply() -> None:
    from transformers import AutoModelForCausalLM, Qwen2Config

    config = Qwen2Config(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, intermediate_size=64, use_sliding_window=True, sliding_window=8,
        max_window_layers=1,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    learner = build_learner(GrpoStage(), Policy(model, build_tokenizer(), ""), temperature=1.0)
    flat = flatten(made_traces())
    assert len(rows_of(learner, flat)) == len(flat.segments)


TWO = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
sys.path[:0] = {tests!r}
from accelerate import PartialState
PartialState(cpu=True)
import test_gradient as t
from tesuji.learners.rl.distributed import gathered, process
from safetensors.torch import save_file

mine, count = process()
assert count == 2
traces = t.made_traces()
flat_all = t.flatten(traces)
part = traces[:3] if mine == 0 else traces[3:]
begin = 0 if mine == 0 else sum(len(turns) for turns in flat_all.turns[:3])
flat = t.flatten(part)
here = torch.arange(begin, begin + flat.tokens)
tokens = t.Tokens(t.tokens_of(flat_all).at(here), torch.ones(flat.tokens))
for name, stage in t.STAGES.items():
    learner = t.learner_of(stage)
    learner.micro_batch_tokens = 64
    norm = sum(gathered([flat.tokens]))
    rows = t.rows_of(learner, flat)
    parts = gathered([len(list(t.micro_batches(rows, 64)))])
    assert parts[0] != parts[1], "one process has to keep the other company"
    t.step(learner, rows, tokens, norm, t.loss_options(stage, 9, 0.0))
    if mine == 0:
        save_file(t.gradients(learner.module), f"{{sys.argv[1]}}/{{name}}.safetensors")
t.train(Path(sys.argv[1]) / f"run-{{mine}}", batch_size=3, num_mini_batches=2)
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


def in_two_processes(folder: Path, script: str, *arguments: str) -> None:
    """Run a script in two processes on the CPU, over gloo. (`accelerate launch --cpu` starts one
    process, however many it is asked for.)"""
    path = folder / "two.py"
    path.write_text(script)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*launch, str(path), *arguments], capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr[-4000:]


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
