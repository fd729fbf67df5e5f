"""The questions of the Berkeley Function-Calling Leaderboard (BFCL v4), as its package brings them.

    pip install --no-deps bfcl-eval==2026.3.23      # 15 MB with all data, Apache-2.0

With its dependencies that package takes gigabytes, and none of them is needed here. Nothing of it
is imported to read the data (importing its `utils` makes folders beside the package), and there is
no other data to fall back to.
"""

import hashlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError, GameError
from tesuji.core.files import read_jsonl
from tesuji.core.types import Message

PACKAGE = "bfcl_eval"
INSTALL = "pip install --no-deps bfcl-eval==2026.3.23 (15 MB; never with its dependencies)"
MISSING = "the leaderboard's data and checker are not installed"
RELEVANCE = "live_relevance"

NON_LIVE = (
    *("simple_python", "simple_java", "simple_javascript"),
    *("multiple", "parallel", "parallel_multiple", "irrelevance"),
)
LIVE = (
    *("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple"),
    *("live_irrelevance", RELEVANCE),
)
CATEGORIES = (*NON_LIVE, *LIVE)
GROUPS: Mapping[str, tuple[str, ...]] = {
    "simple": NON_LIVE[:1],
    "java": NON_LIVE[1:2],
    "javascript": NON_LIVE[2:3],
    "non_live": NON_LIVE,
    "live": LIVE,
    "single_turn": CATEGORIES,
}

Function = Mapping[str, Any]  # a function's description, as the data have it


@dataclass(frozen=True)
class Question:
    """One question: what is said, the functions on offer, and the calls that answer it.

    `answers` holds one mapping a call, `{name: {parameter: [values that count as right]}}`, in
    which `""` stands for "may be left out"; it is empty for (ir)relevance, which has no key.
    """

    id: str
    category: str
    messages: tuple[Message, ...]
    functions: tuple[Function, ...]
    answers: tuple[Mapping[str, Mapping[str, Any]], ...]

    @property
    def language(self) -> str:
        """The language of the functions: "python", "java" or "javascript"."""
        return {"simple_java": "java", "simple_javascript": "javascript"}.get(
            self.category, "python"
        )

    @property
    def relevant(self) -> bool:
        """Whether a call is wanted at all."""
        return "irrelevance" not in self.category


def installed() -> bool:
    """Whether the leaderboard's package is there."""
    return importlib.util.find_spec(PACKAGE) is not None


def categories_of(value: Any) -> tuple[str, ...]:
    """The categories an option names: a name, several with commas between, or a list; names of
    groups (`live`, `non_live`, `single_turn`) stand for all of theirs. Raises GameError."""
    names = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    parts = [part.strip() for name in names for part in str(name).split(",")]
    categories: dict[str, None] = {}
    for part in parts:
        if part not in GROUPS and part not in CATEGORIES:
            raise GameError(
                f"BFCL has no category {part!r} that is one turn long",
                where="game.options.category",
                hint=f"there are: {', '.join((*CATEGORIES, *GROUPS))}",
            )
        categories |= dict.fromkeys(GROUPS.get(part, (part,)))
    return tuple(categories)


@cache
def read_category(category: str) -> tuple[Question, ...]:
    """All questions of a category in the order of its file. Raises GameError where the package is
    not installed, DataError where its files are not what they were."""
    folder = _folder()
    file = f"BFCL_v4_{category}.json"
    rows = [row for _, row in read_jsonl(folder / file)]
    key = folder / "possible_answer" / file
    answers = {row["id"]: row["ground_truth"] for _, row in read_jsonl(key)} if key.exists() else {}
    try:
        return tuple(_question(row, category, answers) for row in rows)
    except (KeyError, TypeError, IndexError) as error:
        raise DataError(f"not a question: {error!r}", where=str(folder / file), hint=INSTALL) from (
            error
        )


def chosen(
    categories: Sequence[str],
    split: str,
    *,
    held_out: float,
    split_seed: int,
    fits: Callable[[Question], bool],
    tasks: int | None,
) -> tuple[Question, ...]:
    """The questions of one side of the split, in an order that mixes the categories.

    The side of a question follows from `split_seed` and its id alone, whatever else is chosen:
    nothing that is held out here is learned from elsewhere. Of those that `fits` takes, `tasks`
    keeps the first so many. Raises GameError where nothing is left.
    """
    every = [question for category in categories for question in read_category(category)]
    side = [q for q in every if split in ("all", _split(q, held_out, split_seed))]
    short = [question for question in side if fits(question)]
    short.sort(key=lambda q: _hash(split_seed, "order", q.id))
    if not short:
        raise GameError(
            f"no question is left: {len(every):,} in {', '.join(categories)}, {len(side):,} in the "
            f"split {split}, none of them as short as asked for",
            where="game.options",
            hint="raise max_prompt_characters, or name other categories",
        )
    return tuple(short[:tasks])


def _split(question: Question, held_out: float, seed: int) -> str:
    hidden = _hash(seed, "split", question.id) < held_out * 2.0**64
    return "held_out" if hidden else "train"


def _hash(seed: int, purpose: str, name: str) -> int:
    """64 bits, the same on every machine and in every process."""
    digest = hashlib.sha256(f"{seed}|{purpose}|{name}".encode()).digest()
    return int.from_bytes(digest[:8])


def _folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise GameError(MISSING, where="game.name", hint=INSTALL)
    return Path(spec.origin).parent / "data"


def _question(row: Mapping[str, Any], category: str, answers: Mapping[str, Any]) -> Question:
    [messages] = row["question"]
    return Question(
        id=row["id"],
        category=category,
        messages=tuple(Message(role=m["role"], content=m["content"]) for m in messages),
        functions=tuple(row["function"]),
        answers=tuple(answers[row["id"]]) if answers else (),
    )
