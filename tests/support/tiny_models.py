"""Tiny models to train in a moment, rows to train them on, and a hook that kills a training."""

import random
from typing import Any

import torch

from tesuji.core.types import Example, Pair
from tesuji.learners.model.load import Policy
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.recipe.schema.sections import TinyModel

SHAPE = TinyModel(
    hidden_size=16, num_attention_heads=2, num_key_value_heads=2, intermediate_size=32
)
WIDER = SHAPE.model_copy(update={"hidden_size": 32, "intermediate_size": 64})


def tiny_policy(seed: int = 1, architecture: str = "qwen3", shape: TinyModel = SHAPE) -> Policy:
    shape = shape.model_copy(update={"architecture": architecture})
    return Policy(build_model(shape, seed), build_tokenizer(), "tiny")


def flat(model: torch.nn.Module) -> torch.Tensor:
    """All weights in one row."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def example(prompt: str, reply: str) -> Example:
    return Example(({"role": "user", "content": prompt},), reply)


EXAMPLES = [example("...x", "1"), example("...x", "12"), example("x..o.", "3"), example("o", "0")]


def pair(prompt: str, chosen: str, rejected: str, **about: Any) -> Pair:
    return Pair(({"role": "user", "content": prompt},), chosen, rejected, about=about)


def made_pairs(count: int, seed: int) -> list[Pair]:
    """The better reply names the larger of two digits; its length tells nothing."""
    draw = random.Random(seed)
    pairs = []
    for number in range(count):
        low, high = sorted(draw.sample(range(10), 2))
        prompt = f"{low} {high}" if draw.random() < 0.5 else f"{high} {low}"
        long, short = draw.sample([".", "..."], 2)
        role = "Doctor" if number % 2 else "Mafia"
        pairs.append(pair(prompt, f"{high}{long}", f"{low}{short}", role=role, match=f"m{number}"))
    return pairs


class Killed(Exception):
    pass


def kill(step: int, total: int, note: str) -> None:
    """`on_step` of a training that dies after its fifth step."""
    if step == 5:
        raise Killed
