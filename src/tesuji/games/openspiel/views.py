"""What a seat of an OpenSpiel game is shown, and what the rules call it.

Known faults of OpenSpiel 2.0.2, shown in `tests/games/openspiel/test_openspiel_faults.py`:

- `str(state)` shows every hand (Leduc poker, liar's dice, ...): it is for replays only.
- liars_dice, hearts, oh_hell, sheriff and tarok have no observation string: a seat is shown its
  information state. gin_rummy, hanabi, skat and others have only an observation string, which
  forgets earlier turns.
- repeated_leduc_poker: once a hand is over, both information state and observation show the
  cards of both seats, even of the one that folded: masked here.
- dark_hex: the information state ends with the number of all moves, which tells how often the
  opponent ran into a stone: masked here, but where the options say `reveal-numturns`.
- gin_rummy does not show who has passed the first upcard, nor what was laid off after the knock,
  though all have seen it and moves depend on it; dou_dizhu shows no bids, nor who played what. Both
  are added here. colored_trails "resamples" the very state: IS-MCTS would see what is hidden.
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


def _dark_hex(state: Any, seat: int) -> str:
    """Without the number of all moves, unless the options give it away."""
    view: str = state.information_state_string(seat)
    revealed = state.get_game().get_parameters().get("obstype") == "reveal-numturns"
    return view if revealed else re.sub(r"(?m)^\d+\n", "", view)


def _gin_rummy(state: Any, seat: int) -> str:
    """With the moves that everybody saw and the board does not show: passes of the first upcard,
    and all since the knock."""
    view: str = state.observation_string(seat)
    played = [one for one in state.full_history() if one.player >= 0]
    moves = [state.action_to_string(one.player, one.action) for one in played]
    if "Phase: FirstUpcard" not in view:
        knocks = [place for place, move in enumerate(moves) if move.endswith("Knock")]
        moves = moves[knocks[0] :] if knocks else []
    return "\n".join([view, *moves])


def _dou_dizhu(state: Any, seat: int) -> str:
    """With all bids and cards played, and by whom; a line a fact."""
    view: str = re.sub("(start player|My position)", r"\n\1", state.observation_string(seat))
    _, bidding, public = str(state).partition("Bidding phase begin")
    return f"{view}\n{bidding}{public}".rstrip()


_MASKED: dict[str, View] = {  # where OpenSpiel's own text says too much or too little
    "dark_hex": _dark_hex,
    "dou_dizhu": _dou_dizhu,
    "gin_rummy": _gin_rummy,
    "go_fish": _fish,
    "repeated_leduc_poker": _leduc_hands,
}
