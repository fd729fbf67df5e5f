"""A listener to progress that keeps what it hears."""

from tesuji.core.progress import Progress


class Listener(Progress):
    """`lines` are the words for people, `steps` (words, done, total) at each step of the work."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[str, int, int | None]] = []
        self.work: tuple[str, int | None] = ("", None)
        self.done = 0

    def say(self, text: str) -> None:
        self.lines.append(text)

    def begin(self, words: str, total: int | None = None) -> None:
        self.work, self.done = (words, total), 0

    def update(self, done: int, note: str = "") -> None:
        self.done = done
        self.steps.append((self.work[0], done, self.work[1]))

    def advance(self, count: int = 1) -> None:
        self.update(self.done + count)
