"""Rule faults of TextArena 0.7.4 that we know of, each shown by `test_textarena_faults.py`.

The environments are played as they are, faults included: that is what everybody else meets.

SecretMafia
- Once Doctor and Detective are both dead, the Mafia's choice at night is dropped: nobody is killed
  at night any more. `fix_night_kills: true` mends it.
- The message says "between 5 and 15" players; it takes 6 to 15.
- The list of targets is not held to: the Mafia may kill one of its own, the Doctor protect itself.
- A vote written `[Player 3]` is counted, but the others read an empty message, because such tags
  are taken out of what is said; `[3]` is passed on.
- A tie at a vote is broken by lot: "No consensus" is said only where nobody's vote counted.
- A villager thrown out for a second bad vote may end the match (the Mafia has parity), and yet the
  votes are counted after that: the winner can change.

KuhnPoker: bets and calls move no chips; every pot is the two antes, whatever was bet.

Poker: who is out of chips is counted out again every round, so that rewards meant to lie between -1
and 1 do not (15 and 5 of two players).

PublicGoodsGame, MarketEntryGame and others for many: once every player is out for refused replies,
the library looks for the next one for ever. `Eliminated` turns that into an error of the match.

Countdown, Cryptarithm, Slitherlink, ThreeCardMonte hand over arguments in the wrong order: what the
player said is shown as `0`, and a second refused reply pays a sentence, which counts as 0 here.

FifteenPuzzle breaks where the puzzle is solved (a TypeError of its own: it asks for `set_winners`,
which a match for one seat has not). `solved` gives it one.

Bandit compares the button with a table of all buttons, so that no choice is right, and pays the
regret: the worse the choice, the more. 2048 pays 1 for many points without the tile, Countdown
where the target is among the numbers, Slitherlink for numbers that are right without a loop:
`facts.py` says whose word counts. GuessTheNumber and FrozenLake overlook a goal reached in the last
turn.

CharacterConclave breaks at the first reply (a TypeError), so that it is listed as unavailable.

All: a seed given to `reset` seeds Python's global generator, so that matches played in turns change
each other; `seeding.py` keeps them apart.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any


@cache
def mend_night_kills(kind: type[Any]) -> type[Any]:
    """SecretMafia's environment with the Mafia's choice carried out before the day begins, when
    neither Doctor nor Detective is there to end the night."""

    class Mended(kind):
        """SecretMafia in which the night's victim dies, whoever is alive."""

        def _send_phase_prompts(self) -> None:
            state = self.state
            day = self.phase.value == "Day-Discussion"
            if day and state.game_state["pending_elimination"] is not None:
                self._resolve_night_outcome()
                if state.done:
                    self.next_player_ids = [state.current_player_id]  # the caller takes one
                    return
            super()._send_phase_prompts()

    return Mended


def solved(state: Any) -> None:
    """Let a state for one seat take the news that its seat has won."""
    if not hasattr(state, "set_winners") and hasattr(state, "set_outcome"):
        state.set_winners = lambda player_ids, reason: state.set_outcome(1.0, reason)


class Eliminated(list[int]):
    """The seats that are out, as the library keeps them; asked about them over and over again when
    nobody is left, it raises RuntimeError."""

    PATIENCE = 1000

    def __init__(self, seats: Iterable[int], players: int) -> None:
        super().__init__(seats)
        self.players, self.times = players, 0

    def __contains__(self, seat: object) -> bool:
        if len(self) >= self.players and len(set(self)) == self.players:
            self.times += 1
            if self.times > self.PATIENCE:
                raise RuntimeError("every player is out, and it looks for the next one for ever")
        return super().__contains__(seat)
