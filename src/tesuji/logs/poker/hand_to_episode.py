"""A hand history becomes an episode: every decision of a player whose cards are known is a turn.

Cards that the history never tells are never guessed. In games where all hole cards are dealt at
once, cards shown at the showdown were held from the start, so the decisions before are known too;
of the others there is no turn, only a count (`provenance["unknown_decisions"]`).

pokerkit mends histories that leave actions out, by inventing checks and folds: such are refused.
"""

import contextlib
import hashlib
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from pokerkit import (
    Card,
    CheckingOrCalling,
    CompletionBettingOrRaisingTo,
    Folding,
    HandHistory,
    HoleCardsShowingOrMucking,
    Operation,
    State,
)

from tesuji.core.types import Attempt, Ending, Episode, Found, Message, Move, Turn
from tesuji.games.poker.history import BETTING, Story
from tesuji.games.poker.prompt import decision_prompt
from tesuji.games.poker.situation import (
    STRUCTURES,
    Situation,
    bet_text,
    has_board,
    legal_moves,
    names_of,
    situation,
)
from tesuji.logs.base import Refused
from tesuji.logs.poker.results import Ended, Results, results_of

GAME = "poker"
MOST_SEATS = 23  # more hold'em players than that need a second deck
MOST_ACTIONS = 1000
OF_A_ROOM = 7  # digits from which on a hand's number is a room's own, not a place in a file
NOTHING_MORE = Ended()
_CARDS = re.compile(r"^(?:d dh p(\d+)|p(\d+) sm) ((?:[2-9TJQKA?][cdhs?])+)(?:\s|$)")
_TITLES = {
    "FT": "hold'em", "NT": "hold'em", "NS": "short-deck hold'em", "PO": "Omaha hold'em",
    "FO/8": "Omaha hold'em high-low split", "F7S": "seven card stud",
    "F7S/8": "seven card stud high-low split", "FR": "razz",
    "N2L1D": "deuce-to-seven single draw", "F2L3D": "deuce-to-seven triple draw", "FB": "badugi",
}  # fmt: skip


@contextlib.contextmanager
def refusing(reason: str) -> Iterator[None]:
    """Turn whatever pokerkit raises on a history it cannot play into Refused.

    It raises ValueError, KeyError, TypeError, AssertionError, decimal's errors and others, since it
    does not check what it is given; so all are caught. Its warnings are about odd but legal plays.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Refused:
        raise
    except Exception as error:
        problem = " ".join(f"{error}".split())[:300]
        raise Refused(reason, problem or type(error).__name__) from error


def read_hand(
    history: HandHistory, *, kind: str, seat: int | None = None, ended: Ended = NOTHING_MORE
) -> Episode:
    """The hand as an episode. `seat` is whose view the history is, if one player wrote it; `ended`
    what else is told of its end.

    Raises Refused: `illegal_action` and `missing_action` where a bet is not allowed or not told,
    `unplayable` where pokerkit fails otherwise, `unknown_cards` where no player's cards are known.
    """
    with refusing("unplayable"):
        _check_size(history)
        replay = _Replay(history)
        replay.run()
        if replay.decisions and not replay.turns and not replay.cards:
            raise Refused("unknown_cards", "the cards of no player who acted are known")
        return _episode(replay, kind, seat, ended)


def _check_size(history: HandHistory) -> None:
    players = len(history.starting_stacks)
    if not 2 <= players <= MOST_SEATS:
        raise Refused("unplayable", f"{players} players")
    if len(history.actions) > MOST_ACTIONS:
        raise Refused("unplayable", f"{len(history.actions):,} actions")


class _Replay:
    """Plays a history on pokerkit and writes down each decision as it stands before it is taken."""

    def __init__(self, history: HandHistory) -> None:
        self.history = history
        self.turns: list[Turn] = []
        self.decisions = 0
        self._applied = 0
        self.invented_shows: set[int] = set()
        self._game = _title(history)

    def run(self) -> None:
        """Play the whole history."""
        states = self.history.state_actions
        self.state, _ = next(states)
        self.names = names_of(self.state)
        self.cards = _known_cards(self.history, self.state)
        self._story = Story(self.state, self.names)
        read = self._tell(0)
        while True:
            before = self._before()
            _, action = next(states, (None, ""))
            if action == "":
                return
            self._applied += action is not None
            for operation in self.state.operations[read:]:
                self._take(operation, before, action)
            read = self._tell(read)

    def _tell(self, read: int) -> int:
        for operation in self.state.operations[read:]:
            self._story.read(operation)
        return len(self.state.operations)

    def _before(self) -> Situation | None:
        """The decision to be taken now, None where there is none or the cards are not known."""
        while self.state.can_burn_card():  # else pokerkit does so and plays on in one step
            self.state.burn_card("??")
        seat = self.state.actor_index
        if seat is None:
            return None
        held = self.cards.get(seat) or tuple(self.state.hole_cards[seat])
        if not held or not all(held):
            return None
        return situation(self.state, self._story, held, self._game)

    def _take(self, operation: Operation, before: Situation | None, action: str | None) -> None:
        if isinstance(operation, HoleCardsShowingOrMucking):  # of all-ins before the board, too
            change = self.invented_shows.add if action is None else self.invented_shows.discard
            change(operation.player_index)
        if not isinstance(operation, BETTING):
            return
        if action is None:
            if self._nobody_to_bet_against(operation):
                return
            raise self._invented(operation)
        self.decisions += 1
        if before is not None:
            self.turns.append(_turn(before, operation))

    def _nobody_to_bet_against(self, operation: Operation) -> bool:
        """Whether it is the check of one whose opponents are all-in, which no history tells."""
        others = set(self.state.player_indices) - {operation.player_index}
        alone = not any(self.state.statuses[s] and self.state.stacks[s] for s in others)
        return alone and isinstance(operation, CheckingOrCalling) and not operation.amount

    def _invented(self, operation: Operation) -> Refused:
        """Why pokerkit put an action of its own here: none is written, or one that cannot be."""
        seat: int = operation.player_index
        rest = self.history.actions[self._applied :]
        if rest and rest[0].startswith(f"p{seat + 1} "):
            return Refused("illegal_action", f"{rest[0][:80]!r} is not allowed there")
        return Refused("missing_action", f"the history does not say what {self.names[seat]} did")


def _title(history: HandHistory) -> str:
    return f"{STRUCTURES[history.variant[0]]} {_TITLES[history.variant]}"


def _known_cards(history: HandHistory, state: State) -> dict[int, tuple[Card, ...]]:
    """Seat → hole cards, dealt or shown, where the game deals them all at once."""
    if not has_board(state):
        return {}
    dealt: dict[int, tuple[Card, ...]] = {}
    for action in history.actions:
        if deal := _CARDS.match(action):
            seat, cards = int(deal[1] or deal[2]) - 1, tuple(Card.parse(deal[3]))
            if all(cards) and len(cards) == len(state.streets[0].hole_dealing_statuses):
                dealt[seat] = cards
    return dealt


def _turn(before: Situation, operation: Operation) -> Turn:
    move, legal = _move(before, operation)
    role = before.names[before.seat]
    return decision_turn(before.seat, role, before.phase, decision_prompt(before), move, legal)


def decision_turn(
    seat: int, role: str, phase: str, prompt: str, move: Move, legal: tuple[Move, ...]
) -> Turn:
    """One decision, taken in the words of its move."""
    messages = (Message(role="user", content=prompt),)
    attempt = Attempt(reply=move.text, found=Found.EXACT, move=move, prompt=messages)
    return Turn(seat, role, prompt, (attempt,), move, phase=phase, legal_moves=legal)


def _move(before: Situation, operation: Operation) -> tuple[Move, tuple[Move, ...]]:
    """The decision in words, with the moves there were; a move between two bounds has ID -1."""
    legal = legal_moves(before)
    if isinstance(operation, Folding):
        text = "fold"
    elif isinstance(operation, CompletionBettingOrRaisingTo):
        text = bet_text(before, operation.amount)
    else:
        text = next(move.text for move in legal if move.text != "fold")
    return next((move for move in legal if move.text == text), Move(-1, text)), legal


def _episode(replay: _Replay, kind: str, seat: int | None, ended: Ended) -> Episode:
    history, state = replay.history, replay.state
    results = results_of(history, state, replay.cards, replay.invented_shows, ended)
    returns = results.returns
    players = tuple(str(name) for name in history.players or ("",) * len(returns))
    known = [won for won in returns if won == won]
    provenance: dict[str, Any] = {
        "kind": kind,
        "match": _match(history),
        "outcome": _outcome(returns, seat) if results.sure else "",
        "notes": _notes(replay, results, ended),
        "roles": {str(place): name for place, name in enumerate(replay.names)},
        "unknown_decisions": replay.decisions - len(replay.turns),
    }
    if seat is not None:
        provenance["seat"] = seat
    if results.sure and (any(won > 0 for won in known) or len(known) == len(returns)):
        provenance["winners"] = [place for place, won in enumerate(returns) if won > 0]
    if not replay.turns:  # of those whose cards are known, such as a big blind all fold to
        provenance["left_out"] = "no_actions"
    return Episode(
        game=GAME,
        options={"variant": history.variant, "players": len(returns)},
        seed=0,
        players=players if len(players) == len(returns) else ("",) * len(returns),
        turns=tuple(replay.turns),
        returns=returns,
        ending=Ending.FINISHED if results.over else Ending.TRUNCATED,
        reason="" if results.over else "the history stops before the hand is over",
        provenance=provenance,
    )


def _notes(replay: _Replay, results: Results, ended: Ended) -> list[str]:
    notes = {
        "unknown_cards": replay.decisions > len(replay.turns),
        "unfinished": not results.over,
        "results_disputed": results.disputed,
        "cashed_out": bool(ended.cash_outs),
        "run_twice": ended.run_twice,
    }
    return [note for note, holds in notes.items() if holds]


def _outcome(returns: Sequence[float], seat: int | None) -> str:
    if seat is None or returns[seat] != returns[seat]:
        return ""
    return "win" if returns[seat] > 0 else "loss" if returns[seat] < 0 else "draw"


def _match(history: HandHistory) -> str:
    """The same for the same hand, whichever file it stands in, whoever's cards it shows.

    A room's own number says which hand it is. Smaller ones count the hands of a table or a file,
    so the hand stands beside them, without the cards that only one player saw; without a number
    the cards belong to it, since short hands are alike.
    """
    number = str(history.hand or "")
    if number.isascii() and number.isdigit() and len(number) >= OF_A_ROOM:
        return f"{history.venue or 'hand'}-{number}"
    of = history.venue, history.event, history.year, history.month, history.day
    hand = [*of, history.variant, history.hand, history.table, history.antes]
    hand += [history.starting_stacks, history.blinds_or_straddles, history.players]
    shown = [_CARDS.sub("", action) if number else action for action in history.actions]
    return f"hand-{digest(repr([*hand, [action for action in shown if action]]))}"


def digest(text: str) -> str:
    """16 letters that tell a text from others."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
