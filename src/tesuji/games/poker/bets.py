"""The moves at a poker table: a short menu of bets, and any other bet said in words.

Move IDs are the same in every position: 0 fold, 1 check or call, then a bet for each share of the
pot, the last one all-in. A bet is named by the total it is made to, as hand histories do.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

from tesuji.core.errors import IllegalMove
from tesuji.core.types import Move
from tesuji.games.poker.read_decision import Decision, decision_in
from tesuji.games.poker.situation import Situation, bet_text

FOLD, CALL, FIRST_BET = 0, 1, 2
MOST = 1e12  # chips: more than any stack
_SHARES = {
    "half": 0.5, "a third": 1 / 3, "third": 1 / 3, "a quarter": 0.25, "quarter": 0.25,
    "two thirds": 2 / 3, "two-thirds": 2 / 3, "three quarters": 0.75, "three-quarters": 0.75,
    "full": 1.0, "": 1.0,
}  # fmt: skip
_SHARE = rf"(?P<share>{'|'.join(filter(None, _SHARES))}|\d{{1,3}}\s*%|[1-9]/[1-9])?"
_OF_POT = re.compile(
    rf"(?:i\s+)?(?:(?:bet|raise)\s+(?:to\s+)?)?{_SHARE}[\s-]*(?:of\s+)?(?:the\s+)?pot"
    rf"(?:[\s-]+(?:bet|raise|size|sized))*",
    re.IGNORECASE,
)


def menu(at: Situation, sizes: Sequence[float]) -> dict[Move, int]:
    """The menu in its order, each move with the total it bets to (0: none).

    A share that comes to the same total as a smaller one, or to the whole stack, is left out.
    """
    passive = "call" if at.to_call else "check"
    moves = {Move(FOLD, "fold"): 0} if at.to_call else {}
    moves[Move(CALL, passive)] = 0
    for place, total in enumerate([*(of_pot(at, size) for size in sizes), all_in(at)]):
        if total and total not in moves.values() and not (place < len(sizes) and _whole(at, total)):
            moves[Move(FIRST_BET + place, bet_text(at, total))] = total
    return moves


def of_pot(at: Situation, share: float) -> int:
    """The total of a bet of this share of the pot, a call counted in; the nearest legal one, 0
    where no bet is allowed. Odd parts of a chip are dropped."""
    wanted = Fraction(share).limit_denominator(1000) * int(at.pot + at.to_call)
    return nearest(at, int(at.highest + int(wanted)))


def all_in(at: Situation) -> int:
    """The total of an all-in bet, 0 where none is allowed."""
    return int(at.most) if at.most is not None and at.all_in else 0


def nearest(at: Situation, total: int) -> int:
    """The legal total nearest to this one, 0 where no bet is allowed."""
    if at.least is None or at.most is None:
        return 0
    return int(min(max(total, at.least), at.most))


def _whole(at: Situation, total: int) -> bool:
    return at.all_in and total == at.most


def bet_of(at: Situation, reply: str, big_blind: int) -> Move:
    """The decision that free text names, as a move without a number (ID -1).

    A size that is too small or too great is read as the nearest legal one; "bet" and "raise" mean
    the same, and without a size the least. Raises IllegalMove, with the reason, for words that name
    no decision or several, and for a decision that is not allowed here.
    """
    if share := _OF_POT.fullmatch(reply.strip(" \n.!")):
        return _bet(at, of_pot(at, _share(share["share"] or "")))
    decision = decision_in(reply)
    if decision is None:
        raise IllegalMove("no decision in the reply, or several", where="poker")
    if decision.action in ("fold", "check", "call"):
        return _passive(at, decision.action)
    if decision.action == "all-in" and at.least is None and at.to_call:
        return Move(-1, "call")  # nobody is left to raise: the stack goes in by calling
    return _bet(at, _total(at, decision, reply, big_blind))


def _share(words: str) -> float:
    text = " ".join(words.lower().split())
    if text in _SHARES:
        return _SHARES[text]
    if text.endswith("%"):
        return int(text.rstrip(" %")) / 100
    above, _, below = text.partition("/")
    return int(above) / int(below)


def _passive(at: Situation, action: str) -> Move:
    allowed = ("fold", "call") if at.to_call else ("check",)
    if action not in allowed:
        raise IllegalMove(
            f"{action} is not allowed here", where="poker", hint=f"allowed: {', '.join(allowed)}"
        )
    return Move(-1, action)


def _total(at: Situation, decision: Decision, reply: str, big_blind: int) -> int:
    if decision.action == "all-in":
        return nearest(at, int(at.most or 0))
    amount = decision.chips(big_blind)
    if amount is not None:
        return nearest(at, round(min(amount, MOST)))
    if re.search(r"\d", reply):
        raise IllegalMove("the size of the bet cannot be read", where="poker")
    return nearest(at, 0)


def _bet(at: Situation, total: int) -> Move:
    if not total:
        raise IllegalMove("no bet is allowed here", where="poker")
    return Move(-1, bet_text(at, total))
