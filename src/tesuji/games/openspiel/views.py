"""What a seat of an OpenSpiel game is shown, and what the rules call it.

Known faults of OpenSpiel 2.0.2, shown in `tests/games/openspiel/test_openspiel_faults.py`:

- `str(state)` shows every hand (Leduc poker, liar's dice, ...): it is for replays only.
- liars_dice, hearts, oh_hell, sheriff and tarok have no observation string: a seat is shown its
  information state. gin_rummy, hanabi, skat and others have only an observation string, which
  forgets earlier turns.
- repeated_leduc_poker: once a hand is over, both information state and observation show the
  cards of both seats, even of the one that folded: masked here.
- go_fish tells everyone the rank of a card that one seat drew from the stock: masked here.
- blackjack and solitaire: the information state is a list of action numbers; battleship: a list
  of shots without a board. A seat is shown the observation instead.
- einstein_wurfelt_nicht: the board does not show the die that was rolled; only the legal moves do.
- hearts: IS-MCTS can end the process with a segmentation fault; bridge: its double-dummy solver
  makes IS-MCTS take seconds a move. Neither lists `ismcts`.
- MCTSBot takes hidden-information games and looks at the true hands: never list `mcts` there.
- bridge_uncontested_bidding, negotiation and tarok draw from a generator inside the *game*: two
  matches that share a pyspiel.Game change each other. add_noise does the same without saying so.
- crossword has no numbered actions; twixt writes terminal colours unless told not to; quoridor
  prints a warning of its own about known issues.
- Absurd options end the process (`universal_poker(numPlayers=3)`, `havannah(board_size=100)`,
  `hanabi(colors=9)`): checked in `options.py`.
"""

import re
from collections.abc import Callable
from typing import Any, cast

import pyspiel

from tesuji.core.files import read_beside

View = Callable[[Any, int], str]

# Imperfect-information games whose information state is only a list of numbers.
_BOARD_SAYS_MORE = frozenset({"battleship", "blackjack", "solitaire"})


def role_of(name: str, seat: int) -> str:
    """What the rules of `name` call this seat, else "Player 0" and so on."""
    roles = read_beside(__file__, "rulebook.yaml")["roles"].get(name, ())
    if name.startswith("matrix_"):
        roles = ("Row player", "Column player")
    return roles[seat] if seat < len(roles) else f"Player {seat}"


def view_of(name: str, kind: Any) -> View:
    """The function (state, seat) → text that shows a seat all it may know and nothing else.

    `name` is the game itself, also inside a transformation; `kind` is its pyspiel.GameType.
    """
    imperfect = kind.information == pyspiel.GameType.Information.IMPERFECT_INFORMATION
    history, board = kind.provides_information_state_string, kind.provides_observation_string
    if name in _MASKED:
        return _MASKED[name]
    if history and imperfect and not (board and name in _BOARD_SAYS_MORE):
        return cast(View, pyspiel.State.information_state_string)
    if board:
        return cast(View, pyspiel.State.observation_string)
    return cast(View, pyspiel.State.information_state_string) if history else _whole


def _whole(state: Any, seat: int) -> str:
    """Only for perfect information, where the position hides nothing."""
    return str(state)


def _leduc_hands(state: Any, seat: int) -> str:
    """Without the other seats' cards where a hand ended by a fold."""
    view: str = state.information_state_string(seat)
    if "Fold" not in view:
        return view
    return re.sub(r"(?m)^(Cards \(public[^)]*\): )(.*)$", lambda m: _own_cards(m, seat), view)


def _own_cards(line: re.Match[str], seat: int) -> str:
    public, *private = line[2].split()
    kept = [card if index == seat else "?" for index, card in enumerate(private)]
    return line[1] + " ".join([public, *kept])


def _fish(state: Any, seat: int) -> str:
    """Without the rank that another seat drew from the stock, which OpenSpiel calls seat -3."""
    view: str = state.information_state_string(seat)
    return re.sub(r"(\d+) asked -3 for \d+ recieved \d+", r"\1 drew a card", view)


_MASKED: dict[str, View] = {"go_fish": _fish, "repeated_leduc_poker": _leduc_hands}
