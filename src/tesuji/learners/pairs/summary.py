"""What a stage that learned from pairs did, in a file and in words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tesuji.core.metric_log import MetricLog
from tesuji.core.statistics import Share
from tesuji.learners.distributed import is_main
from tesuji.learners.pairs.accuracy import Margin, Preference
from tesuji.learners.pairs.tokens import PairTokens
from tesuji.learners.trainer.summary import TrainingSummary, trainer_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSummary(TrainingSummary):
    """`pairs_dropped` is by reason; `longest_row` what the longest prompt and reply had before any
    cut, in tokens; `accuracy_before` and `_after` are of the held-out pairs (None:
    there were none), `chosen_perplexity_before` and `_after` of the chosen replies there (None: not
    of a policy), `margin` is the mean by which the chosen reply's reward was higher there,
    afterwards."""

    pairs: int
    pairs_cut: int
    pairs_dropped: Mapping[str, int]
    longest_row: int
    held_out_pairs: int
    accuracy_before: Preference | None
    accuracy_after: Preference | None
    chosen_perplexity_before: float | None
    chosen_perplexity_after: float | None
    margin: Margin | None
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The summary as `training.json` holds it."""
        plain = TrainingSummary.as_json(self)
        for side in ("accuracy_before", "accuracy_after"):
            plain[side] = plain[side].as_json() if plain[side] else None
        plain["margin"] = asdict(self.margin) if self.margin else None
        return {**plain, "pairs_dropped": dict(self.pairs_dropped), "warnings": [*self.warnings]}

    def in_words(self) -> str:
        """One line for the screen."""
        parts = [f"{self.steps:,} steps on {self.pairs:,} pairs in {self.seconds:.0f} s"]
        if self.accuracy_before and self.accuracy_after:
            parts.append(_change(self.accuracy_before, self.accuracy_after) + self._perplexity())
        return "; ".join([*parts, *self.warnings, self.stopped_because])

    def _perplexity(self) -> str:
        """What became of the better replies' perplexity; "" where there is none."""
        was, now = self.chosen_perplexity_before, self.chosen_perplexity_after
        if was is None or now is None:
            return ""
        return f"; perplexity of the better replies {was:.3g} before, {now:.3g} after"


def summarise(
    trainer: Any,
    out: Path,
    *,
    seconds: float,
    rows: PairTokens,
    held_out: PairTokens,
    before: Preference,
    after: Preference,
    perplexities: tuple[float | None, float | None],
    margin: Margin | None,
) -> PairSummary:
    """The summary of a training that has ended, written to `out/training.json`."""
    held = tuple(f"held out: {warning}" for warning in held_out.warnings())
    summary = PairSummary(
        pairs=len(rows.rows),
        pairs_cut=rows.cut,
        pairs_dropped=rows.dropped,
        longest_row=rows.longest,
        held_out_pairs=len(held_out.rows),
        tokens=rows.tokens,
        accuracy_before=before if before.pairs else None,
        accuracy_after=after if after.pairs else None,
        chosen_perplexity_before=perplexities[0],
        chosen_perplexity_after=perplexities[1],
        margin=margin,
        warnings=rows.warnings() + held,
        **trainer_facts(trainer, out, seconds),
    )
    if is_main():
        summary.write(out)
    return summary


def log_once(metrics: MetricLog, name: str, step: int, preference: Preference) -> None:
    """Log held-out shares, unless a killed process has done so at this step already."""
    values = preference.as_metrics()
    rows = metrics.rows() if values else []
    known = any(
        row["stage"] == name and row["step"] == step and values.keys() <= row.keys() for row in rows
    )
    if values and not known:
        metrics.log(name, step, values)


def _change(before: Preference, after: Preference) -> str:
    name = next(iter(after.shares))
    was, now = before.shares[name], after.shares[name]
    what = name.replace("_", " ")
    beside = [_by_length(after)]
    if (token := f"{name}_per_token") in after.shares:
        old, new = before.shares[token].rate, after.shares[token].rate
        beside.insert(0, f"per token {old:.1%} before, {new:.1%} after")
    return (
        f"{what} {_percent(was)} before, {_percent(now)} after ({'; '.join(beside)}), "
        f"of {now.total:,} held-out pairs"
    )


def _by_length(after: Preference) -> str:
    """What the better of the rules that look at length only scores on the same pairs."""
    rules = {one: after.shares.get(f"{one}_wins") for one in ("shorter", "longer")}
    rate, one = max((share.rate, one) for one, share in rules.items() if share is not None)
    return f"always the {one} one {rate:.1%}"


def _percent(share: Share) -> str:
    if not share.total:
        return "unknown"
    return f"{share.rate:.1%} ({share.interval.low:.1%} to {share.interval.high:.1%})"
