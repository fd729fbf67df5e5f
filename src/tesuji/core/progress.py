"""How work tells how far it is. The command line draws bars of it; by default nobody listens."""


class Progress:
    """Hears of one piece of work at a time: what it is, how long it is, how much is done."""

    def say(self, text: str) -> None:
        """A line for people."""

    def begin(self, words: str, total: int | None = None) -> None:
        """A piece of work begins and ends the one before; without `total` its length is unknown."""

    def update(self, done: int, note: str = "") -> None:
        """`done` of the total is finished."""

    def advance(self, count: int = 1) -> None:
        """`count` more is finished."""

    def end(self) -> None:
        """The piece of work under way has ended."""


SILENT = Progress()


class Named(Progress):
    """The progress of a part of something larger: its name stands before all words."""

    def __init__(self, name: str, whole: Progress) -> None:
        self.name, self.whole = name, whole

    def say(self, text: str) -> None:
        """A line for people."""
        self.whole.say(f"{self.name}: {text}")

    def begin(self, words: str, total: int | None = None) -> None:
        """A piece of work begins."""
        self.whole.begin(f"{self.name}: {words}", total)

    def update(self, done: int, note: str = "") -> None:
        """`done` of it is finished."""
        self.whole.update(done, note)

    def advance(self, count: int = 1) -> None:
        """`count` more of it is finished."""
        self.whole.advance(count)

    def end(self) -> None:
        """It has ended."""
        self.whole.end()
