"""From a rollout's tokens to new weights: score them, estimate advantages, take the steps.

    scores = score_rollout(stage, learner, reference, flat)
    estimate, kl = estimate_advantages(stage, flat, scores, beta, baseline)
    tokens = loss_inputs(stage, flat, scores, estimate, device, new_unit(learner, estimate))
    means = update(stage, learner, flat, tokens, recipe=recipe, number=step, beta=beta)

Arrays per token are [N], in the order of `token_layout`. `beta` is the weight of the KL now.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tesuji.core.seeds import stream
from tesuji.learners.rl.advantages import RoleBaseline, moments
from tesuji.learners.rl.estimators import ESTIMATORS, Estimate, Evidence, whitened
from tesuji.learners.rl.token_layout import Array, Flat, mini_batches
from tesuji.learners.rl.update.build import loss_options
from tesuji.learners.rl.update.loss import TokenData
from tesuji.learners.rl.update.optimizer_step import (
    Learner,
    Tokens,
    rows_of,
    score,
    step,
    worth_a_pass,
)
from tesuji.learners.rl.update.reference import Reference
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import GrpoStage, PpoStage, RLStage


@dataclass(frozen=True)
class Scores:
    """Before the update, each [N] or None: log-probs of the policy and of the reference, values of
    the critic before and after each token."""

    logps: Array | None
    values: Array | None
    reference: Array | None
    after: Array | None = None


def score_rollout(
    stage: RLStage, learner: Learner, reference: Reference | None, flat: Flat
) -> Scores:
    """What the stage needs to know of the rollout's tokens before the weights change."""
    several = stage.num_iterations * stage.num_mini_batches > 1
    needed = several or isinstance(stage, PpoStage) or stage.kl_in == "reward"
    logps, values, after = score(learner, flat) if needed else (None, None, None)
    return Scores(logps, values, reference.logps(learner, flat) if reference else None, after)


def estimate_advantages(
    stage: RLStage, flat: Flat, scores: Scores, beta: float, baseline: RoleBaseline
) -> tuple[Estimate, float | None]:
    """Advantages, and the mean KL (k1) from the reference where it is taken off the rewards."""
    penalty = kl = None
    if stage.kl_in == "reward" and scores.reference is not None and scores.logps is not None:
        strayed = scores.logps - scores.reference
        penalty, kl = -beta * strayed, float(strayed.mean()) if flat.tokens else 0.0
    evidence = Evidence(scores.values, penalty, scores.after)
    estimate = ESTIMATORS[type(stage)](stage, flat, evidence, baseline)
    if stage.whiten_advantages:
        estimate = whitened(estimate)
    return estimate, kl


def new_unit(learner: Learner, estimate: Estimate) -> float:
    """The unit of the critic from now on, these returns seen."""
    head = learner.module.value_head
    if head is None or estimate.returns is None:
        return 1.0
    with learner.writing(head):
        learner.returns.observe(moments(estimate.returns), head)
    return learner.returns.unit


def loss_inputs(
    stage: RLStage,
    flat: Flat,
    scores: Scores,
    estimate: Estimate,
    device: torch.device,
    unit: float = 1.0,
) -> Tokens:
    """The same as tensors on the device, values and returns in `unit`s. With `loss_type: trace` a
    token weighs the less the more its trace has."""

    def tensor(array: Array) -> Tensor:
        return torch.tensor(array, dtype=torch.float32, device=device)

    def known(array: Array | None, unit: float = 1.0) -> Tensor | None:
        return None if array is None else tensor(array / unit)

    weights = np.ones(flat.tokens)
    for span in flat.spans if stage.loss_type == "trace" else ():
        weights[span] = 1 / max(1, span.stop - span.start)
    data = TokenData(
        advantages=tensor(estimate.advantages),
        behaviour=tensor(flat.behaviour),
        old=known(scores.logps),
        reference=known(scores.reference) if stage.kl_in == "loss" else None,
        values=known(scores.values, unit),
        returns=known(estimate.returns, unit),
        after=known(scores.after, unit),
        after_returns=known(estimate.after_returns, unit),
    )
    return Tokens(data, tensor(weights))


def update(
    stage: RLStage,
    learner: Learner,
    flat: Flat,
    tokens: Tokens,
    *,
    recipe: Recipe,
    number: int,
    beta: float,
) -> dict[str, float]:
    """All optimizer steps of training step `number`; means over them of what they measured."""
    options = loss_options(stage, number, beta)
    totals: dict[str, float] = defaultdict(float)
    groups = len({flat.traces[owner].group for owner in flat.owner})
    parts = min(stage.num_mini_batches, groups)
    count, steps = 0, stage.num_iterations * parts
    for iteration in range(stage.num_iterations):
        order = random.Random(stream(recipe.seed, "minibatches", number, iteration))
        for segments in mini_batches(flat, parts, order):
            norm = _norm(stage, flat, segments, recipe.sampling.max_new_tokens)
            rows = rows_of(learner, flat, worth_a_pass(flat, segments, tokens, options))
            learner.learning_rate.at((number - 1 + count / steps) / stage.max_steps)
            for name, value in step(learner, rows, tokens, norm, options).items():
                totals[name] += value
            count += 1
    learner.learning_rate.at(number / stage.max_steps)
    return {name: total / count for name, total in totals.items()}


def _norm(stage: RLStage, flat: Flat, segments: Sequence[int], room: int) -> float:
    """What the summed loss is divided by: tokens, traces or (Dr. GRPO) the room for tokens."""
    owners = {flat.owner[number] for number in segments}
    if isinstance(stage, GrpoStage) and stage.dr_grpo:
        norm = float(room * sum(len(flat.traces[owner].rewards) for owner in owners))
    elif stage.loss_type == "trace":
        norm = float(len(owners))
    else:
        turns_of = (flat.segments[number].turns for number in segments)
        norm = float(sum(turn >= 0 for turns in turns_of for turn in turns))
    return max(1.0, norm)
