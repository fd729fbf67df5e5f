"""Decisions in words: reading "raise to 12.5bb" out of a reply.

Thoughts are stripped before. A reply that names several different actions, or several sizes, names
none: nothing is guessed. Bets and raises spoken of ("his raise", "the bet") are no actions;
negations ("not fold") are not understood, so "don't fold, call" names two.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

Action = Literal["fold", "check", "call", "bet", "raise", "all-in"]
ACTIONS: tuple[Action, ...] = get_args(Action)
PLAIN: tuple[Action, ...] = ("fold", "check", "call")
SIZED: tuple[Action, ...] = ("bet", "raise", "all-in")
LONGEST = 20_000  # characters that are looked at

_NUMBER = r"[$€£]?(?P<{0}>\d+(?:,\d{{3}})*(?:\.\d+)?|\.\d+)"
_UNIT = r"(?P<k>k\b)?(?:\s*-?(?P<bb>bbs?\b|big blinds?\b))?"
_SIZE = (
    rf"(?:\s+(?:from\s+{_NUMBER.format('start')}\s+)?(?:to\s+|up to\s+|of\s+)?"
    rf"|\s*[:=(\[]\s*){_NUMBER.format('size')}{_UNIT}(?:\s*chips?\b)?"
)
_ALL_IN = r"(?:all[\s-]?in|shov(?:e|es|ing)|jam(?:s|ming)?)"
_ACTION = re.compile(
    rf"(?P<spoken>\b(?:the|his|her|their|its|this|that|each|every|any|facing an?)\s+"
    rf"(?:[$\d.,a-z-]+\s+)?)?"
    rf"(?:\b(?P<fold>fold(?:s|ing|ed)?)\b|\b(?P<check>check(?:s|ing|ed)?)\b"
    rf"|\b(?P<call>call(?:s|ing|ed)?)\b|\b(?P<allin>{_ALL_IN})\b"
    rf"|(?P<again>\b\d-?)?(?P<bet>(?<![a-z])bet(?:s|ting)?)\b"
    rf"|\b(?P<raise>(?:re-?)?rais(?:e|es|ed|ing)|complet(?:e|es|ing))\b)"
    rf"(?:{_SIZE})?",
    re.IGNORECASE,
)
_OTHER_SIZE = re.compile(rf"\s*(?:or|and|-|–|/|to)\s*{_NUMBER.format('size')}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Decision:
    """One action; `amount` is the total bet or raised *to*, None where no size was named.

    `in_blinds` says that the amount is counted in big blinds.
    """

    action: Action
    amount: float | None = None
    in_blinds: bool = False

    def chips(self, big_blind: float = 1.0) -> float | None:
        """The amount in chips."""
        if self.amount is None:
            return None
        return self.amount * big_blind if self.in_blinds else self.amount


def decision_in(text: str) -> Decision | None:
    """The decision that these words name, or None. Never raises."""
    if not text or len(text) > LONGEST:
        return None
    decisions: list[Decision] = []
    for match in _ACTION.finditer(text):
        decision = _decision(match)
        if decision is not None:
            if decision.amount is not None and _OTHER_SIZE.match(text, match.end()):
                return None
            decisions.append(decision)
    return _one(list(dict.fromkeys(decisions)))


def _decision(match: "re.Match[str]") -> Decision | None:
    spoken = match["spoken"] is not None and not match["allin"]
    plain = next((action for action in PLAIN if match[action]), None)
    if plain is not None:
        return None if spoken else Decision(plain)
    if match["allin"]:
        return Decision("all-in")
    if spoken:
        return None
    action: Action = "raise" if match["raise"] or match["again"] else "bet"
    size = match["size"]
    if size is None:
        return Decision(action)
    amount = float(size.replace(",", "")) * (1000 if match["k"] else 1)
    return Decision(action, amount, match["bb"] is not None)


def _one(decisions: list[Decision]) -> Decision | None:
    """The one decision that was named, perhaps once more without its size."""
    actions = {decision.action for decision in decisions}
    if "all-in" in actions and actions <= {"all-in", "bet", "raise"}:
        return Decision("all-in")
    if actions == {"all-in", "call"}:
        return Decision("call")
    if len(actions) != 1:
        return None
    sized = [decision for decision in decisions if decision.amount is not None]
    if len(sized) > 1:
        return None
    return (sized or decisions)[0]
