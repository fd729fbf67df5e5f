"""The run folder: one folder that holds everything a run read, did and found.

    runs/<name>/
      manifest.json     what ran: recipe hash, versions, git commit, seed, platform, stages
      recipe.yaml       the resolved recipe
      metrics.jsonl     every stage's metrics
      base/             the model the run began with, where it was built here
      stages/01-sft/    one folder a stage; done.json is written last
      sft -> stages/01-sft            a short way to each stage
      training_summary_sft.json       what each training stage did
      report.html, report.md

A stage folder carries the key of what it depends on: finished with the same key means nothing to
do, half-done with the same key means resume. With another key the folder is kept under a new
name (`01-sft~1`) and the stage starts afresh: nothing is lost.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from tesuji.core.errors import DataError, did_you_mean
from tesuji.core.files import keep_aside, read_json, sweep, unwritable, write_json, write_text
from tesuji.core.redact import redact

RUN_FORMAT = 1
UNREADABLE = "?"  # stands for a key that nobody can read any more
PACKAGES = ("tesuji", "torch", "transformers", "trl", "peft", "accelerate", "open_spiel")
Status = Literal["absent", "changed", "lost", "half-done", "unsure", "done"]


def key_of(*parts: Any) -> str:
    """A short hash of JSON-like values: equal inputs, equal key."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class RunFolder:
    """One run on disk. Methods raise DataError when the folder cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def manifest_path(self) -> Path:
        """Where the manifest is."""
        return self.path / "manifest.json"

    def open(
        self,
        *,
        name: str,
        recipe: str,
        seed: int,
        command: str,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Create the folder or go on in it; write the recipe and the manifest. A manifest that is
        damaged is kept beside a new one, and told."""
        try:
            (self.path / "stages").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.path, error) from error
        sweep(self.path)
        old = self._old_manifest(say) if self.manifest_path.exists() else {}
        write_text(self.path / "recipe.yaml", redact(recipe))
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        manifest = {
            "format": RUN_FORMAT,
            "name": name,
            "recipe_hash": key_of(recipe),
            "created": old.get("created", now),
            "updated": now,
            "seed": seed,
            "command": redact(command),
            "git_commit": git_commit(),
            "versions": versions(),
            "platform": machine(),
            "stages": old.get("stages", {}),
        }
        write_json(self.manifest_path, manifest)

    def _old_manifest(self, say: Callable[[str], None]) -> dict[str, Any]:
        if problem := self._unreadable():
            aside = keep_aside(self.manifest_path)
            say(f"{problem.where}: {problem.what}: kept as {aside.name}, and written anew")
            return {"stages": self._finished()}
        return self.manifest()

    def _unreadable(self) -> DataError | None:
        """Why this is no manifest of any format; None where it is one."""
        try:
            manifest = read_json(self.manifest_path)
        except DataError as error:
            return error
        known = isinstance(manifest, dict) and "format" in manifest
        return None if known else DataError("not a manifest", where=str(self.manifest_path))

    def _finished(self) -> dict[str, Any]:
        """What the stages' own files say of them."""
        stages = {}
        for file in sorted(self.path.glob("stages/[0-9][0-9]-*/done.json")):
            with suppress(DataError, TypeError):
                if "~" not in file.parent.name:
                    stages[file.parent.name[3:]] = {"status": "done", **read_json(file)}
        return stages

    def refuse_unusable(self) -> None:
        """Raise DataError where a run could not go on here; nothing on disk changes."""
        there = next(p for p in (self.path, *self.path.absolute().parents) if p.exists())
        if not there.is_dir():
            raise unwritable(there, NotADirectoryError(20, "it is a file"))
        if not os.access(there, os.W_OK | os.X_OK):
            raise unwritable(there, PermissionError(13, "Permission denied"))
        if self.manifest_path.exists() and self._unreadable() is None:
            self.manifest()

    def manifest(self) -> dict[str, Any]:
        """The manifest; DataError when it is missing, broken or from a newer Tesuji."""
        manifest = read_json(self.manifest_path)
        if not isinstance(manifest, dict) or manifest.get("format") != RUN_FORMAT:
            raise DataError(
                f"not a run folder of format {RUN_FORMAT}",
                where=str(self.manifest_path),
                hint="choose another `name`, or update Tesuji",
            )
        stages = manifest.setdefault("stages", {})
        if not isinstance(stages, dict) or not all(isinstance(s, dict) for s in stages.values()):
            raise DataError("`stages` is no list of stages", where=str(self.manifest_path))
        return manifest

    def link(self, name: str, folder: Path) -> None:
        """Let `RUN/<name>` lead to a stage's folder; whatever else has that name stays."""
        link = self.path / name
        if link.is_symlink() or not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to(folder.relative_to(self.path), target_is_directory=True)

    def note_stage(self, name: str, facts: Mapping[str, Any]) -> None:
        """Record a stage's facts (status, seconds, key) in the manifest."""
        manifest = self.manifest()
        manifest["stages"][name] = {**manifest["stages"].get(name, {}), **facts}
        write_json(self.manifest_path, manifest)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process; DataError when another one is at work in it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / ".lock").open("w")
        except OSError as error:
            raise unwritable(self.path, error) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise DataError(
                    "another process is working in this run folder",
                    where=str(self.path),
                    hint="wait for it, or give this run another name: name=...",
                ) from error
            yield


class StageFolder:
    """One stage's folder inside a run."""

    def __init__(self, run: Path, index: int, name: str) -> None:
        self.name = name
        self.path = run / "stages" / f"{index:02d}-{name}"

    def status(self, key: str) -> Status:
        """How far this stage is, measured against the key it should have. With a done.json that
        cannot be read it is "unsure", with no readable key at all "lost"."""
        if not self.path.is_dir():
            return "absent"
        done, started = self._key_in("done.json"), self._key_in("started.json")
        known = started if done in (None, UNREADABLE) else done
        if known == UNREADABLE:
            return "lost"
        if known != key:
            return "changed"
        if done == UNREADABLE:
            return "unsure"
        return "done" if done else "half-done"

    def _key_in(self, name: str) -> str | None:
        """The key that a file holds; None without the file."""
        try:
            value = read_json(self.path / name) if (self.path / name).exists() else {"key": None}
        except DataError:
            return UNREADABLE
        key = value.get("key", UNREADABLE) if isinstance(value, dict) else UNREADABLE
        return key if key is None else str(key)

    def begin(self, key: str) -> None:
        """Make the folder ready: kept when it is this key's half-done work, else set aside."""
        if self.status(key) in ("changed", "lost"):
            aside = keep_aside(self.path)
            for paid in aside.glob("*.sqlite*"):  # a model's answers, kept by what was asked
                self.path.mkdir(exist_ok=True)
                shutil.copy2(paid, self.path / paid.name)
        write_json(self.path / "started.json", {"key": key})

    def finish(self, key: str, facts: Mapping[str, Any]) -> None:
        """Mark the stage as done: the last thing written."""
        write_json(self.path / "done.json", {"key": key, **facts})


def at_work(runs: Iterable[Path]) -> dict[Path, int]:
    """Run folder → the process that holds it, of those that are held now. Looks at what the kernel
    says of locks (Linux) and takes none, so that a run that is about to start never meets one."""
    holders = _lock_holders()
    found = {}
    for run in runs:
        with suppress(OSError):
            held = (run / ".lock").stat()
            place = (os.major(held.st_dev), os.minor(held.st_dev), held.st_ino)
            if (holder := holders.get(place) or holders.get((run / ".lock").resolve())) is not None:
                found[run] = holder
    return found


def _lock_holders() -> dict[Any, int]:
    """Of every lock its process, by the file's device and number, and by its path where that can
    be seen: on layered file systems the two disagree on the device."""
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return {}
    holders: dict[Any, int] = {}
    for words in (line.split() for line in lines):
        if "FLOCK" in words and "->" not in words:
            major, minor, number = words[5].split(":")
            holders[int(major, 16), int(minor, 16), int(number)] = int(words[4])
    for holder in set(holders.values()):
        with suppress(OSError):
            for link in Path(f"/proc/{holder}/fd").iterdir():
                if link.readlink().name == ".lock":
                    holders[link.readlink()] = holder
    return holders


def find_run(name: str, root: Path = Path("runs")) -> Path:
    """The run folder called `name`: a path, or a name under `root`."""
    for path in (Path(name), root / name):
        if (path / "manifest.json").is_file():
            return path
    known = sorted(p.parent.name for p in root.glob("*/manifest.json")) if root.is_dir() else []
    listed = f"{did_you_mean(Path(name).name, known)}there are: {', '.join(known)}"
    hint = listed if known else "make one: tesuji run RECIPE"
    raise DataError(f"no run {name!r} here", where=str(root), hint=hint)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages results depend on; absent ones left out."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def machine() -> dict[str, Any]:
    """What this run ran on: system and processor, no host or user name."""
    plain = {"system": platform.platform(), "machine": platform.machine(), "cpus": os.cpu_count()}
    return {**plain, **({"gpus": gpus} if (gpus := _gpus()) else {})}


def _gpus() -> list[str]:
    """The CUDA devices' names, as torch says them, where it is at work here."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def git_commit() -> str | None:
    """The commit of the working directory, with `+changes` where it is not clean; or None."""
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit}+changes" if _git("status", "--porcelain", "-uno") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()
