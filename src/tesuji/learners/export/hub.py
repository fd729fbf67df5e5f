"""A model's folder on the Hugging Face Hub: one commit, after what is large has arrived.

What is large is known on the Hub by its content, so that a push that was stopped sends only what
is not there yet. Nothing is sent of a damaged folder, or of one that holds a secret.
"""

from collections.abc import Sequence
from pathlib import Path

from tesuji.core.checksums import CARD
from tesuji.core.errors import DataError, EngineError
from tesuji.core.files import read_json
from tesuji.core.redact import looks_secret
from tesuji.datasets.hub import telling_hub, token
from tesuji.learners.model.load import refuse_damaged
from tesuji.learners.model.sources import ADAPTER

WEIGHTS = (".safetensors", ".gguf")
VOCABULARY = "tokenizer.json"  # a hundred thousand words, some of which look like anything


def pushed_files(folder: Path, card: str) -> list[str]:
    """The names of a model's files that a push takes, its card, which is `card`, among them.

    Raises EngineError for a damaged folder and for an adapter whose base is only on this machine,
    DataError where a file holds a secret (weights and vocabulary are not searched).
    """
    refuse_damaged(str(folder))
    _refuse_private_base(folder)
    files = sorted(f for f in folder.iterdir() if f.is_file() and not f.name.startswith("."))
    for file in files:
        if file.suffix not in WEIGHTS and file.name not in (CARD, VOCABULARY):
            _refuse_secret(file, file.read_bytes().decode(errors="replace"))
    _refuse_secret(folder / CARD, card)
    return list(dict.fromkeys([CARD, *(file.name for file in files)]))


def push_model(folder: Path, to: str, names: Sequence[str], card: str, *, private: bool) -> str:
    """Upload these files to the model `to`, made if it is not there; return its address. Raises
    EngineError for whatever the Hub refuses, and where a model meant to be private is there already
    and public."""
    from huggingface_hub import CommitOperationAdd, HfApi

    with telling_hub(to, "this is a fault of Tesuji's: tell it"):
        api = HfApi(token=token())
        url = api.create_repo(to, private=private, exist_ok=True)
        if private and api.repo_info(to).private is False:
            hint = "--public, if everyone may read it; or name another one"
            raise EngineError("this model is there already, and public", where=to, hint=hint)
        added = [
            CommitOperationAdd(name, card.encode() if name == CARD else folder / name)
            for name in names
        ]
        api.create_commit(to, added, commit_message="Model made by Tesuji")
        return str(url)


def _refuse_private_base(folder: Path) -> None:
    if not (folder / ADAPTER).is_file():
        return
    base = str(read_json(folder / ADAPTER).get("base_model_name_or_path") or "")
    if "/" not in base or base.count("/") > 1 or Path(base).exists():
        raise EngineError(
            "the base of this adapter is on this machine only, and of no use without it",
            where=str(folder),
            hint="push it merged: --merged",
        )


def _refuse_secret(file: Path, text: str) -> None:
    if looks_secret(text):
        hint = "take it out; nothing was sent"
        raise DataError("this looks as if it held a secret", where=str(file), hint=hint)
