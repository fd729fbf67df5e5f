"""What an import came to, in counts."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from tesuji.core.types import Episode, Pair


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """Counts of one import; `read` = `accepted` + `rejected` = all records that were met.

    `by_kind` counts accepted records, `rejected_by_reason` the others; `outcomes`, `roles`,
    `endings` and `notes` are of the episodes taken, `phases` of their turns.
    """

    files: int = 0
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    episodes: int = 0
    pairs: int = 0
    turns: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    rejected_by_reason: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    roles: dict[str, int] = field(default_factory=dict)
    phases: dict[str, int] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values, the larger counts first."""
        return {
            key: dict(Counter(value).most_common()) if isinstance(value, dict) else value
            for key, value in asdict(self).items()
        }


class Tally:
    """Counts as records are met; tallies of several processes can be added up."""

    def __init__(self) -> None:
        self.numbers: Counter[str] = Counter()
        self.tables: dict[str, Counter[str]] = {}

    def count(self, table: str, name: str, by: int = 1) -> None:
        """Count `name` in a table."""
        self.tables.setdefault(table, Counter())[name] += by

    def reject(self, reason: str) -> None:
        """One record read and refused."""
        self.numbers["read"] += 1
        self.numbers["rejected"] += 1
        self.count("rejected_by_reason", reason)

    def accept(self, kind: str, item: Episode | Pair) -> None:
        """One record read and taken."""
        self.numbers["read"] += 1
        self.numbers["accepted"] += 1
        self.count("by_kind", kind)
        if isinstance(item, Pair):
            self.numbers["pairs"] += 1
        else:
            self._episode(item)

    def _episode(self, episode: Episode) -> None:
        self.numbers["episodes"] += 1
        self.numbers["turns"] += len(episode.turns)
        about = episode.provenance
        self.count("endings", str(episode.ending))
        self.count("outcomes", str(about.get("outcome") or "unknown"))
        for note in about.get("notes", ()):
            self.count("notes", str(note))
        seat = about.get("seat")
        for role in sorted({t.role for t in episode.turns if seat in (None, t.seat)}):
            self.count("roles", role or "unknown")
        for turn in episode.turns:
            self.count("phases", turn.phase or "none")

    def add(self, other: "Tally") -> None:
        """Take in another tally."""
        self.numbers.update(other.numbers)
        for table, counts in other.tables.items():
            self.tables.setdefault(table, Counter()).update(counts)

    def summary(self) -> ImportSummary:
        """The counts so far."""
        tables = {name: dict(counts) for name, counts in self.tables.items()}
        counts: dict[str, Any] = {**self.numbers, **tables}
        return ImportSummary(**counts)
