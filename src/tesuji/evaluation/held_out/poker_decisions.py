"""How well decisions are predicted, as PokerBench counts it: the action, and the size of a bet.

    score = score_decisions(replies, labels, phases=phases, training=training_labels)

An action is right when it is the one named: fold, check, call, bet, raise; all-in counts as right
for a bet or raise, and the other way round, since it is one of a certain size. A decision is right
exactly when the size is, too, within a share `band` of the labelled one; an all-in is so only for
an all-in, since a reply does not tell the stack. A reply that names no decision, or several, is
wrong. Beside every share stands what saying the commonest training label all the time would score.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tesuji.core.errors import DataError
from tesuji.core.statistics import Share, share
from tesuji.games.poker.read_decision import SIZED, Decision
from tesuji.logs.poker.label_balance import LabelBalance, label_balance
from tesuji.players.poker.read_reply import read_decision

BAND = 0.25
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Baseline:
    """What always saying the same scores: the commonest action, and the commonest whole label.

    Both are taken from the training labels, the shares from the labels that are scored.
    """

    action: str
    action_share: Share
    label: str
    exact_share: Share


@dataclass(frozen=True, slots=True)
class DecisionScore:
    """Decisions against their labels. `unread` replies named no decision or several.

    `sized` is the share of right sizes among the bets and raises with a size, where the action was
    right. `by_action` is by the labelled action, `by_phase` by street. `baseline` is None where no
    training labels were given; `balance` is of the labels scored.
    """

    action: Share
    exact: Share
    sized: Share
    unread: int
    band: float
    by_phase: Mapping[str, tuple[Share, Share]]
    by_action: Mapping[str, Share]
    baseline: Baseline | None
    balance: LabelBalance


def score_decisions(
    predicted: Sequence[str],
    correct: Sequence[str],
    band: float = BAND,
    *,
    phases: Sequence[str] | None = None,
    training: Sequence[str] | None = None,
    big_blind: float = 1.0,
) -> DecisionScore:
    """Score replies against labels; `phases[i]` is the street of row i.

    `big_blind` is its size in chips, for sizes said in big blinds. `by_phase` holds (action, exact)
    for each street. Raises DataError when the lengths differ or a label names no decision.
    """
    labels = [_label(text, place) for place, text in enumerate(correct)]
    decisions = [read_decision(reply) for reply in predicted]
    _same_length(decisions, labels, phases)
    acted = [same_action(one, label) for one, label in zip(decisions, labels, strict=True)]
    exact = [
        same_decision(one, label, band, big_blind)
        for one, label in zip(decisions, labels, strict=True)
    ]
    counted = [
        right and label.amount is not None and label.action in SIZED
        for right, label in zip(acted, labels, strict=True)
    ]
    return DecisionScore(
        action=share(acted),
        exact=share(exact),
        sized=share([one for one, counts in zip(exact, counted, strict=True) if counts]),
        unread=decisions.count(None),
        band=band,
        by_phase=_by_phase(phases, acted, exact),
        by_action=_by_action(labels, acted),
        baseline=_baseline(training, labels, band, big_blind) if training else None,
        balance=label_balance(correct),
    )


def same_action(decision: Decision | None, label: Decision) -> bool:
    """Whether the action is the labelled one; all-in is a bet or raise of a certain size."""
    if decision is None:
        return False
    if "all-in" in (decision.action, label.action):
        return decision.action in SIZED and label.action in SIZED
    return decision.action == label.action


def same_decision(
    decision: Decision | None, label: Decision, band: float = BAND, big_blind: float = 1.0
) -> bool:
    """Whether the action is right and so is the size: at most `band` of the labelled one away.

    A label without a size asks for none; a reply without one is not exact where the label has one.
    """
    if decision is None or not same_action(decision, label):
        return False
    if "all-in" in (decision.action, label.action):
        return decision.action == label.action
    labelled, chips = label.chips(big_blind), decision.chips(big_blind)
    if labelled is None or label.action not in SIZED:
        return True
    return chips is not None and abs(chips - labelled) <= band * labelled + 1e-9


def _label(text: str, place: int) -> Decision:
    decision = read_decision(text)
    if decision is None:
        raise DataError(f"label {place} names no decision, or several: {text!r:.80}")
    return decision


def _same_length(
    decisions: Sequence[Decision | None], labels: Sequence[Decision], phases: Sequence[str] | None
) -> None:
    if len(decisions) != len(labels) or (phases is not None and len(phases) != len(labels)):
        counts = f"{len(decisions)} replies, {len(labels)} labels"
        raise DataError(f"{counts}, {len(phases)} phases" if phases is not None else counts)


def _by_phase(
    phases: Sequence[str] | None, acted: Sequence[bool], exact: Sequence[bool]
) -> dict[str, tuple[Share, Share]]:
    rows = list(zip(phases or (), acted, exact, strict=phases is not None))
    return {
        phase: (
            share([row[1] for row in rows if row[0] == phase]),
            share([row[2] for row in rows if row[0] == phase]),
        )
        for phase in dict.fromkeys(row[0] for row in rows)
    }


def _by_action(labels: Sequence[Decision], acted: Sequence[bool]) -> dict[str, Share]:
    rows = list(zip(labels, acted, strict=True))
    return {
        action: share([right for label, right in rows if label.action == action])
        for action in sorted({label.action for label in labels})
    }


def _baseline(
    training: Sequence[str], labels: Sequence[Decision], band: float, big_blind: float
) -> Baseline:
    taught = [_label(text, place) for place, text in enumerate(training)]
    action = Decision(_commonest([decision.action for decision in taught]))
    whole = _commonest(taught)
    return Baseline(
        action=action.action,
        action_share=share([same_action(action, label) for label in labels]),
        label=_words(whole),
        exact_share=share([same_decision(whole, label, band, big_blind) for label in labels]),
    )


def _commonest(values: Sequence[T]) -> T:
    return Counter(values).most_common(1)[0][0]


def _words(decision: Decision) -> str:
    if decision.amount is None:
        return decision.action
    return f"{decision.action} {decision.amount:g}{'bb' if decision.in_blinds else ''}"
