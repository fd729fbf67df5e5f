"""What a rollout and its update look like from outside: the console line, alarms."""

from collections import deque
from collections.abc import Mapping
from typing import Any

RECENT = 20  # steps that a collapse is measured against
MUCH_KL = 0.5  # nats a token away from the policy that sampled
LITTLE_ENTROPY = 0.1  # of what it was at first
SHORT = 0.25  # of the recent length
STILL = 10  # rollouts in a row without any difference to learn from


def console_line(step: int, metrics: Mapping[str, float]) -> str:
    """`step 100: reward 0.452, score 0.601, success 45% (41–49)`, the latter with its 95% interval;
    where nothing can be won `step 100: reward 0.452, kl 0.021, length 12.3`."""
    reward = f"step {step:,}: reward {metrics['reward']:.3f}"
    if "success" not in metrics:
        kl = f"kl {metrics['kl']:.3f}, " if "kl" in metrics else ""
        return f"{reward}, {kl}length {metrics['reply_length']:.1f}"
    low, high = 100 * metrics["success_low"], 100 * metrics["success_high"]
    success = f"success {100 * metrics['success']:.0f}% ({low:.0f}–{high:.0f})"
    return f"{reward}, score {metrics['score']:.3f}, {success}"


class Alarms:
    """Says once what has gone wrong, and again only after it had been right."""

    def __init__(self) -> None:
        self.on: set[str] = set()
        self.lengths: deque[float] = deque(maxlen=RECENT)
        self.first_entropy: float | None = None
        self.still = 0

    def look(self, step: int, metrics: Mapping[str, float]) -> list[str]:
        """Warnings about this step, in words with what to do."""
        signs = self._signs(metrics)
        self.lengths.append(metrics.get("reply_length", 0.0))
        fresh = [words for name, words in signs.items() if name not in self.on]
        self.on = set(signs)
        return [f"step {step:,}: {words}" for words in fresh]

    def _signs(self, metrics: Mapping[str, float]) -> dict[str, str]:
        signs = {}
        if metrics.get("approx_kl", 0.0) > MUCH_KL:
            signs["kl"] = (
                f"the policy moved {metrics['approx_kl']:.2f} nats a token in one update: "
                "lower learning_rate or num_iterations, or raise beta"
            )
        entropy = metrics.get("entropy")
        if entropy is not None:
            if self.first_entropy is None:
                self.first_entropy = entropy
            if entropy < LITTLE_ENTROPY * self.first_entropy and metrics.get("success", 1) < 0.5:
                signs["entropy"] = (
                    f"entropy fell from {self.first_entropy:.3f} to {entropy:.3f} while most "
                    "matches are lost: raise entropy_coef or sampling.temperature"
                )
        length = metrics.get("reply_length", 0.0)
        if len(self.lengths) == RECENT and length < SHORT * sum(self.lengths) / RECENT:
            signs["length"] = (
                f"replies shrank to {length:.1f} tokens: check the reward, and that every role "
                "has its baseline"
            )
        self.still = self.still + 1 if metrics.get("zero_variance_groups", 0.0) >= 1 else 0
        if self.still >= STILL:
            signs["still"] = (
                f"no group had any difference to learn from in {self.still} rollouts: "
                "choose other opponents, or raise sampling.temperature or num_generations"
            )
        return signs

    def state_dict(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""
        return {
            "on": sorted(self.on),
            "lengths": list(self.lengths),
            "first_entropy": self.first_entropy,
            "still": self.still,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.on = set(state["on"])
        self.lengths = deque(state["lengths"], maxlen=RECENT)
        self.first_entropy = state["first_entropy"]
        self.still = state["still"]
