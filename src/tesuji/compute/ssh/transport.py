"""Commands and files over the system's `ssh`: whole or absent, and taken up again where it broke.

A line that breaks is tried again, until it has been of no use for `patience` seconds; a host that
refuses the key is not.
"""

import hashlib
import io
import json
import math
import os
import shlex
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from tesuji.compute.ssh.address import Address
from tesuji.core.errors import ComputeError
from tesuji.core.files import HALF, atomic_path, read_text
from tesuji.core.redact import redact

BROKEN = 255  # what `ssh` ends with where it is the line, not the command
CODE = read_text(Path(__file__).with_name("there.py"))
HOPELESS = {
    "permission denied": "see that `ssh {host}` lets you in without a password: a key, an agent",
    "host key verification failed": "run `ssh {host}` once, and look whether the key is right",
    "could not resolve hostname": "look at the name, or at its Host in ~/.ssh/config",
    "no route to host": "look at the address, and whether the machine is on",
    "bad configuration option": "mend ~/.ssh/config",
}
FULL = "no space left"
T = TypeVar("T")
Sizes = dict[str, tuple[int, int]]  # path → bytes, time of change in ns


class Broken(Exception):
    """The line broke; what was whole before stays whole."""


class Ssh:
    """The other machine. `python` is what runs there; it is the machine's own."""

    def __init__(self, address: Address, *, python: str = "python3", patience: float = 180) -> None:
        self.address, self.python, self.patience = address, python, patience
        self.moved = 0  # files that are known to have come or gone, whole

    def ask(self, wanted: str, folder: str, *words: str, send: Any = None) -> Any:
        """Do one thing of `there.py`; what it says, read as JSON (None where it says nothing)."""
        data = json.dumps(send).encode() + b"\n"
        said = self._lasting(lambda: self._once(self._command(wanted, folder, *words), data))
        return json.loads(said) if said.strip() else None

    def _command(self, wanted: str, folder: str, *words: str) -> list[str]:
        line = shlex.join([self.python, "-c", CODE, wanted, folder, *words])
        return [*self.address.words(), line]

    def _once(self, command: list[str], data: bytes) -> bytes:
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        self._judge(done.returncode, done.stderr)
        return done.stdout

    def _judge(self, code: int, said: bytes) -> None:
        """Nothing for a command that went well; Broken for a line that may come back."""
        words = redact(said.decode(errors="replace").strip())
        if code == 0:
            return
        if code == BROKEN:
            for sign, hint in HOPELESS.items():
                if sign in words.lower():
                    raise ComputeError(
                        _last(words), where=str(self.address), hint=hint.format(host=self.address)
                    )
            raise Broken(_last(words))
        if code == 127:
            what = f"there is no {self.python} on that machine"
            raise ComputeError(what, where=str(self.address), hint="install Python 3.11 there")
        what = _last(words, 5) or f"a command ended with {code}"
        hint = "a larger disk, or less on it" if FULL in words.lower() else ""
        raise ComputeError(what, where=str(self.address), hint=hint)

    def _lasting(self, once: Callable[[], T]) -> T:
        """Try until it goes well, or the line has been of no use too long: since it first broke
        with nothing more moved."""
        pause, since, moved = 0.5, math.inf, self.moved
        while True:
            try:
                return once()
            except Broken as broken:
                now = time.monotonic()
                if since == math.inf or self.moved > moved:
                    pause, since, moved = 0.5, now, self.moved
                if now + pause - since > self.patience:
                    raise self.gone(broken) from broken
                time.sleep(pause)
                pause = min(2 * pause, 15)

    def gone(self, broken: Broken) -> ComputeError:
        """The one message for a machine that cannot be reached."""
        what = f"cannot be reached by ssh for {self.patience:.0f} s: {broken}"
        hint = "see that the machine is on; the same command goes on where this one stopped"
        return ComputeError(what, where=str(self.address), hint=hint)

    def listing(self, folder: str) -> tuple[Sizes, dict[str, str]]:
        """Every whole file below a folder there, and every link with what it names; none where the
        folder is not."""
        found = self.ask("listing", folder)
        sizes = {path: (size, at) for path, (size, at) in found["files"].items()}
        return sizes, found["links"]

    def digests(self, folder: str, paths: Iterable[str]) -> dict[str, str]:
        """Path → SHA-256, of those that are there."""
        found: dict[str, str] = self.ask("digests", folder, send=list(paths))
        return found

    def push(self, here: Path, there: str) -> int:
        """Make the folder there hold what this one does; only what is missing by size and digest
        goes. How many files went."""
        return self._lasting(lambda: self._push(here, there))

    def _push(self, here: Path, there: str) -> int:
        ours = {path.relative_to(here).as_posix(): path for path in _files(here)}
        theirs, _ = self.listing(there)
        alike = [p for p, f in ours.items() if p in theirs and theirs[p][0] == f.stat().st_size]
        seen = self.digests(there, alike) if alike else {}
        same = {path for path in alike if seen.get(path) == digest(ours[path])}
        missing = {path: file for path, file in ours.items() if path not in same}
        self.moved = len(same)
        if missing:
            self._send(missing, there)
        return len(missing)

    def _send(self, files: dict[str, Path], there: str) -> None:
        with self._open("take", there) as (process, errors):
            try:
                with tarfile.open(fileobj=process.stdin, mode="w|") as tar:
                    for path, file in files.items():
                        _add(tar, file, path)
                _pipe(process.stdin).close()
            except BrokenPipeError:
                pass  # the end of `ssh` says why
            self._judge(process.wait(), errors())

    def pull(self, there: str, here: Path, *, check: bool = False) -> int:
        """Fetch what is new of a folder there, each file whole; how many came. A file of the same
        size and time is taken for the same, unless `check`: then by its digest."""
        return self._lasting(lambda: self._pull(there, here, check))

    def _pull(self, there: str, here: Path, check: bool) -> int:
        theirs, links = self.listing(there)
        alike = [p for p, (size, _) in theirs.items() if _size(here / p) == size]
        unsure = alike if check else [p for p in alike if _time(here / p) != theirs[p][1]]
        seen = self.digests(there, unsure) if unsure else {}
        other = {path for path in unsure if seen.get(path) != digest(here / path)}
        missing = sorted((theirs.keys() - set(alike)) | other, key=_marks_last)
        if missing:
            self._receive(missing, there, here)
        for path, target in links.items():
            _link(here / path, target)
        return len(missing)

    def _receive(self, paths: list[str], there: str, here: Path) -> None:
        with self._open("give", there) as (process, errors):
            line = json.dumps(paths).encode() + b"\n"
            threading.Thread(target=_write, args=(process.stdin, line), daemon=True).start()
            try:
                with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                    for member in tar:
                        _keep(tar, member, here, set(paths))
                        self.moved += 1
            except (tarfile.ReadError, EOFError) as error:
                self._judge(process.wait(), errors())
                raise Broken("a file breaks off") from error
            self._judge(process.wait(), errors())

    def lines(self, folder: str, offset: int) -> Iterator[tuple[int, str]]:
        """The job's log from a byte on: (byte after the line, line), until the job has ended. Where
        the line breaks it is taken up again."""
        since = time.monotonic()
        while True:
            try:
                for at, line in self._follow(folder, offset):
                    since, offset = time.monotonic(), at
                    yield at, line
                return
            except Broken as broken:
                if time.monotonic() - since > self.patience:
                    raise self.gone(broken) from broken
                time.sleep(1)

    def _follow(self, folder: str, offset: int) -> Iterator[tuple[int, str]]:
        with self._open("follow", folder, str(offset)) as (process, errors):
            for raw in process.stdout or ():
                at, _, line = raw.decode(errors="replace").rstrip("\n").partition(" ")
                yield int(at), line
            self._judge(process.wait(), errors())

    def _open(self, wanted: str, *words: str) -> "_Opened":
        return _Opened(self._command(wanted, *words))


class _Opened:
    """A command that runs beside us; it ends with the block."""

    def __init__(self, command: list[str]) -> None:
        self.command = command

    def __enter__(self) -> tuple["subprocess.Popen[bytes]", Callable[[], bytes]]:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=pipe)
        self.said = io.BytesIO()
        stderr = _pipe(self.process.stderr)
        self.reader = threading.Thread(
            target=shutil.copyfileobj, args=(stderr, self.said), daemon=True
        )
        self.reader.start()
        return self.process, self._errors

    def _errors(self) -> bytes:
        self.reader.join()
        return self.said.getvalue()

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with suppress(BrokenPipeError):
                _pipe(stream).close()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _write(stream: IO[bytes], data: bytes) -> None:
    try:
        stream.write(data)
        stream.close()
    except (BrokenPipeError, ValueError):
        pass  # the end of `ssh` says why


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith(HALF):
            yield path


def _add(tar: tarfile.TarFile, file: Path, name: str) -> None:
    """A file with its time, which a run's keys may have; nobody's."""
    with file.open("rb") as source:
        member = tar.gettarinfo(arcname=name, fileobj=source)
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.pax_headers = {"tesuji.ns": str(os.fstat(source.fileno()).st_mtime_ns)}
        tar.addfile(member, source)


def _keep(tar: tarfile.TarFile, member: tarfile.TarInfo, here: Path, asked: set[str]) -> None:
    source = tar.extractfile(member)
    if source is None or member.name not in asked or ".." in Path(member.name).parts:
        raise ComputeError(f"an unasked file from that machine: {member.name}")
    with atomic_path(here / member.name) as aside:
        with aside.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        if aside.stat().st_size != member.size:
            raise Broken("a file breaks off")
    at = int(member.pax_headers.get("tesuji.ns", member.mtime * 1_000_000_000))
    os.utime(here / member.name, ns=(at, at))


def _link(path: Path, target: str) -> None:
    """A link as it is there, to what lies beside it or below."""
    if target.startswith("/") or ".." in Path(target).parts or path.exists():
        return
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def digest(path: Path) -> str:
    """The SHA-256 of a file here."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _marks_last(path: str) -> tuple[bool, str]:
    """What says that a step is done comes after what it is done with."""
    return path.endswith("done.json"), path


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _time(path: Path) -> int:
    return path.stat().st_mtime_ns


def _last(words: str, lines: int = 1) -> str:
    return "\n".join(words.splitlines()[-lines:])
