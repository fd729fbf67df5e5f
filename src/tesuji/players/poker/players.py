"""Players for the games of the family `poker`: one that never folds, a script, one that counts.

Each is told what its seat knows (`PokerMatch.situation`) and nothing else.
"""

from abc import abstractmethod
from functools import lru_cache

from tesuji.core.seeds import stream
from tesuji.core.types import Move
from tesuji.games.poker.hand import PokerMatch
from tesuji.games.poker.situation import Situation, bet_text
from tesuji.players.base import MoveRequest, OneByOne, Reply
from tesuji.players.poker.equity import equity
from tesuji.players.poker.tight_aggressive import Choice, by_rule, sized

MARGIN = 0.03  # what a call has to be worth beyond its price


class PokerPlayer(OneByOne):
    """Decides from what its seat knows; subclasses say how."""

    @abstractmethod
    def decide(self, at: Situation, kind: str, seed: int) -> Choice:
        """What to do in this situation of a game of this kind."""

    def reply(self, request: MoveRequest) -> Reply:
        """A move: of a bet that is not on the menu, the nearest that is."""
        match = request.match
        if not isinstance(match, PokerMatch):
            return Reply(error=f"{self.name} plays the games of the family poker only")
        at = match.situation(request.seat)
        return Reply(move=as_move(match, at, self.decide(at, match.stakes.game, request.seed)))


def as_move(match: PokerMatch, at: Situation, choice: Choice) -> Move:
    """The choice as a move of this match."""
    menu = match.totals
    bets = {total: move for move, total in menu.items() if total}
    if choice.total is None or not bets:
        folds = choice.action == "fold" and at.to_call
        return next(
            move for move in menu if not menu[move] and (move.text == "fold") == bool(folds)
        )
    total = int(choice.total)
    if match.stakes.bets == "text":
        return bets.get(total) or Move(-1, bet_text(at, total))
    return bets[min(bets, key=lambda listed: (abs(listed - total), listed))]


class AlwaysCallPlayer(PokerPlayer):
    """Checks and calls whatever comes: never folds, never bets."""

    name = "always_call"

    def decide(self, at: Situation, kind: str, seed: int) -> Choice:
        """Call."""
        return Choice("call")


class TightAggressivePlayer(PokerPlayer):
    """Bets and raises good hands and gives up bad ones, by a fixed rule (`tight_aggressive.py`)."""

    name = "tight_aggressive"

    def decide(self, at: Situation, kind: str, seed: int) -> Choice:
        """By the rule; it looks at no opponent and draws nothing."""
        return by_rule(at)


class EquityPlayer(PokerPlayer):
    """Compares how often its hand wins against random hands of those still in with the price.

    It raises about the pot with a hand that wins `raise_at` times as often as its fair share
    (1.3: two players, 65%), calls where a call pays, and else gives up. `samples` deals a decision.
    It believes nobody: a raise tells it nothing.
    """

    name = "equity"

    def __init__(self, samples: int = 200, raise_at: float = 1.3) -> None:
        self.samples, self.raise_at = samples, raise_at

    def decide(self, at: Situation, kind: str, seed: int) -> Choice:
        """Raise, call or give up."""
        share = self.share(at, kind, seed)
        if at.least is not None and share * at.players_left >= self.raise_at:
            return Choice("bet", sized(at, at.highest + at.pot + at.to_call))
        price = float(at.to_call / (at.pot + at.to_call))
        worth = not at.to_call or share >= price + MARGIN
        return Choice("call") if worth else Choice("fold")

    def share(self, at: Situation, kind: str, seed: int) -> float:
        """The share of the pot its hand wins on average; before the flop kept by kind of hand."""
        others = at.players_left - 1
        if at.board or len(at.hole) != 2:
            return equity(kind, at.hole, at.board, others, samples=self.samples, seed=seed)
        return _before_the_flop(kind, at.hole, others, self.samples)


@lru_cache(maxsize=65536)
def _before_the_flop(kind: str, hole: tuple[object, ...], others: int, samples: int) -> float:
    cards = sorted(hole, key=repr)
    seed = stream("equity", kind, repr(cards), others)
    return equity(kind, cards, (), others, samples=samples, seed=seed)
