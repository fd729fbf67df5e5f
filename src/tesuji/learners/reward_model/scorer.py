"""A trained reward model in use: scores of replies, the higher the better.

    scorer = load_scorer(recipe.model, "runs/x/stages/02-reward/final")
    scorer.score([(messages, "[3]"), ...])

The ids are those of its training. A conversation that is too long loses its beginning, as there.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tesuji.core.errors import EngineError
from tesuji.core.files import read_json
from tesuji.core.types import Message
from tesuji.learners.model.load import Policy
from tesuji.learners.model.memory import telling_memory
from tesuji.learners.reward_model.model import load_reward_model, score_ids
from tesuji.players.prompting.chat_template import render_prompt, render_reply
from tesuji.recipe.schema.sections import ModelSection

FACTS = "reward.json"  # beside the weights
BATCH_TOKENS = 1 << 14


class Scorer:
    """A reward model; `facts` are those of `FACTS`. With `normalise`, scores are shifted and scaled
    to mean 0 and deviation 1 over the held-out replies of its training."""

    def __init__(
        self,
        policy: Policy,
        facts: Mapping[str, Any],
        *,
        normalise: bool = False,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        self.policy, self.batch_tokens = policy, batch_tokens
        self.enable_thinking = bool(facts.get("enable_thinking", False))
        longest = getattr(policy.model.config, "max_position_embeddings", None)
        self.max_length = int(facts.get("max_length") or longest or 1024)
        self.mean = float(facts["mean"]) if normalise else 0.0
        self.deviation = float(facts["deviation"]) if normalise else 1.0

    def score(self, items: Sequence[tuple[Sequence[Message], str]]) -> list[float]:
        """Scores of (the messages shown, the reply), in order. Raises EngineError when memory runs
        out."""
        hint = "use a smaller reward model or shorter prompts (prompt.max_length)"
        with telling_memory("while replies were scored", where="rewards.reward_model", hint=hint):
            scores = self.score_sequences([self._ids(prompt, reply) for prompt, reply in items])
        return [(score - self.mean) / self.deviation for score in scores]

    def score_sequences(self, sequences: Sequence[Sequence[int]]) -> list[float]:
        """The same, raw, of whole sequences of token ids."""
        pad = self.policy.tokenizer.pad_token_id
        return score_ids(self.policy.model, sequences, pad, self.batch_tokens)

    def _ids(self, prompt: Sequence[Message], reply: str) -> list[int]:
        tokenizer = self.policy.tokenizer
        ids = render_prompt(tokenizer, prompt, enable_thinking=self.enable_thinking)
        return [*ids, *render_reply(tokenizer, reply)][-self.max_length :]


def load_scorer(section: ModelSection, source: str, *, normalise: bool = False) -> Scorer:
    """The reward model in `source`, whole or an adapter's folder. Raises EngineError when it is
    not one, or (`normalise`) when its folder does not say how its scores are spread."""
    policy = load_reward_model(section, source)
    policy.model.eval().requires_grad_(False)
    facts = read_json(path) if (path := Path(source) / FACTS).is_file() else {}
    if normalise and not {"mean", "deviation"} <= facts.keys():
        raise EngineError(
            f"{FACTS} does not say how the scores of this reward model are spread",
            where=source,
            hint="train it with a reward stage, or do not normalise",
        )
    return Scorer(policy, facts, normalise=normalise)
