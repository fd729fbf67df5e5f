"""`reward_model`: the score of a reward model trained on pairs."""

from collections.abc import Sequence

from tesuji.core.errors import EngineError
from tesuji.episodes.rewards.base import Judged, RewardModel


class LearnedReward:
    """What a reward model says of each reply, the retry where there was one. All replies of a
    rollout are scored together."""

    def __init__(self, scorer: RewardModel | None) -> None:
        self.scorer = scorer
        self._known: dict[tuple[int, int], float] = {}

    def prepare(self, turns: Sequence[Judged]) -> None:
        """Score these turns now, and forget those before."""
        replied = [at for at in turns if at.turn.attempts]
        scores = self._scores(replied)
        self._known = {
            (id(at.episode), at.place): score for at, score in zip(replied, scores, strict=True)
        }

    def __call__(self, at: Judged) -> float:
        """The turn's score."""
        known = self._known.get((id(at.episode), at.place))
        return self._scores([at])[0] if known is None else known

    def _scores(self, turns: Sequence[Judged]) -> list[float]:
        if self.scorer is None:
            raise EngineError(
                "no reward model has been loaded",
                where="rewards.reward_model",
                hint="put a `reward:` stage before this one, or name a folder: {path: ...}",
            )
        last = [at.turn.attempts[-1] for at in turns]
        return self.scorer.score([(attempt.prompt, attempt.reply) for attempt in last])


def reward_model(
    stage: str = "", path: str = "", scorer: RewardModel | None = None
) -> LearnedReward:
    """The model that the reward stage before trained (`stage`: which one, where there are several),
    or one in a folder (`path`). Whoever makes the term loads it: `scorer`."""
    return LearnedReward(scorer)
