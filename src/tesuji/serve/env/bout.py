"""One match, stepped from outside: some seats are asked one by one, the others are played here.

The rules are the arena's (`episodes/arena.py`): the same retry, the same forfeit, the same limit of
moves. Every choice of a player follows from the match's seed, the turn and the seat, so that the
same moves from outside make the same match as there.
"""

from dataclasses import dataclass, field

from tesuji.core.errors import EngineError, GameError
from tesuji.core.seeds import stream
from tesuji.core.types import Attempt, Ending, Message, Move, Turn
from tesuji.episodes.reply_rules import TurnRules, read_attempt
from tesuji.games.base import Game, Match
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.prompting.prompt import prompt_of
from tesuji.recipe.schema.sections import PromptSection


@dataclass(frozen=True, slots=True)
class Seating:
    """All that a match follows from; `ours` are the seats that are asked from outside, `opponent`
    plays the others (None: there are none)."""

    game: Game
    seed: int
    ours: tuple[int, ...]
    opponent: Player | None = None
    rules: TurnRules = field(default_factory=TurnRules)
    prompt: PromptSection = field(default_factory=PromptSection)


class Bout:
    """A match under way. Raises EngineError where a player or the game itself fails."""

    def __init__(self, seating: Seating) -> None:
        self.seating = seating
        self.match: Match = seating.game.start(seating.seed)
        self.ending: Ending | None = None
        self.reason = ""
        self.offender: int | None = None
        self.problem = ""
        """Why the last reply from outside was no move."""
        self._turns: list[Turn] = []
        self._failed: dict[int, Attempt] = {}
        self._round: list[MoveRequest] = []
        self._advance()

    @property
    def asked(self) -> MoveRequest | None:
        """What one of our seats is asked now; None once the match is over."""
        return self._round[0] if self._round else None

    def messages(self) -> tuple[Message, ...]:
        """The same as a model is asked it."""
        return prompt_of(self.seating.prompt, self._asked())

    def say(self, text: str) -> None:
        """The reply of the seat that is asked; then the others move until one of ours is asked
        again."""
        asked = self._asked()
        self.problem = ""
        self._take(asked, Reply(text=text))
        attempt = self._failed.get(asked.seat)
        self.problem = self.match.refused or (attempt.problem if attempt else "")
        self._advance()

    def _asked(self) -> MoveRequest:
        if self.asked is None:
            raise GameError("the match is over", where="step", hint="reset begins another one")
        return self.asked

    def _advance(self) -> None:
        """Have the others move while it is their turn."""
        while self.ending is None:
            if not self._round:
                self._begin_round()
                continue
            request = self._round[0]
            if request.seat in self.seating.ours:
                return
            self._take(request, self._reply(request))
        self._round = []

    def _begin_round(self) -> None:
        """Ask every seat that is to act; of several none sees the others' choice."""
        self._round = [self._request(seat) for seat in self.match.to_act]
        if not self._round:
            self.ending = Ending.FINISHED

    def _request(self, seat: int) -> MoveRequest:
        match, failed = self.match, self._failed.get(seat)
        return MoveRequest(
            game=self.seating.game,
            match=match,
            seat=seat,
            observation=match.observe(seat),
            legal=match.legal_moves(seat),
            seed=stream(self.seating.seed, len(self._turns), seat, failed is not None),
            failed=failed,
            history=[turn for turn in self._turns if turn.seat == seat],
        )

    def _reply(self, request: MoveRequest) -> Reply:
        player = self.seating.opponent
        if player is None:
            raise GameError(f"nobody plays seat {request.seat}", where="reset")
        [reply] = player.choose([request])
        if reply.error:
            self.ending, self.reason, self._round = Ending.ERROR, reply.error, []
            raise EngineError(f"{player.name} failed: {reply.error}", where="opponent")
        return reply

    def _take(self, request: MoveRequest, reply: Reply) -> None:
        """Play what was said, or ask once more, or end the match."""
        rules, seat = self.seating.rules, request.seat
        self._round = self._round[1:]
        attempt = read_attempt(reply, request, rules.answer)
        if rules.asks_again(attempt, request):
            self._failed[seat] = attempt
            return
        first = self._failed.pop(seat, None)
        attempts = (first, attempt) if first else (attempt,)
        self._play(request, attempts, attempt.move or rules.substitute(request))

    def _play(
        self, request: MoveRequest, attempts: tuple[Attempt, ...], played: Move | None
    ) -> None:
        seat, match = request.seat, self.match
        self._turns.append(Turn(seat, match.role(seat), request.observation, attempts, played))
        if played is None:
            match.forfeit(seat)
            problem = attempts[-1].problem
            told = problem.startswith("no legal move")
            self._end(Ending.FORFEIT, problem if told else f"no legal move: {problem}", seat)
            return
        try:
            match.play(seat, played)
        except EngineError as error:
            self._end(Ending.ERROR, error.what, None)
            raise
        self._close()

    def _close(self) -> None:
        match, most = self.match, self.seating.rules.max_moves
        if not match.to_act:
            ending = Ending.FINISHED if match.offender is None else Ending.FORFEIT
            self._end(ending, match.reason, match.offender)
        elif len(self._turns) >= most:
            self._end(Ending.TRUNCATED, f"cut off after {most} moves", None)

    def _end(self, ending: Ending, reason: str, offender: int | None) -> None:
        self.ending, self.reason, self.offender, self._round = ending, reason, offender, []
