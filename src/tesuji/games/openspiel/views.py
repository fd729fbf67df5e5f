"""What a seat of an OpenSpiel game is shown, and what the rules call it.

Faults of OpenSpiel 2.0.2 that we know of; `tests/games/openspiel/test_openspiel.py` shows each:

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

View = Callable[[Any, int], str]

# Imperfect-information games whose information state is only a list of numbers.
_BOARD_SAYS_MORE = frozenset({"battleship", "blackjack", "solitaire"})

_X_O = ("x", "o")
_BLACK_WHITE = ("Black", "White")
_WHITE_BLACK = ("White", "Black")
_COMPASS = ("North", "East", "South", "West")
_ROW_COLUMN = ("Row player", "Column player")

_ROLES: dict[str, tuple[str, ...]] = {
    "amazons": ("X", "O"),
    "antichess": _BLACK_WHITE,
    "backgammon": _X_O,
    "breakthrough": _BLACK_WHITE,
    "bridge": _COMPASS,
    "checkers": ("o", "+"),
    "chess": _BLACK_WHITE,
    "clobber": ("o", "x"),
    "connect_four": _X_O,
    "crazyhouse": _BLACK_WHITE,
    "cursor_go": _BLACK_WHITE,
    "dark_chess": _BLACK_WHITE,
    "dark_hex": _X_O,
    "dark_hex_ir": _X_O,
    "einstein_wurfelt_nicht": _BLACK_WHITE,
    "euchre": _COMPASS,
    "go": _BLACK_WHITE,
    "gomoku": _BLACK_WHITE,
    "havannah": ("O", "@"),
    "hearts": _COMPASS,
    "hex": _X_O,
    "hive": _WHITE_BLACK,
    "kriegspiel": _BLACK_WHITE,
    "latent_ttt": _X_O,
    "lewis_signaling": ("Sender", "Receiver"),
    "lines_of_action": _X_O,
    "mnk": _X_O,
    "nine_mens_morris": _WHITE_BLACK,
    "othello": ("Black (x)", "White (o)"),
    "pentago": ("O", "@"),
    "phantom_go": _BLACK_WHITE,
    "phantom_ttt": _X_O,
    "phantom_ttt_ir": _X_O,
    "rbc": _BLACK_WHITE,
    "sheriff": ("Smuggler", "Sheriff"),
    "shogi": _BLACK_WHITE,
    "spades": _COMPASS,
    "tic_tac_toe": _X_O,
    "twixt": _X_O,
    "ultimate_tic_tac_toe": _X_O,
    "xiangqi": ("Red", "Black"),
    "y": ("O", "@"),
}


def role_of(name: str, seat: int) -> str:
    """What the rules of `name` call this seat, else "Player 0" and so on."""
    if name.startswith("matrix_") and seat < 2:
        return _ROW_COLUMN[seat]
    roles = _ROLES.get(name, ())
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
    shown: str = state.information_state_string(seat)
    if "Fold" not in shown:
        return shown
    return re.sub(r"(?m)^(Cards \(public[^)]*\): )(.*)$", lambda m: _own_cards(m, seat), shown)


def _own_cards(line: re.Match[str], seat: int) -> str:
    public, *private = line[2].split()
    kept = [card if index == seat else "?" for index, card in enumerate(private)]
    return line[1] + " ".join([public, *kept])


def _fish(state: Any, seat: int) -> str:
    """Without the rank that another seat drew from the stock, which OpenSpiel calls seat -3."""
    shown: str = state.information_state_string(seat)
    return re.sub(r"(\d+) asked -3 for \d+ recieved \d+", r"\1 drew a card", shown)


_MASKED: dict[str, View] = {"go_fish": _fish, "repeated_leduc_poker": _leduc_hands}
