"""Scripted players for made poker hands.

The rule that labels decisions, `players.poker.tight_aggressive`, is good enough to learn from and
nothing like a solver.
"""

from random import Random
from typing import Literal

from tesuji.games.poker.situation import Situation, bet_text
from tesuji.players.poker.tight_aggressive import Choice, by_rule, sized

Style = Literal["random", "caller", "tight", "raiser"]
STYLES: tuple[Style, ...] = ("random", "caller", "tight", "raiser")


def choose(style: Style, at: Situation, rng: Random) -> Choice:
    """What a player of this style does."""
    if style == "caller":
        return Choice("call")
    if style == "tight" and rng.random() < 0.9:
        return by_rule(at)
    if style == "raiser" and at.least is not None and rng.random() < 0.4:
        return Choice("bet", sized(at, at.pot))
    if style == "raiser":
        return Choice("call")
    return _anything(at, rng)


def _anything(at: Situation, rng: Random) -> Choice:
    actions: list[Literal["fold", "call", "bet"]] = ["call", "call"]
    if at.to_call:
        actions.append("fold")
    if at.least is not None:
        actions.append("bet")
    action = rng.choice(actions)
    if action != "bet":
        return Choice(action)
    return Choice("bet", sized(at, int(float(at.pot) * rng.choice((0.5, 0.75, 1, 2)))))


def in_words(at: Situation, choice: Choice) -> str:
    """The choice in the words of a reply."""
    if choice.total is not None:
        return bet_text(at, choice.total)
    if choice.action == "fold":
        return "fold"
    return "call" if at.to_call else "check"
