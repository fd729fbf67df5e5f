"""A decision in a line or two, for models that read byte by byte.

    AhKd Jc3d5c ace high
    cr300c/kr150 p750 c150 s9700

Own cards (higher rank first), board, class of the hand; then the betting, a letter an action: f
fold, k check, c call, r300 a bet or raise to 300, streets apart by a slash; the pot, the price, the
own stack.
"""

from dataclasses import dataclass, field

from pokerkit import BoardDealing, CheckingOrCalling, CompletionBettingOrRaisingTo, Folding

from tesuji.games.poker.card_words import HIGH, chips
from tesuji.games.poker.situation import Situation


@dataclass
class Betting:
    """The betting so far in letters."""

    letters: list[str] = field(default_factory=list)

    def read(self, operation: object) -> None:
        """Take in one of pokerkit's operations."""
        match operation:
            case BoardDealing():
                self.letters.append("/")
            case Folding():
                self.letters.append("f")
            case CheckingOrCalling(amount=amount):
                self.letters.append("c" if amount else "k")
            case CompletionBettingOrRaisingTo(amount=amount):
                self.letters.append(f"r{chips(amount)}")

    def __str__(self) -> str:
        return "".join(self.letters)


def brief(at: Situation, betting: Betting) -> str:
    """The two lines."""
    hole = sorted(at.hole, key=lambda card: (-HIGH[card.rank.value], card.suit.value))
    parts = ["".join(map(repr, hole)), "".join(map(repr, at.board)), _class(at)]
    cards = " ".join(filter(None, parts))
    money = f"p{chips(at.pot)} c{chips(at.to_call)} s{chips(at.stack)}"
    return f"{cards}\n{betting} {money}".replace("\n ", "\n")


def _class(at: Situation) -> str:
    """Before the flop what the two cards are together, then the made hand without its ranks."""
    if at.board:
        return at.hand.partition(",")[0]
    if len(at.hole) != 2:
        return ""
    first, second = at.hole
    if first.rank == second.rank:
        return "pair"
    return "suited" if first.suit == second.suit else "offsuit"
