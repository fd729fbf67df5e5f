"""The environments of TextArena 0.7.4, known without importing it (which takes about a second).

A line of `names.txt` is a family of environments: name without `-v0`, seats (fewest-most, behind a
slash the usual number where that is not the fewest), what is hidden, chance, what it needs, and
the endings of its names where there are several (`.` is none). So `Nim 2 open certain nothing .
-medium` are `Nim-v0` and `Nim-v0-medium`. All but BabyAiText come in two further views, which are
not listed but can be played: `-train` (other observations) and `-raw` (no wrappers at all).
`tests/games/textarena/test_textarena_names.py` holds the table against the library's registry.
"""

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tesuji.core.files import read_text

VIEWS = ("-train", "-raw")
NO_VIEWS = ("BabyAiText-v0",)
UNBOUNDED = ("Set", "TwoDollar", "NewRecruit", "PublicGoodsGame", "MarketEntryGame", "Bandit")


@dataclass(frozen=True, slots=True)
class Known:
    """What the table says of one environment; `seats` are the fewest and the most, `usual` is how
    many sit down when nothing is said, `needs` a key of `reason`."""

    name: str
    seats: tuple[int, int]
    usual: int
    hidden: bool
    chance: bool
    needs: str
    bounded: bool


@cache
def known() -> Mapping[str, Known]:
    """Every environment by name, the further views left out, in the registry's order."""
    known: dict[str, Known] = {}
    table = read_text(Path(__file__).with_name("names.txt"))
    for line in table.replace("\n    ", " ").splitlines():
        stem, seats, info, chance, needs, *endings = line.split()
        number, _, usual = seats.partition("/")
        fewest, _, most = number.partition("-")
        for ending in endings or ["."]:
            name = f"{stem}-v0{ending.removeprefix('.')}"
            known[name] = Known(
                name=name,
                seats=(int(fewest), int(most or fewest)),
                usual=int(usual or fewest),
                hidden=info == "hidden",
                chance=chance == "chance",
                needs=needs,
                bounded=stem not in UNBOUNDED,
            )
    return known


@cache
def every_name() -> tuple[str, ...]:
    """All names that can be loaded, the further views among them."""
    views = ((name, ("",) if name in NO_VIEWS else ("", *VIEWS)) for name in known())
    return tuple(f"{name}{view}" for name, endings in views for view in endings)


def facts(name: str) -> Known:
    """What the table says of `name` or of the environment it is a view of."""
    return known().get(name) or known()[name.removesuffix("-train").removesuffix("-raw")]


def reason(needs: str) -> str:
    """Why what `needs` this cannot be played here; "" where it can, as far as can be seen without
    importing anything."""
    if importlib.util.find_spec("textarena") is None:
        return "needs TextArena: pip install 'tesuji[textarena]'"
    if needs == "python3.12":
        old = sys.version_info < (3, 12)
        return "its file is written for Python 3.12 (a syntax error before)" if old else ""
    if needs == "words":
        return "" if _has_words() else "needs NLTK's list of words: python -m nltk.downloader words"
    return {
        "openrouter": "asks a paid language model over the network while it is played",
        "source": "its file is not valid Python (an `elif` after an `else`)",
        "files": "files it reads are missing from the package",
        "mending": "breaks at the first reply (a TypeError of its own)",
        "gym": "needs the packages gym and babyai_text",
    }.get(needs, "")


def _has_words() -> bool:
    """Whether NLTK's word list is where NLTK looks for it."""
    named = [Path(one) for one in os.environ.get("NLTK_DATA", "").split(os.pathsep) if one]
    prefix, local = Path(sys.prefix), Path("/usr/local")
    roots = (Path.home(), prefix, prefix / "share", prefix / "lib")
    system = (Path("/usr/share"), Path("/usr/lib"), local / "share", local / "lib")
    folders = [*named, *(root / "nltk_data" for root in (*roots, *system))]
    corpora = [folder / "corpora" for folder in folders]
    return any((one / "words").is_dir() or (one / "words.zip").is_file() for one in corpora)
