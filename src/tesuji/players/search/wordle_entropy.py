"""A Wordle player that asks for the most information: of the words still possible, which guess is
expected to leave the fewest, or to tell the most bits (Neuwirth 1982 did so for Mastermind)?

It looks one guess ahead, which is near the best there is but not proven best. It knows what the
seat may know: the list of words and the marks, and neither the answer nor the split.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tesuji.core.errors import GameError, RecipeError
from tesuji.core.types import Move
from tesuji.games.wordle.game import WordleGame, WordleMatch
from tesuji.players.base import MoveRequest, OneByOne, Reply

if TYPE_CHECKING:
    from numpy import ndarray

REMEMBERED = 100_000  # situations whose guess is kept, the oldest forgotten first
AT_ONCE = 4_000_000  # marks looked at in one go: 100 MB
BITS, SIZE = "bits", "size"


class EntropyPlayer(OneByOne):
    """Guesses the word of largest value: the bits it is expected to tell, and its chance of being
    right (`by: bits`); or minus the number of words it is expected to leave, none where it is right
    (`by: size`). With one guess left only the chance counts. Of equals the more frequent word is
    taken.

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

    def values(self, request: MoveRequest) -> dict[int, float]:
        """Move id → value of every legal guess."""
        import numpy as np

        game, match = _wordle(request)
        guesses = np.array([move.id for move in request.legal or ()])
        values = self._value(game, guesses, match.possible(), last=match.left == 1)
        return dict(zip(guesses.tolist(), values.tolist(), strict=True))

    def reply(self, request: MoveRequest) -> Reply:
        """The guess of largest value."""
        game, match = _wordle(request)
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
        value = self._value(game, guesses, possible, last=last)
        return int(guesses[np.lexsort((guesses, -np.round(value, 9)))[0]])

    def _value(
        self, game: WordleGame, guesses: "ndarray", possible: tuple[int, ...], *, last: bool
    ) -> "ndarray":
        """The value of guesses [G]."""
        import numpy as np

        chance: ndarray = np.isin(guesses, possible) / len(possible)
        if last:
            return chance
        step = max(1, AT_ONCE // len(possible))
        parts = [guesses[start : start + step] for start in range(0, len(guesses), step)]
        measure = _bits if self.by == BITS else _fewest
        gained: ndarray = np.concatenate([measure(split_sizes(game, p, possible)) for p in parts])
        worth: ndarray = gained + chance
        return worth


def _bits(sizes: "ndarray") -> "ndarray":
    """The information [G] expected of guesses that split into groups of these sizes [G, P]."""
    import numpy as np

    share = sizes / sizes.sum(axis=1, keepdims=True)
    logs = np.log2(share, out=np.zeros_like(share), where=share > 0)
    bits: ndarray = -(share * logs).sum(axis=1)
    return bits


def _fewest(sizes: "ndarray") -> "ndarray":
    """Minus the number of words [G] expected to be left, the right one among them."""
    left: ndarray = (sizes * sizes).sum(axis=1) / sizes.sum(axis=1)
    return -left


def _wordle(request: MoveRequest) -> tuple[WordleGame, WordleMatch]:
    game, match = request.game, request.match
    if not isinstance(game, WordleGame) or not isinstance(match, WordleMatch):
        raise GameError("entropy plays wordle only", where="player: entropy")
    return game, match


def split_sizes(game: WordleGame, guesses: "ndarray", possible: Sequence[int]) -> "ndarray":
    """How many of the possible words would get each pattern of marks: [guesses, patterns], for
    guesses [G] as places in the list of guesses."""
    import numpy as np

    patterns = 3**game.settings.length
    codes = game.table.full()[guesses][:, list(possible)].astype(np.int64)
    rows = np.arange(len(guesses), dtype=np.int64)[:, None] * patterns
    counts = np.bincount((codes + rows).ravel(), minlength=len(guesses) * patterns)
    return counts.reshape(len(guesses), patterns)
