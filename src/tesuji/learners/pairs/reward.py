"""A reward model on TRL's RewardTrainer: the Bradley-Terry loss on pairs of replies.

Files: `final/` (the model, and `reward.json`: how replies are read and how scores are spread),
`training.json`, `reward_evaluation.json`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from tesuji.core.files import write_json
from tesuji.learners.model.load import Policy
from tesuji.learners.model.logprobs import Scored
from tesuji.learners.model.rules import row_limit
from tesuji.learners.pairs.accuracy import Margin, Preference, margin_of, margins
from tesuji.learners.pairs.reward_evaluation import reward_evaluation, reward_preference, spread
from tesuji.learners.pairs.summary import PairSummary
from tesuji.learners.pairs.tokens import PairRow
from tesuji.learners.pairs.train import PairLearner, PairRun, Trl, train_pairs
from tesuji.learners.reward_model.model import new_reward_model, score_ids
from tesuji.learners.reward_model.scorer import FACTS
from tesuji.recipe.schema.pairs import RewardStage
from tesuji.recipe.schema.sections import ModelSection, PromptSection

SPREAD_OVER = 500  # training pairs, where none are held out


def train_reward(
    stage: RewardStage, section: ModelSection, source: str, **run: Unpack[PairRun]
) -> PairSummary:
    """Train a reward model that begins as the model in `source`, and save it to `out/final`.

    Goes on from the newest checkpoint in `out/checkpoints`. Raises DataError when no pair can be
    learned from, EngineError when loading or training fails.
    """
    policy = new_reward_model(section, source, run["seed"])
    return train_pairs(RewardLearner(stage, policy, run["prompt"]), **run)


class RewardLearner(PairLearner):
    """The reward model, scored by the rewards it gives."""

    stage: RewardStage

    def __init__(self, stage: RewardStage, policy: Policy, prompt: PromptSection) -> None:
        super().__init__(stage, policy, row_limit(stage.max_length, policy.model.config))
        self.prompt = prompt

    def score(self, rows: Sequence[PairRow]) -> list[Scored]:
        """Rewards of both replies."""
        sequences = [
            [*row.prompt_ids, *reply]
            for row in rows
            for reply in (row.chosen_ids, row.rejected_ids)
        ]
        longest = max(map(len, sequences), default=1)
        tokens = 8 * self.stage.batch_size * longest
        pad = self.policy.tokenizer.pad_token_id
        rewards = score_ids(self.policy.model, sequences, pad, tokens)
        both = zip(rewards[::2], rewards[1::2], strict=True)
        return [
            Scored(row.pair, pair, (len(row.chosen_ids), len(row.rejected_ids)))
            for row, pair in zip(rows, both, strict=True)
        ]

    def judge(
        self, scored: Sequence[Scored], begun: Sequence[Scored] | None = None
    ) -> tuple[Preference, Margin | None]:
        """How often the chosen reply earns more, and by how much on average."""
        return reward_preference(scored), margin_of(scored, margins(scored))

    def trl(self) -> Trl:
        """TRL's RewardTrainer."""
        from trl import RewardConfig

        from tesuji.learners.pairs.trl_trainers import PairRewardTrainer, reward_columns

        options = {
            "disable_dropout": self.stage.disable_dropout,
            "center_rewards_coefficient": self.stage.center_rewards_coefficient,
        }
        return Trl(PairRewardTrainer, RewardConfig, reward_columns, options)

    def save(
        self, out: Path, before: Preference, ended: Sequence[Scored], rows: Sequence[PairRow]
    ) -> None:
        """The evaluation too, and beside the model what its scorer has to know."""
        if ended:
            write_json(out / "reward_evaluation.json", reward_evaluation(ended, before))
        super().save(out, before, ended, rows)
        facts: dict[str, float] = {
            "max_length": self.longest,
            "enable_thinking": self.prompt.enable_thinking,
        }
        facts |= spread(ended or self.score(rows[:SPREAD_OVER]))
        write_json(out / "final" / FACTS, facts)
