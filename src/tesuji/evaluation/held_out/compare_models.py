"""Several models on the same held-out rows, side by side: base, and after each stage.

    lines = side_by_side({"before": base, "after sft": sft})

A line is a measure for everyone ("of": "all") or for one role, with a cell for each model
`{"label", "value", "low", "high", "count"}`; shares go from 0 to 1, and `kind` tells them from
numbers.
`beside` is what the figure is to be held against, `beside_is` says what that is: a coin, a random
valid target, the commonest training label, what was said in the games. `better` says which way is
good news, "" neither.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from tesuji.core.statistics import Share
from tesuji.evaluation.held_out.poker_decisions import Baseline
from tesuji.evaluation.held_out.results import Likelihood, Preferences, Replies, RowsScore

EVERYONE = "all"
Cell = tuple[float, float | None, float | None, int]  # value, low, high, out of how many
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Part:
    """What one score says of everyone, or of one role."""

    likelihood: Likelihood | None
    preferences: Preferences | None
    replies: Replies | None
    decisions: tuple[Share, Share] | None
    baseline: Baseline | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """One line: where its figure is found in a part (None: not measured), what stands beside it."""

    name: str
    kind: Literal["share", "number"]
    better: Literal["higher", "lower", ""]
    cell: Callable[[Part], Cell | None]
    beside_is: str = ""
    beside: Callable[[Part], float | None] = lambda part: None


def side_by_side(scores: Mapping[str, RowsScore]) -> list[dict[str, Any]]:
    """The lines of the table: each measure for everyone, then by role; what nobody was measured
    on is left out."""
    return [line for measure in MEASURES for line in _lines(measure, scores)]


def _lines(measure: Measure, scores: Mapping[str, RowsScore]) -> Iterator[dict[str, Any]]:
    for role in (EVERYONE, *_roles(scores)):
        parts = {label: _part(score, role) for label, score in scores.items()}
        cells = [_cell(label, measure.cell(part)) for label, part in parts.items()]
        if not any(cell["count"] for cell in cells):
            continue
        known = [measure.beside(part) for part in parts.values()]
        yield {
            "measure": measure.name,
            "kind": measure.kind,
            "better": measure.better,
            "of": role,
            "cells": cells,
            "beside": next((value for value in known[::-1] if value is not None), None),
            "beside_is": measure.beside_is,
        }


def _cell(label: str, measured: Cell | None) -> dict[str, Any]:
    value, low, high, count = measured or (None, None, None, 0)
    return {"label": label, "value": value, "low": low, "high": high, "count": count}


def _roles(scores: Mapping[str, RowsScore]) -> list[str]:
    return sorted(
        {
            name
            for score in scores.values()
            for group in (
                score.likelihood_by_role,
                score.preferences_by_role,
                score.replies_by_role,
                score.decisions_by_role,
            )
            for name in group
        }
    )


def _part(score: RowsScore, role: str) -> Part:
    if role != EVERYONE:
        return Part(
            score.likelihood_by_role.get(role),
            score.preferences_by_role.get(role),
            score.replies_by_role.get(role),
            score.decisions_by_role.get(role),
        )
    decided = score.decisions
    return Part(
        score.likelihood,
        score.preferences,
        score.replies,
        (decided.action, decided.exact) if decided else None,
        decided.baseline if decided else None,
    )


def _of(measured: T | None, pick: Callable[[T], R]) -> R | None:
    return None if measured is None else pick(measured)


def _share(share: Share | None) -> Cell | None:
    if share is None or not share.total:
        return None
    return share.rate, share.interval.low, share.interval.high, share.total


def _perplexity(likelihood: Likelihood) -> Cell:
    bounds = likelihood.perplexity_interval
    low, high = (bounds.low, bounds.high) if math.isfinite(bounds.high) else (None, None)
    return likelihood.perplexity, low, high, likelihood.replies


def _number(pick: Callable[[Replies], float]) -> Callable[[Part], Cell | None]:
    """A mean over all replies, without an interval."""
    return lambda part: _of(part.replies, lambda r: (pick(r), None, None, r.replies))


def _replied(pick: Callable[[Replies], Share]) -> Callable[[Part], Cell | None]:
    return lambda part: _share(_of(part.replies, pick))


def _preferred(pick: Callable[[Preferences], Share]) -> Callable[[Part], Cell | None]:
    return lambda part: _share(_of(part.preferences, pick))


def _spoken(name: Literal["words", "score"]) -> Callable[[Part], Cell | None]:
    def cell(part: Part) -> Cell | None:
        words = _of(part.replies, lambda r: r.said)
        return _of(words, lambda s: (float(getattr(s, name)), None, None, s.replies))

    return cell


def _spoken_there(name: Literal["words", "score"]) -> Callable[[Part], float | None]:
    return lambda part: _of(
        _of(part.replies, lambda r: r.said_there), lambda s: float(getattr(s, name))
    )


MEASURES = (
    Measure(
        "perplexity of held-out replies", "number", "lower",
        lambda part: _of(part.likelihood, _perplexity),
    ),
    Measure(
        "nats a reply", "number", "lower",
        lambda part: _of(part.likelihood, lambda f: (f.nats_per_reply, None, None, f.replies)),
    ),
    Measure(
        "prefers the better reply", "share", "higher", _preferred(lambda p: p.summed),
        "a coin", lambda part: 0.5,
    ),
    Measure(
        "... per token", "share", "higher", _preferred(lambda p: p.per_token),
        "a coin", lambda part: 0.5,
    ),
    Measure("names a valid target", "share", "higher", _replied(lambda r: r.legal)),
    Measure(
        "does as was done there", "share", "", _replied(lambda r: r.agree),
        "a random target", lambda part: _of(part.replies, lambda r: r.agree_random),
    ),
    Measure(
        "votes for who went out", "share", "higher", _replied(lambda r: r.decisive),
        "a random target", lambda part: _of(part.replies, lambda r: r.decisive_random),
    ),
    Measure(
        "right decision", "share", "higher",
        lambda part: _share(_of(part.decisions, lambda d: d[0])),
        "the commonest label", lambda part: _of(part.baseline, lambda b: b.action_share.rate),
    ),
    Measure(
        "... its size too", "share", "higher",
        lambda part: _share(_of(part.decisions, lambda d: d[1])),
        "the commonest label", lambda part: _of(part.baseline, lambda b: b.exact_share.rate),
    ),
    Measure("empty replies", "share", "lower", _number(lambda r: r.empty / r.replies)),
    Measure("replies cut off", "share", "lower", _number(lambda r: r.unfinished / r.replies)),
    Measure("different replies", "share", "", _number(lambda r: r.distinct / r.replies)),
    Measure("tokens a reply", "number", "", _number(lambda r: r.mean_tokens)),
    Measure(
        "strategic words a reply", "number", "", _spoken("words"),
        "said there", _spoken_there("words"),
    ),
    Measure(
        "the guide's form score", "number", "", _spoken("score"),
        "said there", _spoken_there("score"),
    ),
)  # fmt: skip
