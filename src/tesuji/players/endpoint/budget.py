"""What asking has cost, and whether the next request may still be sent.

A request is written down before it is sent, with the most that it can cost, and corrected when its
answer is there. So neither many at once nor a kill can spend more than the budget allows. One
that was lost on its way counts with the most it can have cost.

    with recorded_in(run.path / SPENDING):  # all that is asked inside counts for this run
        ...
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import EndpointError
from tesuji.core.redact import redact
from tesuji.core.types import Message
from tesuji.players.endpoint.database import Database
from tesuji.recipe.schema.endpoint import EndpointSection

SPENDING = "endpoints.sqlite"
TEMPLATE_TOKENS = 256  # more than a chat template puts around messages
MILLION = 1e6
ROUNDING = 1e-9  # dollars
TABLE = (
    "spent (name TEXT PRIMARY KEY, requests INTEGER DEFAULT 0, dollars REAL DEFAULT 0, "
    "read INTEGER DEFAULT 0, written INTEGER DEFAULT 0)"
)


@dataclass(frozen=True, slots=True)
class Spent:
    """What one model at one address was asked: HTTP requests, tokens read and written, dollars."""

    name: str
    requests: int
    dollars: float
    read: int
    written: int

    @property
    def words(self) -> str:
        """A line for people."""
        cost = f", ${self.dollars:,.4f}" if self.dollars else ""
        return (
            f"asked {self.name}: {self.requests:,} requests, {self.read:,} tokens read, "
            f"{self.written:,} written{cost}"
        )


class Ledger:
    """What was spent, by model and address, in a file or in memory. The file is made by the first
    request. Raises DataError where it cannot be."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._opened: Database | None = None

    @property
    def _base(self) -> Database:
        if self._opened is None:
            self._opened = Database(self.path, TABLE)
        return self._opened

    def take(
        self, name: str, worst: float, most_requests: int | None, most_dollars: float | None
    ) -> bool:
        """Write one request down that costs at most `worst` dollars; False, and nothing is written,
        where the budget does not allow it."""
        self._base.do("INSERT OR IGNORE INTO spent (name) VALUES (?)", (name,))
        return bool(
            self._base.do(
                "UPDATE spent SET requests = requests + 1, dollars = dollars + ?1 "
                "WHERE name = ?2 AND (?3 IS NULL OR requests < ?3) "
                "AND (?4 IS NULL OR dollars + ?1 <= ?4 + ?5) RETURNING name",
                (worst, name, most_requests, most_dollars, ROUNDING),
            )
        )

    def correct(self, name: str, dollars: float, read: int, written: int) -> None:
        """Add `dollars` (what an answer cost more than was written down, or less) and tokens."""
        self._base.do(
            "UPDATE spent SET dollars = dollars + ?, read = read + ?, written = written + ? "
            "WHERE name = ?",
            (dollars, read, written, name),
        )

    def spent(self) -> list[Spent]:
        """All of it; nothing where nobody was asked."""
        if self._opened is None and (self.path is None or not self.path.exists()):
            return []
        columns = "name, requests, dollars, read, written"
        return [Spent(*row) for row in self._base.do(f"SELECT {columns} FROM spent ORDER BY name")]


_ledgers = [Ledger(None)]


def ledger() -> Ledger:
    """Where what is asked now is written down: in memory for all of this process, but for a run."""
    return _ledgers[-1]


@contextmanager
def recorded_in(path: Path) -> Iterator[Ledger]:
    """Inside, what is asked is written into this file, where earlier sessions of the run wrote."""
    _ledgers.append(Ledger(path))
    try:
        yield _ledgers[-1]
    finally:
        _ledgers.pop()


class Purse:
    """The budget of one section: pays for requests, or says that nothing more may be asked, and
    `where` in the recipe."""

    def __init__(self, section: EndpointSection, where: str) -> None:
        self.section, self.where = section, where
        self.name = redact(f"{section.model} at {section.base_url}")
        self._under_way = 0
        self._changed = asyncio.Event()

    def worst(self, messages: Sequence[Message]) -> float:
        """The most dollars that one request can cost: no token is shorter than a byte."""
        read = len(json.dumps(messages).encode()) + TEMPLATE_TOKENS
        return self.cost(read, self.section.max_tokens)

    def cost(self, read: int, written: int) -> float:
        """Dollars for tokens."""
        prices = self.section.input_price or 0.0, self.section.output_price or 0.0
        return (prices[0] * read + prices[1] * written) / MILLION

    async def take(self, worst: float) -> None:
        """Pay for one request beforehand; where only those under way stand against it, wait for
        what is left of theirs. Raises EndpointError where the budget is used up."""
        section = self.section
        while not ledger().take(self.name, worst, section.max_requests, section.max_dollars):
            if not self._under_way:
                raise self._used_up()
            self._changed.clear()
            await self._changed.wait()
        self._under_way += 1

    def settle(self, worst: float, usage: tuple[int, int] | None, *, billed: bool) -> None:
        """A request is over: `usage` are its tokens, None where nobody knows them."""
        self._under_way -= 1
        self._changed.set()
        read, written = usage or (0, 0)
        known = usage is not None or not billed
        ledger().correct(
            self.name, self.cost(read, written) - worst if known else 0.0, read, written
        )

    def _used_up(self) -> EndpointError:
        spent = next(one for one in ledger().spent() if one.name == self.name)
        section = self.section
        if section.max_requests is not None and spent.requests >= section.max_requests:
            key, said = "max_requests", f"{section.max_requests:,} requests"
        else:
            key, said = "max_dollars", f"${section.max_dollars:,g}"
        return EndpointError(
            f"the budget of {said} does not allow another request ({spent.words})",
            where=f"{self.where}.{key}",
            hint=f"raise {key}, and the same command goes on; what was answered is kept",
        )
