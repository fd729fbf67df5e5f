"""Advantages: pure functions over one seat's trained tokens, in float64.

Only the tokens a seat sampled count; whatever stood between them (opponents, environment) takes
no part in any recursion. A reward belongs to a turn and is placed on its last trained token.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Moments = tuple[float, float, float]


def token_rewards(rewards: Sequence[float] | Array, turns: Ints) -> Array:
    """Rewards [N] of N tokens from rewards by turn. A turn without trained tokens gives its own
    to the nearest turn before that has some, else to the next one."""
    placed = np.zeros(len(turns))
    ends = np.searchsorted(turns, np.arange(len(rewards)), side="right") - 1
    np.add.at(placed, np.maximum(ends, 0), np.asarray(rewards, dtype=np.float64))
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
    value after the last token: 0 where the match ended by its rules. Returns advantages and
    returns [N].
    """
    earned = token_rewards(rewards, turns) + (0.0 if extra is None else extra)
    crossing = turns[1:] != turns[:-1]
    gammas = np.append(np.where(crossing, gamma, 1.0), 1.0)
    lambdas = np.append(np.where(crossing, gae_lambda, 1.0), 1.0)
    deltas = earned + gammas * np.append(values[1:], bootstrap) - values
    advantages, running = np.empty(len(turns)), 0.0
    for place in range(len(turns) - 1, -1, -1):
        running = deltas[place] + gammas[place] * lambdas[place] * running
        advantages[place] = running
    return advantages, advantages + values


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
    credit: str,
    scale: str,
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
        for place, index in enumerate(mates):
            advantages[index] = _against(togo, mates, place, include_self or scale == "group")
            if scale == "group":
                advantages[index] = advantages[index] / (totals.std(ddof=1) + 1e-4)
        if all(np.allclose(advantages[index], 0.0) for index in mates):
            flat += 1
            for index in mates:  # what rounding left of them is nothing to learn from
                advantages[index] = np.zeros(len(togo[index]))
    return GroupAdvantages(advantages, several, flat)


def _to_go(rewards: Array, gamma: float, credit: str) -> Array:
    if credit == "trajectory":
        return np.full(len(rewards), rewards.sum())
    found, running = np.empty(len(rewards)), 0.0
    for turn in range(len(rewards) - 1, -1, -1):
        running = rewards[turn] + gamma * running
        found[turn] = running
    return found


def _at(togo: Sequence[Array], group: Sequence[int], turn: int) -> Array:
    """What each of the group has still to earn at this turn, or at its last one before."""
    return np.array([togo[index][min(turn, len(togo[index]) - 1)] for index in group])


def _against(togo: Sequence[Array], group: Sequence[int], place: int, include_self: bool) -> Array:
    own = togo[group[place]]
    found = np.empty(len(own))
    for turn in range(len(own)):
        all_ = _at(togo, group, turn)
        others = all_ if include_self else np.delete(all_, place)
        found[turn] = own[turn] - others.mean()
    return found


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
        """Take in what the traces of one rollout earned in this role."""
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


def whiten(values: Array, total: Moments | None = None, *, shift_only: bool = False) -> Array:
    """Values with mean 0 and deviation 1; `total` are the moments over all processes."""
    count, first, second = total or moments(values)
    mean = first / max(1.0, count)
    if shift_only:
        return values - mean
    variance = max(0.0, second / max(1.0, count) - mean * mean)
    return (values - mean) / (np.sqrt(variance) + 1e-8)
