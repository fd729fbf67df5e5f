"""The numbers of a reinforcement-learning step: every name that is logged, and what it means.

`METRICS` is the table that docs/metrics.md shows; a test holds both, and what a run logs, together.
A name in capitals stands for whatever is called so (`reward/NAME`: a reward term).
"""

import resource
from collections.abc import Mapping, Sequence

import torch

from tesuji.core.statistics import wilson
from tesuji.episodes.schedule.schedule import Outcome

METRICS: Mapping[tuple[str, ...], str] = {
    ("reward", "reward/NAME"): "what a seat earned in a match, all terms weighted together, and"
    " each apart.",
    ("score",): "the return scaled to 0..1 over what the game can pay (where that has no bounds: 1,"
    " 0.5, 0 for a win, a draw, a loss).",
    ("success", "success_low", "success_high"): "share of seats with a score over 0.5, and its 95%"
    " Wilson interval.",
    ("random/success",): "the same of a random player in the policy's place, against the same"
    " opponents (200 matches, measured once a curriculum stage).",
    ("illegal_moves",): "replies without a legal move, of all replies.",
    ("reply_length", "replies_cut"): "tokens a reply; share of replies cut off by"
    " `max_new_tokens`.",
    ("matches_failed", "matches_truncated", "traces_too_long"): "matches in which a player failed"
    " (not learned from), that hit the move limit, and traces over `max_length` (not learned"
    " from).",
    ("loss", "grad_norm"): "of the update; the norm before clipping.",
    ("entropy",): "mean entropy at sampled tokens, in nats, of the distribution sampled from; like"
    " the next row over the traces that went through the update (`grpo` leaves out groups with"
    " nothing to learn from).",
    ("approx_kl", "ratio", "clip_share"): "how far the update moved the policy from the one that"
    " sampled (k3), the mean ratio, and the share of tokens where the clipping took hold.",
    ("kl", "kl_coef"): "divergence from the reference, a token (k3; with `kl_in: reward` k1); its"
    " weight now.",
    ("sampler_gap",): "mean difference of log-probs between sampler and trainer; near 0, or"
    " something is wrong.",
    ("advantage_std", "advantage_max"): "of the tokens' advantages, after whitening if there is"
    " any.",
    ("zero_variance_groups",): "share of groups in which all earned the same: nothing to learn"
    " from.",
    ("explained_variance", "value_loss"): "how much of the returns the critic foresees (1: all;"
    " below 0: worse than a constant), and its loss (`ppo`).",
    ("learning_rate",): "of the first parameter group, as it stands after the update.",
    ("curriculum/stage", "curriculum/success"): "the stage, counted from 1, and the success rate"
    " over its window.",
    ("replay/size", "replay/share"): "failed tasks remembered; share of the step's tasks drawn from"
    " them.",
    ("snapshots",): "earlier versions of the policy that are kept as opponents.",
    ("eval/NAME",): "every `eval_steps`: win and loss rates and turns against"
    " `evaluation.opponents`, `mbb` at poker, `exploitability` where asked for; of questions"
    " `held_out/right`, of prompts `held_out_reward`; and the `score` by which the best model is"
    " kept.",
    ("certificate/lines", "certificate/losing_lines"): "with `stop_when: certificate`, every"
    " `stop_check_steps`: as in supervised training.",
    ("micro_batch_tokens",): "most tokens in one forward pass; falls when memory runs out.",
    ("speed/NAME",): "games, sampled tokens and trained tokens a second, seconds of rollout and"
    " update, memory in GB. The only figures that differ between two runs of one seed.",
}


def rollout_metrics(
    sums: Mapping[str, float], outcomes: Sequence[Outcome], *, can_be_won: bool
) -> dict[str, float]:
    """Means of a rollout, over all processes, from the learning seats' viewpoint. What is won is
    left out where nothing can be."""
    seats, replies = max(1, sums["seats"]), max(1, sums["replies"])
    return {
        **{name: sums[name] / seats for name in sums if name.startswith("reward")},
        **(_won(outcomes) if can_be_won else {}),
        "illegal_moves": sums["illegal"] / replies,
        "replies_cut": sums["cut"] / replies,
        "reply_length": sums["reply_tokens"] / replies,
        "matches_failed": float(sums["failed"]),
        "matches_truncated": float(sums["truncated"]),
        "traces_too_long": float(sums["too_long"]),
    }


def _won(outcomes: Sequence[Outcome]) -> dict[str, float]:
    successes, count = sum(outcome.success for outcome in outcomes), max(1, len(outcomes))
    interval = wilson(successes, len(outcomes))
    return {
        "score": sum(outcome.score for outcome in outcomes) / count,
        "success": successes / count,
        "success_low": interval.low,
        "success_high": interval.high,
    }


def speed(
    sums: Mapping[str, float], playing: float, trained: int, updating: float
) -> dict[str, float]:
    """How fast, from seconds of playing and updating, and how many tokens were trained on."""
    if torch.cuda.is_available():
        memory = torch.cuda.max_memory_allocated() / 2**30
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "speed/games_per_second": sums["matches"] / max(playing, 1e-9),
        "speed/sampled_tokens_per_second": sums["reply_tokens"] / max(playing, 1e-9),
        "speed/update_tokens_per_second": trained / max(updating, 1e-9),
        "speed/rollout_seconds": playing,
        "speed/update_seconds": updating,
        "speed/memory_gb": memory,
    }
