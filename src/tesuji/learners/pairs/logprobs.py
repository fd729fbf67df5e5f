"""Log-probabilities of both replies of a pair."""

from collections.abc import Sequence

from tesuji.learners.model.load import Policy
from tesuji.learners.pairs.tokens import PairRow
from tesuji.players.sampling.local import LocalSampler


def reply_logprobs(
    policy: Policy, rows: Sequence[PairRow], batch_size: int
) -> list[tuple[float, float]]:
    """Natural-log probability of each row's (chosen, rejected) reply, summed over its tokens."""
    sampler = LocalSampler(policy.model, policy.tokenizer, batch_size=max(2, batch_size))
    prompts = [row.prompt_ids for row in rows]
    found = sampler.score(prompts, [(row.chosen_ids, row.rejected_ids) for row in rows])
    return [(chosen, rejected) for chosen, rejected in found]
