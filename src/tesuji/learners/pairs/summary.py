"""What a stage that learned from pairs did, in a file and in words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tesuji.core.files import write_json
from tesuji.core.metric_log import MetricLog
from tesuji.learners.model.load import count_parameters
from tesuji.learners.pairs.accuracy import Accuracy, Margin, Preference
from tesuji.learners.pairs.tokens import PairTokens
from tesuji.learners.trainer.trainer import why_stopped


@dataclass(frozen=True, slots=True)
class PairSummary:
    """Written to `training.json`. Seconds are of training alone; `pairs_dropped` is by reason;
    `accuracy_before` and `_after` are of the held-out pairs (None: there were none), `margin` is
    the mean by which the chosen reply's reward was higher there, afterwards."""

    steps: int
    seconds: float
    pairs: int
    pairs_cut: int
    pairs_dropped: Mapping[str, int]
    held_out_pairs: int
    tokens: int
    parameters: int
    trainable_parameters: int
    accuracy_before: Preference | None
    accuracy_after: Preference | None
    margin: Margin | None
    warnings: tuple[str, ...]
    stopped_because: str
    device: str

    def as_json(self) -> dict[str, Any]:
        """The summary as `training.json` holds it."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        for side in ("accuracy_before", "accuracy_after"):
            plain[side] = plain[side].as_json() if plain[side] else None
        plain["margin"] = asdict(self.margin) if self.margin else None
        return {**plain, "pairs_dropped": dict(self.pairs_dropped), "warnings": [*self.warnings]}

    def in_words(self) -> str:
        """One line for the screen."""
        said = [f"{self.steps:,} steps on {self.pairs:,} pairs in {self.seconds:.0f} s"]
        if self.accuracy_before and self.accuracy_after:
            said.append(_change(self.accuracy_before, self.accuracy_after))
        return "; ".join([*said, *self.warnings, self.stopped_because])


def summarise(
    trainer: Any,
    out: Path,
    *,
    seconds: float,
    rows: PairTokens,
    held_out: PairTokens,
    before: Preference,
    after: Preference,
    margin: Margin | None,
) -> PairSummary:
    """The summary of a training that has ended, written to `out/training.json`."""
    every, trainable = count_parameters(trainer.model)
    held = tuple(f"held out: {warning}" for warning in held_out.warnings())
    summary = PairSummary(
        steps=trainer.state.global_step,
        seconds=round(seconds, 2),
        pairs=len(rows.rows),
        pairs_cut=rows.cut,
        pairs_dropped=rows.dropped,
        held_out_pairs=len(held_out.rows),
        tokens=rows.tokens,
        parameters=every,
        trainable_parameters=trainable,
        accuracy_before=before if before.pairs else None,
        accuracy_after=after if after.pairs else None,
        margin=margin,
        warnings=rows.warnings() + held,
        stopped_because=why_stopped(trainer, out),
        device=str(trainer.model.device),
    )
    write_json(out / "training.json", summary.as_json())
    return summary


def log_once(metrics: MetricLog, name: str, step: int, found: Preference) -> None:
    """Log held-out shares, unless a killed process has done so at this step already."""
    values = found.as_metrics()
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
    return f"{what} {_percent(was)} before, {_percent(now)} after, of {now.of:,} held-out pairs"


def _percent(found: Accuracy) -> str:
    if found.share is None:
        return "unknown"
    return f"{found.share:.1%} ({found.low:.1%} to {found.high:.1%})"
