"""How often each kind of decision occurs in a set, and what that means for what can be learnt."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tesuji.games.poker.read_decision import ACTIONS
from tesuji.players.poker.read_reply import read_decision

ENOUGH = 20  # decisions; below that a class can be absent by chance
LOPSIDED = 0.9


@dataclass(frozen=True, slots=True)
class LabelBalance:
    """Decisions by kind, the commonest first; `unread` named no decision or several."""

    counts: dict[str, int]
    unread: int
    warnings: tuple[str, ...]

    @property
    def total(self) -> int:
        """How many decisions were counted."""
        return sum(self.counts.values())

    @property
    def shares(self) -> dict[str, float]:
        """Each kind's share of those read."""
        return {action: count / self.total for action, count in self.counts.items()}


def label_balance(replies: Iterable[str]) -> LabelBalance:
    """Count the decisions in `replies` by kind."""
    read = [read_decision(reply) for reply in replies]
    counts = Counter[str](decision.action for decision in read if decision is not None)
    ordered = {name: counts[name] for name in sorted(counts, key=lambda one: (-counts[one], one))}
    return LabelBalance(ordered, read.count(None), tuple(_warnings(ordered)))


def _warnings(counts: dict[str, int]) -> list[str]:
    total = sum(counts.values())
    if total < ENOUGH:
        return []
    warnings = [_never(action) for action in ACTIONS[:3] if action not in counts]
    if not counts.keys() & {"bet", "raise", "all-in"}:
        warnings.append("No decision is a bet or a raise.")
    top, most = next(iter(counts.items()))
    if most > LOPSIDED * total:
        warnings.append(f"{most} of {total} decisions are {top}: always saying so scores as much.")
    return warnings


def _never(action: str) -> str:
    if action == "fold":
        return "No decision is fold. Sets built from showdowns never say fold."
    return f"No decision is {action}."
