"""Traces as play would leave them, and the gradient that one optimizer step takes from them."""

import random

import torch

from tesuji.core.types import Segment, Trace
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.learners.rl.token_layout import Flat, flatten
from tesuji.learners.rl.update.build import build_learner, loss_options
from tesuji.learners.rl.update.loss import TokenData
from tesuji.learners.rl.update.optimizer_step import Learner, Tokens, rows_of, step
from tesuji.recipe.schema.rl import GrpoStage, PpoStage, RLStage
from tesuji.recipe.schema.sections import LoraSection, TinyModel

SHAPE = TinyModel(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
    intermediate_size=48,
)  # fmt: skip


def policy(lora: bool = False, dtype: torch.dtype = torch.float32) -> Policy:
    made = Policy(build_model(SHAPE, seed=2).to(dtype), build_tokenizer(), "")
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


def gradients(module) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}


def assert_same(left: dict, right: dict, tolerance: float = 1e-5) -> None:
    assert left.keys() == right.keys()
    largest = max(float(value.abs().max()) for value in left.values())
    for name, value in left.items():
        assert float((value - right[name]).abs().max()) <= tolerance * largest, name


def learner_of(stage: RLStage, lora: bool = False, device: str = "cpu") -> Learner:
    made = policy(lora)
    made.model.to(device)
    learner = build_learner(stage, made, temperature=0.7)
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
