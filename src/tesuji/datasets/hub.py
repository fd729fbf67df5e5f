"""A data set's folder as a data set of the Hugging Face Hub.

Pushed are the rows, the pages and `final/`; the logs themselves, what the import made of them and
a judge's answers stay here unless asked for. The token is huggingface_hub's own (`hf auth login`,
or HF_TOKEN) and is never read out.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError, EngineError, RecipeError
from tesuji.core.redact import redact
from tesuji.datasets.describe.card import SPLITS

PAGES = ("README.md", "METHODOLOGY.md", "dataset_statistics.json", "statistics.html")
ROWS = (*(file for *_, file, _ in SPLITS), "positions.jsonl")
LOGS = ("raw_logs", "processed")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def pushed(folder: Path, *, with_logs: bool = False) -> list[str]:
    """Paths in the folder that a push takes, in order. Raises DataError where it is no data set
    with a card."""
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder), hint="check the path")
    if not (folder / "README.md").is_file():
        hint = f"write it first: tesuji data card {folder}"
        raise DataError("no README.md, which is the card on the Hub", where=str(folder), hint=hint)
    names = [name for name in (*PAGES, *ROWS) if (folder / name).is_file()]
    for part in ("final", *(LOGS if with_logs else ())):
        names += [str(f.relative_to(folder)) for f in sorted((folder / part).rglob("*"))]
    return [name for name in names if (folder / name).is_file() and not _hidden(name)]


def _hidden(name: str) -> bool:
    """Whether it is half a file of a killed run."""
    return any(part.startswith(".") for part in Path(name).parts)


def check_name(name: str, where: str = "--to") -> None:
    """Raise RecipeError for what is no `owner/name`."""
    if not _NAME.fullmatch(name):
        hint = "an account and a name of your own, such as my-name/my-work"
        raise RecipeError(f"{name!r} is no owner/name", where=where, hint=hint)


def token() -> str:
    """The token of this machine. Raises EngineError where there is none."""
    from huggingface_hub import get_token

    if key := get_token():
        return key
    hint = "hf auth login, or set HF_TOKEN to a token that may write"
    raise EngineError("no Hugging Face token on this machine", where="Hub", hint=hint)


def push(folder: Path, to: str, names: Sequence[str], *, private: bool) -> str:
    """Upload these files of the folder to the data set `to`, made if it is not there; return its
    address. Raises EngineError for whatever the Hub refuses, and where a data set meant to be
    private is there already and public."""
    with telling_hub(to, f"write the card anew: tesuji data card {folder}"):
        return _push(folder, to, names, private, token())


@contextmanager
def telling_hub(to: str, card_hint: str) -> Iterator[None]:
    """Whatever goes wrong on the way to the Hub becomes one EngineError without secrets."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except OfflineModeIsEnabled:
        hint = "unset HF_HUB_OFFLINE"
        raise EngineError("HF_HUB_OFFLINE forbids it", where="Hub", hint=hint) from None
    except HfHubHTTPError as error:
        hint = "check that the token may write there: hf auth whoami"
        raise EngineError(_problem(error), where=to, hint=hint) from None
    except ValueError as error:  # the card's metadata, which the Hub looks at first
        raise EngineError(_problem(error), where=to, hint=card_hint) from None
    except (httpx2.HTTPError, OSError, RuntimeError) as error:
        hint = "the same command goes on from there"
        raise EngineError(
            f"the Hub was not reached: {_problem(error)}", where=to, hint=hint
        ) from None


def _problem(error: Exception) -> str:
    return redact(" ".join(str(error).split()))[:300] or type(error).__name__


def _push(folder: Path, to: str, names: Sequence[str], private: bool, key: str) -> str:
    from huggingface_hub import HfApi

    api = HfApi(token=key)
    url = api.create_repo(to, repo_type="dataset", private=private, exist_ok=True)
    if private and api.repo_info(to, repo_type="dataset").private is False:
        hint = "--public, if everyone may read it; or name another one"
        raise EngineError("this data set is there already, and public", where=to, hint=hint)
    api.upload_folder(
        repo_id=to,
        repo_type="dataset",
        folder_path=folder,
        allow_patterns=_patterns(names),
        ignore_patterns=[".*", "*/.*"],
        commit_message="Data set made by Tesuji",
    )
    return str(url)


def _patterns(names: Sequence[str]) -> list[str]:
    """Names as huggingface_hub takes them; a folder of logs as a whole, since it may hold ten
    thousand."""
    parts: dict[str, Any] = {}
    for name in names:
        first = name.partition("/")[0]
        parts[f"{first}/*" if first in LOGS else name] = None
    return list(parts)
