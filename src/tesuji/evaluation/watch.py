"""What the caller of an evaluation hears while it runs."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Watch:
    """What the caller wants to hear: `doing(words, total)` at each part, then `advance(n)`."""

    doing: Callable[[str, int], None] = field(default=lambda words, total: None)
    advance: Callable[[int], None] = field(default=lambda done: None)
