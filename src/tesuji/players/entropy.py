"""A Wordle player that asks for the most information: of the words still possible, which guess is
expected to leave the fewest, or to tell the most bits (Neuwirth 1982 did so for Mastermind)?

It looks one guess ahead, which is near the best there is but not proven best. It knows what the
seat may know: the list of words and the marks, and neither the answer nor the split.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tesuji.core.errors import GameError, RecipeError
from tesuji.core.types import Move
from tesuji.games.wordle import WordleGame, WordleMatch
from tesuji.players.base import MoveRequest, Player, Reply

if TYPE_CHECKING:
    from numpy import ndarray

REMEMBERED = 100_000  # situations whose guess is kept, the oldest forgotten first
AT_ONCE = 4_000_000  # marks looked at in one go: 100 MB
BITS, SIZE = "bits", "size"


class EntropyPlayer(Player):
    """Guesses the word with the largest expected information (`by: bits`), or the smallest expected
    number of words left (`by: size`). Of equals a word that may be the answer goes first, then the
    more frequent one; the last guess of a match is always one that may be right.

    Raises RecipeError for another `by`, GameError for another game.
    """

    name = "entropy"

    def __init__(self, by: str = BITS) -> None:
        if by not in (BITS, SIZE):
            raise RecipeError(
                f"no such measure: {by!r}", where="player: entropy", hint=f"{BITS} or {SIZE}"
            )
        self.by = by
        self._known: dict[tuple[object, ...], int] = {}

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """One guess a request."""
        return [self._one(request) for request in requests]

    def _one(self, request: MoveRequest) -> Reply:
        game, match = request.game, request.match
        if not isinstance(game, WordleGame) or not isinstance(match, WordleMatch):
            raise GameError("entropy plays wordle only", where="player: entropy")
        legal, possible, last = request.legal or (), match.possible(), match.left == 1
        hints = match.guessed if len(legal) < len(game.guesses) else ()  # they matter in hard mode
        key = (game.guesses, possible, last, hints)
        if key not in self._known:
            self._known[key] = self._best(game, legal, possible, last=last)
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        return Reply(move=game.moves[self._known[key]])

    def _best(
        self, game: WordleGame, legal: Sequence[Move], possible: tuple[int, ...], *, last: bool
    ) -> int:
        """The place of the best guess in the list of guesses. The possible words come first in that
        list, at the same places, and in every mode they may be guessed."""
        if len(possible) <= 2 or last:
            return possible[0]
        import numpy as np

        guesses = np.array([move.id for move in legal])
        step = max(1, AT_ONCE // len(possible))
        parts = [guesses[start : start + step] for start in range(0, len(guesses), step)]
        value = np.concatenate([self._value(split_sizes(game, part, possible)) for part in parts])
        may_be_right = np.isin(guesses, possible)
        order = np.lexsort((guesses, ~may_be_right, -np.round(value, 9)))
        return int(guesses[order[0]])

    def _value(self, sizes: "ndarray") -> "ndarray":
        """What each guess is worth [G], given the sizes [G, P] of the groups it splits into."""
        import numpy as np

        share = sizes / sizes.sum(axis=1, keepdims=True)
        if self.by == SIZE:
            fewest: ndarray = -(sizes * share).sum(axis=1)
            return fewest
        logs = np.log2(share, out=np.zeros_like(share), where=share > 0)
        bits: ndarray = -(share * logs).sum(axis=1)
        return bits


def split_sizes(game: WordleGame, guesses: "ndarray", possible: Sequence[int]) -> "ndarray":
    """How many of the possible words would get each pattern of marks: [guesses, patterns], for
    guesses [G] as places in the list of guesses."""
    import numpy as np

    patterns = 3**game.settings.length
    shown = game.table.full()[guesses][:, list(possible)].astype(np.int64)
    rows = np.arange(len(guesses), dtype=np.int64)[:, None] * patterns
    counts = np.bincount((shown + rows).ravel(), minlength=len(guesses) * patterns)
    return counts.reshape(len(guesses), patterns)
