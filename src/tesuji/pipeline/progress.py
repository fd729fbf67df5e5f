"""How a run tells what it is doing. The command line draws bars; by default nobody listens."""


class Reporter:
    """Receives the progress of a run. One bar is under way at a time."""

    def say(self, text: str) -> None:
        """A line for people."""

    def begin(self, words: str, total: int | None = None) -> None:
        """A piece of work begins; `total` is its length, None when unknown."""

    def update(self, done: int, note: str = "") -> None:
        """`done` of the total is finished."""

    def end(self) -> None:
        """The piece of work under way has ended."""
