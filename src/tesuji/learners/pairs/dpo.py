"""Direct preference optimisation (Rafailov et al. 2023) on TRL's DPOTrainer.

The reference is the model the stage begins with: for a whole model a frozen copy of it. For an
adapter it is a frozen copy of the *adapter*, under the name "ref" on the same base weights, which
TRL makes itself of a model that comes with one. Switching the adapter off, as is done for a fresh
one, would give the base model without its fine-tuning; merging it first would leave `final/` with
an adapter for a base that is in no folder, and cannot be done to 4-bit weights without loss.
"""

import copy
from collections.abc import Sequence
from typing import Any, Unpack

from tesuji.learners.model.adapter import refuse_head, with_adapter
from tesuji.learners.model.load import Policy
from tesuji.learners.model.logprobs import Scored
from tesuji.learners.model.rules import row_limit
from tesuji.learners.pairs.accuracy import (
    Margin,
    Preference,
    chosen_perplexity,
    margin_of,
    margins,
    policy_verdicts,
    preference_of,
    score_pairs,
)
from tesuji.learners.pairs.summary import PairSummary
from tesuji.learners.pairs.tokens import PairRow
from tesuji.learners.pairs.train import PairLearner, PairRun, Trl, train_pairs
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.pairs import DpoStage
from tesuji.recipe.schema.sections import LoraSection

REFERENCE = "ref"  # the adapter's name in TRL


def train_dpo(
    stage: DpoStage, policy: Policy, *, lora: LoraSection | None = None, **run: Unpack[PairRun]
) -> PairSummary:
    """Train `policy` in place and save it to `out/final`.

    `policy` is the model the stage begins with, also when it goes on from a checkpoint in
    `out/checkpoints`. With `lora`, a whole model gets an adapter first. Raises DataError when no
    pair can be learned from, EngineError when training fails.
    """
    adapted = with_adapter(policy, lora, run["seed"]) if lora else policy
    refuse_head(adapted.model)
    return train_pairs(DpoLearner(stage, adapted), **run)


class DpoLearner(PairLearner):
    """The policy, scored by the log-probabilities of its replies."""

    stage: DpoStage

    def __init__(self, stage: DpoStage, policy: Policy) -> None:
        batch_size = max(2, 4 * stage.batch_size)
        self.sampler = LocalSampler(policy.model, policy.tokenizer, batch_size=batch_size)
        limit = row_limit(stage.max_length, policy.model.config)
        super().__init__(stage, policy, min(limit, self.sampler.longest or limit))

    def score(self, rows: Sequence[PairRow]) -> list[Scored]:
        """Log-probabilities of both replies, in nats."""
        return score_pairs(self.sampler, rows)

    def judge(
        self, scored: Sequence[Scored], begun: Sequence[Scored] | None = None
    ) -> tuple[Preference, Margin | None]:
        """How often the policy finds the chosen reply likelier; and, against the beginning, the
        implicit reward beta * (log pi - log pi_ref), whose reference part was measured then."""
        verdicts = policy_verdicts(scored)
        if begun is None:
            return preference_of(scored, verdicts), None
        both = zip(margins(scored), margins(begun), strict=True)
        gains = [self.stage.beta * (now - was) for now, was in both]
        verdicts |= {"implicit_reward": [gain > 0 for gain in gains]}
        return preference_of(scored, verdicts), margin_of(scored, gains)

    def perplexity(self, scored: Sequence[Scored]) -> float | None:
        """Of the chosen replies, which DPO may make less likely as long as the rejected ones fall
        further."""
        return chosen_perplexity(scored)

    def trl(self) -> Trl:
        """TRL's DPOTrainer, with its reference."""
        from trl import DPOConfig

        from tesuji.learners.pairs.trl_trainers import PairDPOTrainer, dpo_columns

        options = {
            "beta": self.stage.beta,
            "loss_type": [self.stage.loss_type],
            "label_smoothing": self.stage.label_smoothing,
        }
        parts = {"ref_model": _reference(self.policy.model)}
        return Trl(PairDPOTrainer, DPOConfig, dpo_columns, options, parts)

    def hand_back(self, dtype: Any) -> None:
        """Without the reference."""
        if hasattr(self.policy.model, "peft_config"):
            self.policy.model.delete_adapter(REFERENCE)
        super().hand_back(dtype)


def _reference(model: Any) -> Any:
    """A frozen copy of a whole model, in the same numbers, so that the first loss is log 2 exactly;
    None for an adapter, which TRL copies."""
    if hasattr(model, "peft_config"):
        return None
    return copy.deepcopy(model).eval().requires_grad_(False)
