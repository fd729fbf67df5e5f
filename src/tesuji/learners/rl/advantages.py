"""Advantages: pure functions over one seat's trained tokens, in float64.

Only the tokens a seat sampled count; whatever stood between them (opponents, environment) takes
no part in any recursion. A reward belongs to a turn and is placed on its last trained token.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Moments = tuple[float, float, float]


def token_rewards(rewards: Sequence[float] | Array, turns: Ints) -> Array:
    """Rewards [N] of N tokens from rewards by turn, each on the last token of its turn. A turn
    without trained tokens gives its own to the nearest turn before that has some, else to the next
    one; without any token nothing is placed."""
    placed = np.zeros(len(turns))
    if len(turns):
        reached = np.maximum(np.arange(len(rewards)), turns[0])
        ends = np.searchsorted(turns, reached, side="right") - 1
        np.add.at(placed, ends, np.asarray(rewards, dtype=np.float64))
    return placed


def gae(
    rewards: Sequence[float] | Array,
    values: Array,
    turns: Ints,
    *,
    gamma: float,
    gae_lambda: float,
    bootstrap: float = 0.0,
    extra: Array | None = None,
) -> tuple[Array, Array]:
    """Generalised advantage estimation (Schulman et al. 2016) over the N tokens of one trace.

    `values` [N] are read before each token, `turns` [N] are its turn (not decreasing), `rewards`
    by turn, `extra` [N] per token. Discount and lambda are 1 inside a turn. `bootstrap` is the
    value after the last token, as `returns_after` has it: 0 where the match ended by its rules.
    Returns advantages and returns [N], both empty for a trace without trained tokens.
    """
    if not len(turns):
        return np.zeros(0), np.zeros(0)
    earned = token_rewards(rewards, turns) + (0.0 if extra is None else extra)
    crossing = turns[1:] != turns[:-1]
    gammas = np.append(np.where(crossing, gamma, 1.0), 1.0)
    lambdas = np.append(np.where(crossing, gae_lambda, 1.0), 1.0)
    deltas = earned + gammas * np.append(values[1:], bootstrap) - values
    advantages = _accumulated(deltas, gammas * lambdas)
    return advantages, advantages + values


def returns_after(returns: Array, turns: Ints, gamma: float) -> Array:
    """What is still earned behind the last token of each turn that another turn follows, seen from
    there; NaN at all other tokens [N]. `returns` [N] are those from each token on."""
    after = np.full(len(turns), np.nan)
    (last,) = np.nonzero(turns[1:] != turns[:-1])
    after[last] = gamma * returns[last + 1]
    return after


def _accumulated(values: Array, decays: Array) -> Array:
    """`sums[i] = values[i] + decays[i] * sums[i + 1]`, from the end; on lists, as they are several
    times quicker to walk than arrays."""
    sums, running = [], 0.0
    for value, decay in zip(values[::-1].tolist(), decays[::-1].tolist(), strict=True):
        running = value + decay * running
        sums.append(running)
    return np.array(sums[::-1], dtype=np.float64)


def returns_to_go(
    rewards: Sequence[float] | Array, turns: Ints, gamma: float, *, extra: Array | None = None
) -> Array:
    """What is still earned from each token on [N], discounted from turn to turn."""
    nothing = np.zeros(len(turns))
    return gae(rewards, nothing, turns, gamma=gamma, gae_lambda=1.0, extra=extra)[0]


@dataclass(frozen=True)
class GroupAdvantages:
    """Advantages by turn of each trace; how many groups had more than one trace, and in how many
    of those all earned the same."""

    advantages: list[Array]
    groups: int
    flat_groups: int


def group_advantages(
    rewards: Sequence[Sequence[float] | Array],
    groups: Sequence[str],
    *,
    gamma: float,
    credit: Literal["trajectory", "turn"],
    scale: Literal["none", "group"],
    include_self: bool,
    baselines: "RoleBaseline | None" = None,
    keys: Sequence[Hashable] = (),
) -> GroupAdvantages:
    """Advantages of each turn against the others of its group.

    `credit: trajectory`: all a trace earned, minus the mean of the others' (of the whole group's
    with `include_self`, and with `scale: group`, which is TRL's formula: divided by the group's
    deviation + 1e-4). `credit: turn`: what it earned from the turn on, discounted by `gamma`,
    minus the others' at the same turn (a shorter one counts with its last turn). In a group of one
    the baseline is that of its key.
    """
    togo = [_to_go(np.asarray(r, dtype=np.float64), gamma, credit) for r in rewards]
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    advantages: list[Array] = [np.zeros(0)] * len(togo)
    several = flat = 0
    for mates in members.values():
        if len(mates) == 1:
            (only,) = mates
            expected = baselines.value(keys[only]) if baselines is not None else 0.0
            advantages[only] = togo[only] - expected
            continue
        several += 1
        totals = np.array([sum(rewards[index]) for index in mates])
        earned = _by_turn([togo[index] for index in mates])
        whole = include_self or scale == "group"
        beyond = earned - (earned.mean(axis=0) if whole else leave_one_out(earned))
        if scale == "group":
            beyond /= totals.std(ddof=1) + 1e-4
        for row, index in zip(beyond, mates, strict=True):
            advantages[index] = row[: len(togo[index])]
        rounding = 1e-12 * max(1.0, float(np.abs(earned).max()))
        if all(np.allclose(advantages[index], 0.0, atol=rounding) for index in mates):
            flat += 1
            for index in mates:  # what rounding left of them is nothing to learn from
                advantages[index] = np.zeros(len(togo[index]))
    return GroupAdvantages(advantages, several, flat)


def _to_go(rewards: Array, gamma: float, credit: str) -> Array:
    if credit == "trajectory":
        return np.full(len(rewards), rewards.sum())
    return _accumulated(rewards, np.full(len(rewards), gamma))


def leave_one_out(earned: Array) -> Array:
    """For each of a group's traces the mean of the others', turn by turn: [G, T] to [G, T], G of
    at least 2."""
    others: Array = earned.sum(axis=0) - earned
    return others / (len(earned) - 1)


def _by_turn(togo: Sequence[Array]) -> Array:
    """A group's traces as rows [G, T]: a shorter one goes on with its last turn (one without any
    turn: with 0)."""
    longest = max(len(row) for row in togo)
    matrix = np.zeros((len(togo), longest))
    for line, row in zip(matrix, togo, strict=True):
        if len(row):
            line[: len(row)], line[len(row) :] = row, row[-1]
    return matrix


class RoleBaseline:
    """A moving average of what each (game, role, opponent) earns: the baseline where nobody played
    the same task. Bias-corrected as Adam's moments are."""

    def __init__(self, decay: float = 0.95) -> None:
        self.decay = decay
        self._kept: dict[Hashable, tuple[float, int]] = {}

    def value(self, key: Hashable) -> float:
        """What this role has earned on average, before the present rollout; 0 if never seen."""
        average, updates = self._kept.get(key, (0.0, 0))
        return average / (1 - self.decay**updates) if updates else 0.0

    def update(self, key: Hashable, totals: Sequence[float]) -> None:
        """Take in what the traces of one rollout earned in this role, if any did."""
        if not len(totals):
            return
        average, updates = self._kept.get(key, (0.0, 0))
        mean = float(np.mean(totals))
        self._kept[key] = (self.decay * average + (1 - self.decay) * mean, updates + 1)

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        rows = [[list(key), *kept] for key, kept in self._kept.items()]  # type: ignore[call-overload]
        return {"averages": rows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._kept = {tuple(key): (mean, count) for key, mean, count in state["averages"]}


def moments(values: Array) -> Moments:
    """(count, sum, sum of squares)."""
    return float(len(values)), float(values.sum()), float((values * values).sum())


def whiten(values: Array) -> Array:
    """Values with mean 0 and deviation 1."""
    count, first, second = moments(values)
    mean = first / max(1.0, count)
    variance = max(0.0, second / max(1.0, count) - mean * mean)
    scaled: Array = (values - mean) / (np.sqrt(variance) + 1e-8)
    return scaled
