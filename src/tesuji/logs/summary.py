"""What an import came to, in counts."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.types import Episode, Pair


@dataclass(slots=True)
class ImportSummary:
    """Counts of one import; `read` = `accepted` + `rejected` = all records that were met.

    `by_kind` counts accepted records, `rejected_by_reason` the others; `outcomes`, `roles`,
    `endings` and `notes` are of the episodes taken (`notes` also of files), `phases` of their
    turns. Those of several processes can be added up.
    """

    files: int = 0
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    episodes: int = 0
    pairs: int = 0
    turns: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    rejected_by_reason: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    roles: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Plain values, the larger counts first."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: dict(value.most_common()) if isinstance(value, Counter) else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls, values: Any, where: object) -> "ImportSummary":
        """What `as_json` gave. Raises DataError for anything else."""
        plain = cls()
        for name in cls.__slots__:
            kind = dict if isinstance(getattr(plain, name), Counter) else int
            value = values.get(name) if isinstance(values, dict) else None
            numbers = list(value.values()) if isinstance(value, dict) else [value]
            if not isinstance(value, kind) or not all(isinstance(n, int) for n in numbers):
                raise DataError(f"no summary of an import: {name} is missing", where=str(where))
            setattr(plain, name, Counter(value) if isinstance(value, dict) else value)
        return plain

    def reject(self, reason: str) -> None:
        """One record read and refused."""
        self.read += 1
        self.rejected += 1
        self.rejected_by_reason[reason] += 1

    def accept(self, kind: str, item: Episode | Pair) -> None:
        """One record read and taken."""
        self.read += 1
        self.accepted += 1
        self.by_kind[kind] += 1
        if isinstance(item, Pair):
            self.pairs += 1
            self.notes.update(noted if isinstance(noted := item.about.get("notes"), list) else ())
        else:
            self._episode(item)

    def _episode(self, episode: Episode) -> None:
        self.episodes += 1
        self.turns += len(episode.turns)
        about = episode.provenance
        self.endings[str(episode.ending)] += 1
        self.outcomes[str(about.get("outcome") or "unknown")] += 1
        self.notes.update(map(str, about.get("notes", ())))
        seat = about.get("seat")
        roles = {turn.role for turn in episode.turns if seat in (None, turn.seat)}
        self.roles.update(role or "unknown" for role in sorted(roles))
        self.phases.update(turn.phase or "none" for turn in episode.turns)

    def add(self, other: "ImportSummary") -> None:
        """Take in the counts of another process."""
        for name in self.__slots__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, Counter):
                mine.update(theirs)
            else:
                setattr(self, name, mine + theirs)
