"""Played hands as hand histories: pokerkit writes them, in the format PHH.

    save_hands(out / "hands.phhs", game, episodes)

Other tools read the file, and so does `tesuji data import`.
"""

from collections.abc import Iterable
from pathlib import Path

from pokerkit import HandHistory

from tesuji.core.files import write_text
from tesuji.core.types import Ending, Episode
from tesuji.games.base import Game, play_through
from tesuji.games.poker.game import PokerGame
from tesuji.games.poker.hand import PokerMatch, table_of

HANDS = "hands.phhs"


def save_hands(path: Path, game: Game, episodes: Iterable[Episode]) -> int:
    """Write the hands to `path`, a section each, and say how many there were.

    Nothing is written for other games than those of the family `poker`. Hands broken off by an
    error are left out; their number in the file is the episode's place.
    """
    if not isinstance(game, PokerGame):
        return 0
    texts = [
        f"[{place}]\n{history_of(game, episode, place).dumps()}"
        for place, episode in enumerate(episodes, start=1)
        if episode.ending is not Ending.ERROR
    ]
    write_text(path, "\n\n".join(texts) + "\n" if texts else "")
    return len(texts)


def history_of(game: PokerGame, episode: Episode, number: int = 0) -> HandHistory:
    """The hand of an episode of this game, played again.

    A forfeit is a fold where folding is allowed. Where it is not (there is nothing to call), and
    where others would have had to play on, the history stops there; what each seat was left with
    stands in it in any case, but for hands cut off by the move limit.
    """
    match = play_through(
        game.start(episode.seed),
        [(turn.seat, turn.played) for turn in episode.turns if turn.played is not None],
    )
    assert isinstance(match, PokerMatch)
    if episode.ending is Ending.FORFEIT and episode.offender is not None:
        match.forfeit(episode.offender)
        if match.state.can_fold():
            match.state.fold()
    over = not match.to_act or episode.ending is Ending.FORFEIT
    gains = zip(game.stakes.stacks, match.chips(), strict=True)
    return HandHistory.from_game_state(
        table_of(game.stakes),
        match.state,
        players=list(episode.players),
        finishing_stacks=[stack + gain for stack, gain in gains] if over else None,
        hand=number,
        author="tesuji",
    )
