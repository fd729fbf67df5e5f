"""Minimax and Monte Carlo tree search for any game of two seats in which nothing is hidden.

They ask a match for its moves and clone it, and nothing else. So they play Tesuji's own games and
those of other packages alike; where OpenSpiel is inside, its own searches are faster.
"""

import math
import random
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence

from tesuji.core.types import Move
from tesuji.games.base import GameInfo, Match
from tesuji.players.base import MoveRequest, Player, Reply


class OpenGamePlayer(Player):
    """What both searches share: which games they fit, and one move a request."""

    @staticmethod
    def plays(info: GameInfo) -> bool | str:
        turns = info.seats == (2, 2) and info.zero_sum and not info.simultaneous
        in_the_open = info.information == "perfect" and not info.chance
        return (turns and in_the_open) or "it needs two seats, turns, no chance, nothing hidden"

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        return [
            Reply(move=self.best(request.match, random.Random(request.seed)))
            for request in requests
        ]

    @abstractmethod
    def best(self, match: Match, rng: random.Random) -> Move:
        """The move to play for the seat that is to act."""


class Minimax(OpenGamePlayer):
    """Every line to its end. Positions that look alike are solved once, so the game's `render` has
    to show all that matters; and the tree has to be small."""

    name = "open_minimax"

    def __init__(self) -> None:
        self._known: dict[str, float] = {}

    def best(self, match: Match, rng: random.Random) -> Move:
        [seat] = match.to_act
        values = {move: self.after(match, move) for move in match.legal_moves(seat) or ()}
        wanted = max(values.values()) if seat == 0 else min(values.values())
        return rng.choice([move for move, value in values.items() if value == wanted])

    def after(self, match: Match, move: Move) -> float:
        """What seat 0 gets once `move` is played, with best play from there."""
        child = match.clone()
        child.play(child.to_act[0], move)
        if not child.to_act:
            return child.returns()[0]
        key = f"{child.to_act[0]}|{child.render()}"
        if key not in self._known:
            [seat] = child.to_act
            values = [self.after(child, reply) for reply in child.legal_moves(seat) or ()]
            self._known[key] = max(values) if seat == 0 else min(values)
        return self._known[key]


class TreeSearch(OpenGamePlayer):
    """UCT (Kocsis and Szepesvari 2006): `simulations` games a move, played at random beyond what
    has been seen; `uct_c` weighs exploration."""

    name = "open_mcts"

    def __init__(self, simulations: int = 200, uct_c: float = 1.4) -> None:
        self.simulations, self.uct_c = simulations, uct_c

    def best(self, match: Match, rng: random.Random) -> Move:
        tree: Tree = defaultdict(lambda: (0, 0.0))
        for _ in range(self.simulations):
            self.simulate(match.clone(), tree, rng)
        moves = match.legal_moves(match.to_act[0]) or ()
        return max(moves, key=lambda move: tree[match.render(), move.id][0])

    def simulate(self, match: Match, tree: "Tree", rng: random.Random) -> None:
        """One game to its end; the first move that is new to the tree is its last one inside."""
        path, inside = [], True
        while match.to_act:
            [seat] = match.to_act
            moves = match.legal_moves(seat) or ()
            move = self.promising(match.render(), moves, tree, rng) if inside else rng.choice(moves)
            if inside:
                path.append((match.render(), move.id, seat))
                inside = tree[match.render(), move.id][0] > 0
            match.play(seat, move)
        for position, number, seat in path:
            visits, total = tree[position, number]
            tree[position, number] = visits + 1, total + match.returns()[seat]

    def promising(
        self, position: str, moves: Sequence[Move], tree: "Tree", rng: random.Random
    ) -> Move:
        """A move never tried, else the one with the highest upper confidence bound."""
        tried = {move: tree[position, move.id] for move in moves}
        if fresh := [move for move, (visits, _) in tried.items() if not visits]:
            return rng.choice(fresh)
        log = math.log(sum(visits for visits, _ in tried.values()))

        def bound(move: Move) -> float:
            visits, total = tried[move]
            return total / visits + self.uct_c * math.sqrt(log / visits)

        return max(moves, key=bound)


Tree = defaultdict[tuple[str, int], tuple[int, float]]  # (position, move) → visits, sum of returns
