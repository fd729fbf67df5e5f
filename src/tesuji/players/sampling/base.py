"""The contract of whoever samples for a model: tokens in, tokens and their log-probs out."""

from collections.abc import Sequence
from typing import Protocol

from tesuji.core.types import Sampled

Choices = Sequence[Sequence[int]]


class Sampler(Protocol):
    """Samples replies to rendered prompts, in batches of its own making."""

    stop_ids: frozenset[int]
    """The token ids that end a reply of this model."""

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        temperature: float,
        top_p: float,
        max_new_tokens: int,
        seeds: Sequence[int],
        stop_ids: frozenset[int],
        choices: Sequence[Choices | None] | None = None,
    ) -> list[Sampled]:
        """One reply a prompt, in order, each drawn from its own seed.

        `choices[i]`, where given, are the only replies to prompt i, each with its end token. The
        log-prob of a token is that under the distribution actually sampled from: after the mask
        to the choices, temperature and top_p; hence 0 for a token that was certain, and for all
        tokens at temperature 0. `score` gives likelihoods that depend on none of these.
        """
        ...

    def score(
        self, prompts: Sequence[Sequence[int]], choices: Sequence[Choices]
    ) -> list[list[float]]:
        """The model's own log-prob (temperature 1, no mask) of each choice, end token included."""
        ...
