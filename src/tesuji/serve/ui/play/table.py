"""One table: a match in a thread of its own, and what is on the table for pages to show.

The match goes through the arena, so that the same rules hold as in evaluation. Pages never touch
the match: the thread leaves a `Scene` behind whenever something has changed.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tesuji.core.errors import IllegalMove, TesujiError
from tesuji.core.redact import redact
from tesuji.core.types import Episode, Move, Task, Turn
from tesuji.episodes.arena import play_matches
from tesuji.games.base import Match
from tesuji.games.picture import Picture
from tesuji.players.base import MoveRequest, Player
from tesuji.players.basic.human import move_of_a_person
from tesuji.serve.ui.play.models import Shared
from tesuji.serve.ui.play.scene import Scene, advised, marked, scene_of
from tesuji.serve.ui.play.seats import Left, Minutes, Person, Remembered, Said
from tesuji.serve.ui.play.setting import Setting, Told
from tesuji.serve.ui.play.thinking import Thoughts, oracle_of, thoughts_on

log = logging.getLogger(__name__)
Stage = Literal["opening", "waiting", "thinking", "over", "broken", "left"]
BUSY = ("opening", "thinking")
PACE = 0.6  # seconds between two rounds that nobody plays by hand
LEAVING = 5.0  # seconds that a thread gets to end


class Table:
    """A table at which a match is played, from the moment it is made. `finished` is told an episode
    that is to be kept, in the table's own thread."""

    def __init__(self, setting: Setting, finished: Callable[[Episode], None]) -> None:
        self.setting = setting
        self.finished = finished
        self.scene = Scene("")
        self.stage: Stage = "opening"
        self.words = ""
        """What is being done, or what went wrong."""
        self.version = 0
        """Counts changes."""
        self.used = time.monotonic()
        self.thinking = False
        """Whether what a model and an oracle hold of the moves is shown."""
        self._adviser: Player | None = None
        self._oracle: Player | None = None
        self._again = False
        self._held: dict[int, Thoughts] = {}
        self._changed = threading.Condition()
        self._players: Mapping[str, Player] = {}
        self._sit_down(())

    def _sit_down(self, known: Sequence[Said]) -> None:
        self._closing = threading.Event()
        self._minutes = Minutes(known)
        self._person = Person(self._ask)
        self._request: MoveRequest | None = None
        self._turns: Sequence[Turn] = ()
        self._match: Match | None = None
        self._pictures: tuple[Picture | None, Picture | None] = (None, None)
        self._eyes = self.setting.persons[0] if self.setting.persons else None
        self._again = False
        self._thread = threading.Thread(target=self._work, name="tesuji-table", daemon=True)
        self._thread.start()

    def now(self) -> "Now":
        """What is so at this moment, all of one moment."""
        with self._changed:
            back = self.can_take_back
            return Now(self.version, self.stage, self.words, self.scene, back)

    def move(self, played: int, *, number: int | None = None, words: str = "") -> None:
        """The person's move, by its number or in words; `played` turns had been played when it was
        chosen: a move for another position is not taken. Raises IllegalMove."""
        with self._changed:
            request = self._request
            if request is None or self.stage != "waiting" or played != self.scene.played:
                return
            move = _move(request, number, words)
            self._request, self.stage = None, "thinking"
            self.scene = replace(self.scene, seat=None, legal=())
            self._tell()
        self._person.answer(move)

    @property
    def can_take_back(self) -> bool:
        """Whether a person has moved, and has not since been shown what was hidden."""
        moved = self._minutes.before_the_last_move_of_a_person() is not None
        open_ = self.setting.game.info.information == "perfect" or self.stage != "over"
        return moved and open_ and self.stage not in BUSY

    def take_back(self) -> None:
        """Begin again, and play the same up to before the person's last move."""
        with self._changed:
            known = self._minutes.before_the_last_move_of_a_person()
            if known is None or not self.can_take_back:
                raise IllegalMove("there is no move to take back", where="take back")
            self.stage, self.scene = "opening", replace(self.scene, seat=None, legal=())
            self._again = True
            moved = [n for n, turn in enumerate(self._turns) if turn.seat in self.setting.persons]
            self._held = {n: held for n, held in self._held.items() if n < max(moved, default=0)}
        self.close()
        self._sit_down(known)

    def think(self, on: bool) -> None:
        """Show what a model and an oracle hold of the moves, from now on or no longer."""
        with self._changed:
            self.thinking = on
            if self.stage != "waiting":
                return
            self._request, self.stage, self.words = None, "thinking", ""
            self._tell()
        self._person.ask_again()

    def wait(self, seconds: float) -> None:
        """Until it is a person's turn or all is over, or for so long."""
        with self._changed:
            self._changed.wait_for(lambda: self.stage not in BUSY, seconds)

    def leave(self) -> None:
        """Have the thread end, at once unless a player is thinking."""
        self._closing.set()
        self._person.leave()

    def close(self, seconds: float = LEAVING) -> None:
        """Leave, and wait for the thread, so long at most: a player may be thinking, and the thread
        ends once it has."""
        self.leave()
        if self._thread is not threading.current_thread():
            self._thread.join(seconds)

    @property
    def alive(self) -> bool:
        """Whether the match still has a thread."""
        return self._thread.is_alive()

    def _work(self) -> None:
        setting, minutes, closing = self.setting, self._minutes, self._closing
        try:
            self._players = self._players or self._opened()
            players = {**self._players, Person.name: self._person}
            task = Task(setting.game.name, setting.seed, setting.names, setting.game.options)
            self._begin()
            for episode in play_matches(
                [task],
                game=setting.game,
                players={
                    name: Remembered(player, minutes, self._pause, self._look)
                    for name, player in players.items()
                },
                rules=setting.rules,
                watch=self._watch,
            ):
                self._end(episode)
        except Left:
            if not self._again:
                self._show("left")
        except TesujiError as error:
            self._show("broken", redact(str(error)))
        except Exception as error:  # a player's or a game's own fault: told, and the server goes on
            log.exception("a match failed")
            self._show("broken", redact(f"{type(error).__name__}: {error}"))
        finally:
            closing.set()

    def _begin(self) -> None:
        """What there is to see before anybody has moved."""
        match = self.setting.game.start(self.setting.seed)
        scene = scene_of(self.setting.game, match, (), eyes=self._eyes)
        self._pictures = (None, scene.picture)
        if self._minutes.replaying:
            scene = self.scene
        self._set(scene, "thinking")

    def _opened(self) -> dict[str, Player]:
        """Everybody who is no person, each once."""
        told = Told(self._loading)
        players: dict[str, Player] = {}
        for seat in self.setting.seats:
            if seat.open is not None and seat.name not in players:
                self._pause()
                players[seat.name] = seat.open(told)
        return players

    def _loading(self, words: str) -> None:
        self._pause()
        self._show("opening", redact(words))

    def _pause(self) -> None:
        if self._closing.is_set():
            raise Left("the table was left")

    def _look(self, player: Player, request: MoveRequest) -> None:
        """Somebody is about to be asked: keep what a model holds of its moves, where that is
        wanted."""
        if self.thinking and isinstance(player, Shared) and request.failed is None:
            self._held[len(self._turns)] = thoughts_on(request, player, None)

    def _watch(self, match: Match, turns: Sequence[Turn]) -> None:
        """After each round of the arena."""
        self._match, self._turns = match, tuple(turns)
        scene = scene_of(self.setting.game, match, self._turns, eyes=self._eyes)
        self._pictures = (self._pictures[1], scene.picture)
        if self._minutes.replaying or not match.to_act:
            return
        if not self.setting.persons:
            seat = match.to_act[0]
            scene = self._advised(scene, match, seat, self._players[self.setting.names[seat]])
        self._set(self._marked(scene), "thinking")
        if not self.setting.persons and self._closing.wait(PACE):
            raise Left("the table was left")

    def _ask(self, request: MoveRequest) -> None:
        """A person is to move."""
        game, self._eyes = self.setting.game, request.seat
        scene = scene_of(game, request.match, self._turns, eyes=request.seat, seat=request.seat)
        model = next((one for one in self._players.values() if isinstance(one, Shared)), None)
        scene = self._advised(scene, request.match, request.seat, model)
        self._set(self._marked(scene), "waiting", request)

    def _advised(self, scene: Scene, match: Match, seat: int, model: Player | None) -> Scene:
        """The scene with what is held of the seat's moves, where that is wanted."""
        if not self.thinking:
            return scene
        self._show("thinking", "Asking what it holds of the moves")
        game, history = self.setting.game, [turn for turn in self._turns if turn.seat == seat]
        legal, shown = match.legal_moves(seat), match.observe(seat)
        request = MoveRequest(game, match, seat, shown, legal, seed=0, history=history)
        if not isinstance(model, Shared):
            model = self._adviser = self._adviser or self._called()
        self._oracle = self._oracle or oracle_of(game)
        return advised(scene, request, thoughts_on(request, model, self._oracle))

    def _called(self) -> Player | None:
        """The model that advises where none plays."""
        adviser = self.setting.adviser
        return adviser(Told(lambda words: self._show("thinking", words))) if adviser else None

    def _end(self, episode: Episode) -> None:
        """The match is over; one that cannot be kept says why, and is shown all the same."""
        words = ""
        if self.setting.save:
            try:
                self.finished(episode)
            except TesujiError as error:
                words = redact(str(error))
        match = self._match or self.setting.game.start(self.setting.seed)
        game, turns = self.setting.game, episode.turns
        scene = scene_of(game, match, turns, eyes=self._eyes, episode=episode)
        self._set(self._marked(scene), "over", words=words)

    def _marked(self, scene: Scene) -> Scene:
        """The scene with the last move marked: what changed since the round before. With what
        models held of theirs."""
        held = {number: thoughts for number, thoughts in self._held.items() if self.thinking}
        return marked(self.setting.game, self._pictures[0], replace(scene, held=held))

    def _set(
        self, scene: Scene, stage: Stage, request: MoveRequest | None = None, words: str = ""
    ) -> None:
        with self._changed:
            self.scene, self.stage, self.words, self._request = scene, stage, words, request
            self._tell()

    def _show(self, stage: Stage, words: str = "") -> None:
        with self._changed:
            self.stage, self.words, self._request = stage, words, None
            self._tell()

    def _tell(self) -> None:
        self.version += 1
        self._changed.notify_all()


@dataclass(frozen=True, slots=True)
class Now:
    """A table at one moment; `words` say what is being done, or what went wrong."""

    version: int
    stage: Stage
    words: str
    scene: Scene
    can_take_back: bool

    @property
    def busy(self) -> bool:
        """Whether something is awaited that is no person."""
        return self.stage in BUSY


def _move(request: MoveRequest, number: int | None, words: str) -> Move:
    """The move that a person means. Raises IllegalMove, with the reason."""
    move = next((one for one in request.legal or () if one.id == number), None)
    if move is not None:
        return move
    move, why = move_of_a_person(words, request) if number is None else (None, "")
    if move is None:
        raise IllegalMove(why or "Not a legal move", hint="the list has those there are")
    return move
