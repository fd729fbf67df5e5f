"""What is said about a job and its machine: what was wished for, the price, how it stands."""

import math
from dataclasses import dataclass, field
from typing import Literal

from tesuji.core.errors import ComputeError

PREFIX = "tesuji-"  # how everything that we rent is named, so that leftovers can be told
Phase = Literal["new", "shipping", "starting", "running", "done", "failed", "stopped", "lost"]
ENDS: frozenset[Phase] = frozenset(("done", "failed", "stopped", "lost"))


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for; it stands in job.json and never changes."""

    on: str
    """`modal`, `runpod`, or `ssh:user@host`."""
    gpu: str = ""
    """The GPU's name as the machine's owner spells it; empty: no GPU."""
    count: int = 1
    """GPUs, where there is one."""
    cpus: float = 0
    """Cores; 0: what the machine gives."""
    memory_gb: float = 0
    disk_gb: float = 0
    timeout_hours: float = 24
    """The run is stopped after so long, with a checkpoint."""
    retries: int = 0
    """Times that the machine's owner may start the work again after it was lost."""
    max_cost: float | None = None
    """Dollars after which the run is stopped, with a checkpoint."""
    options: dict[str, str] = field(default_factory=dict)
    """The machine's own: `cloud`, `region`, `experiment`, ..."""
    readers: int = 0
    """Small containers beside it that read logs, at most; they cost as well."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a machine costs while it is held."""

    dollars_per_hour: float
    source: Literal["live", "table", "free"]
    date: str = ""
    """Of the table's row, as YYYY-MM-DD."""

    def cost(self, seconds: float) -> float:
        """Dollars of so many seconds."""
        return self.dollars_per_hour * seconds / 3600

    def seconds(self, dollars: float) -> float:
        """Seconds that so many dollars buy."""
        free = self.dollars_per_hour <= 0
        return math.inf if free else dollars / self.dollars_per_hour * 3600


@dataclass(frozen=True, slots=True)
class Status:
    """How a job stands, as its machine sees it."""

    phase: Phase
    exit_code: int | None = None
    """Of `tesuji run`, where it ended."""
    message: str = ""
    """Why it stopped, failed or was lost, for a person."""
    started: float | None = None
    """Epoch seconds from which on the machine costs."""
    ended: float | None = None


class GoneError(ComputeError):
    """What is asked for is there no more: to ask again does not help."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A machine of ours that still costs."""

    id: str
    """What its owner calls it."""
    job: str
    """The job that it was rented for; empty: unknown."""
    dollars_per_hour: float | None = None
