"""One session: an environment that is reset and stepped, as OpenEnv's are."""

import uuid
from typing import Any

from tesuji.core.errors import GameError
from tesuji.core.types import Ending
from tesuji.serve.env.bout import Bout
from tesuji.serve.env.messages import Action, Answer, Observation, ResetArguments, State
from tesuji.serve.env.offer import Offer


class Environment:
    """Matches one after the other. Nothing in it is for several threads at once."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self._bout: Bout | None = None
        self._state = State(game=offer.game.name, options=dict(offer.game.options))
        self._told: list[float] = []

    def reset(self, asked: ResetArguments) -> Answer:
        """A new match, up to the first move of a seat that is played from outside. Raises GameError
        and RecipeError for arguments that cannot be, EngineError where a player fails."""
        seating = self.offer.seating(asked)
        bout = Bout(seating)
        self._bout, self._told = bout, [0.0] * seating.game.num_players
        self._state = State(
            episode_id=asked.episode_id or str(uuid.uuid4()),
            game=seating.game.name,
            options=dict(seating.game.options),
            seed=seating.seed,
            seats=list(seating.ours),
            opponent=seating.opponent.name if seating.opponent else "",
        )
        return self._answer(bout, None)

    def step(self, action: Action) -> Answer:
        """The match after this move and those of the other players. Raises GameError where there is
        no match or it is another seat's turn, EngineError where a player fails."""
        bout = self._bout
        if bout is None:
            raise GameError("there is no match yet", where="step", hint="reset begins one")
        if bout.asked is None:
            raise GameError("the match is over", where="step", hint="reset begins another one")
        seat = bout.asked.seat
        if action.seat not in (None, seat):
            raise GameError(f"seat {seat} is to move, not {action.seat}", where="action.seat")
        self._state.step_count += 1
        bout.say(action.move)
        return self._answer(bout, seat)

    @property
    def state(self) -> State:
        """What there is to know from outside; before the first reset, what is served."""
        bout = self._bout
        if bout is None:
            return self._state
        ending = bout.ending or ""
        returns = list(bout.match.returns())
        return self._state.model_copy(update={"returns": returns, "ending": str(ending)})

    def _answer(self, bout: Bout, moved: int | None) -> Answer:
        over = bout.ending is not None
        observation = _over(bout, moved) if over else _asked(bout)
        observation.metadata = metadata = self._metadata(bout)
        reward = self._earned(bout, moved)
        return Answer(observation=observation, reward=reward, done=over, metadata=metadata)

    def _earned(self, bout: Bout, moved: int | None) -> float | None:
        """What this seat has earned since it was last told."""
        if moved is None:
            return None
        before, self._told[moved] = self._told[moved], bout.match.returns()[moved]
        return self._told[moved] - before

    def _metadata(self, bout: Bout) -> dict[str, Any]:
        told = {
            "game": self._state.game,
            "seed": self._state.seed,
            "returns": list(bout.match.returns()),
        }
        if bout.ending is None:
            return told
        offender = bout.offender
        return {**told, "ending": str(bout.ending), "reason": bout.reason, "offender": offender}


def _asked(bout: Bout) -> Observation:
    asked, messages = bout.asked, bout.messages()
    assert asked is not None
    return Observation(
        text=messages[-1]["content"],
        messages=list(messages),
        legal_moves=None if asked.legal is None else [move.text for move in asked.legal],
        seat=asked.seat,
        role=bout.match.role(asked.seat),
        problem=bout.problem,
    )


def _over(bout: Bout, moved: int | None) -> Observation:
    """How it ended, in words; the last position where nothing in it is hidden."""
    seating, match = bout.seating, bout.match
    words = {
        Ending.FINISHED: "The match is over.",
        Ending.TRUNCATED: "The match was cut off.",
        Ending.FORFEIT: f"The match is over: seat {bout.offender} forfeits.",
    }
    parts = [words.get(bout.ending or Ending.ERROR, "The match broke."), bout.reason]
    seats = seating.ours if moved is None else (moved,)
    parts += [f"Seat {seat} earns {match.returns()[seat]:+g}." for seat in seats]
    text = " ".join(part for part in parts if part)
    if seating.game.info.information == "perfect":
        text = f"{match.render().rstrip()}\n\n{text}"
    return Observation(text=text, problem=bout.problem)
