"""What is done on the other machine: this file's text goes there in the command of an `ssh`.

It stands alone on the Python that is there (3.8 and newer), for nothing of ours is there yet. The
first word says what is wanted, the second names a folder; see `WANTED` at the end.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

HALF = ".half"
CHUNK = 1 << 20


def probe(folder: Path) -> None:
    """The Python that is there, and the free bytes where `folder` is or would be."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    has_venv = _has("venv") and _has("ensurepip")
    python = list(sys.version_info[:3])
    _say({"python": python, "free": free, "venv": has_venv, "gpus": _gpus()})


def _has(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None


def _gpus() -> List[str]:
    names = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(names, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout.split("\n")[:-1] if done.returncode == 0 else []
    return []


def listing(folder: Path) -> None:
    """Every whole file below: path → [bytes, time of change in ns]; every link: path → target."""
    found, links = {}, {}
    for path in _entries(folder):
        name = path.relative_to(folder).as_posix()
        with contextlib.suppress(FileNotFoundError):
            if path.is_symlink():
                links[name] = os.readlink(str(path))  # noqa: PTH115 - Path has it since 3.9
            elif path.is_file():
                stat = path.stat()
                found[name] = [stat.st_size, stat.st_mtime_ns]
    _say({"files": found, "links": links})


def _entries(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if not any(p.startswith(".") and p.endswith(HALF) for p in parts):
            yield path


def digests(folder: Path) -> None:
    """The SHA-256 of the files named on the way in; those that are gone are left out."""
    found = {}
    for name in _asked():
        with contextlib.suppress(FileNotFoundError):
            found[name] = digest(folder / name)
    _say(found)


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    seen = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(CHUNK):
            seen.update(part)
    return seen.hexdigest()


def take(folder: Path) -> None:
    """Unpack a tar from the way in; each file is whole or absent, whatever breaks off."""
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for member in tar:
            source = tar.extractfile(member)
            if source is not None:
                _write(_inside(folder, member.name), source, member)


def _inside(folder: Path, name: str) -> Path:
    if name.startswith("/") or ".." in Path(name).parts:
        raise SystemExit("a path that leaves its folder: " + name)
    return folder / name


def _write(path: Path, source: Any, member: tarfile.TarInfo) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(".%s.*%s" % (_literal(path.name), HALF)):
        with contextlib.suppress(FileNotFoundError):
            left.unlink()  # by a line that broke, whose end here may not have noticed yet
    aside = path.with_name(".%s.%d%s" % (path.name, os.getpid(), HALF))
    with aside.open("wb") as file:
        shutil.copyfileobj(source, file, CHUNK)
        file.flush()
        os.fsync(file.fileno())
    if aside.stat().st_size != member.size:
        raise SystemExit("a file that breaks off: " + path.name)
    aside.chmod(member.mode & 0o777)
    at = int(member.pax_headers.get("tesuji.ns", int(member.mtime * 1_000_000_000)))
    os.utime(str(aside), ns=(at, at))
    aside.replace(path)


def _literal(name: str) -> str:
    return "".join("[%s]" % c if c in "*?[" else c for c in name)


def give(folder: Path) -> None:
    """Pack the files named on the way in as a tar; what is gone meanwhile is left out."""
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        for name in _asked():
            _seen(folder)
            with contextlib.suppress(FileNotFoundError), (folder / name).open("rb") as file:
                stat = os.fstat(file.fileno())
                member = tarfile.TarInfo(name)
                member.size, member.mtime = stat.st_size, stat.st_mtime
                member.pax_headers = {"tesuji.ns": str(stat.st_mtime_ns)}
                tar.addfile(member, file)


def environment(folder: Path) -> None:
    """Make a virtual environment there from the wheel and constraints named on the way in, once."""
    asked = _asked()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "lock"):
        if (folder / "ready").exists():
            return
        python = folder / "venv" / "bin" / "python"
        _run([sys.executable, "-m", "venv", "--clear", str(folder / "venv")])
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _run([*install, *asked])
        (folder / "ready").touch()


def absolute(folder: Path) -> None:
    """A path from the root."""
    _say(str(folder.absolute()))


def _run(words: List[str]) -> None:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def begin(folder: Path) -> None:
    """Start the job in a session of its own, once: what runs or has ended is left as it is. The
    way in holds `words`, `cwd` and `env`, which alone holds the secrets."""
    asked = _asked()
    with _locked(folder / ".lock"):
        if (folder / "exit.json").exists() or _alive(folder):
            return
        with (folder / "remote.log").open("ab") as log:
            child = subprocess.Popen(
                asked["words"],
                cwd=folder / asked["cwd"],
                env={**os.environ, **asked["env"]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        time.sleep(asked["look"])  # what cannot start at all says so now
        code = child.poll()
        written = json.dumps({"pid": child.pid, "born": _born(child.pid)})
        aside = folder / (".pid" + HALF)
        aside.write_text(written)
        aside.replace(folder / "pid.json")
        if code and not (folder / "exit.json").exists():
            raise SystemExit(_end_of(folder / "remote.log"))


def _end_of(path: Path, lines: int = 5) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _read(path: Path) -> Dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text())
        return found if isinstance(found, dict) else {}
    return {}


def _born(pid: int) -> str:
    """When a process began, in the kernel's count: a number used again is another process."""
    with contextlib.suppress(OSError):
        words = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
        return "" if words[0] == "Z" else words[19]
    return ""


def _alive(folder: Path) -> Optional[int]:
    found = _read(folder / "pid.json")
    return found["pid"] if found and _born(found["pid"]) == found["born"] != "" else None


def state(folder: Path) -> None:
    """How the job stands there."""
    _seen(folder)
    alive = _alive(folder)  # before exit.json, or one that ends now would be lost
    _say(
        {
            "there": folder.exists(),
            "begun": (folder / "pid.json").exists(),
            "alive": alive is not None,
            "exit": _read(folder / "exit.json"),
            "heartbeat": _read(folder / "heartbeat.json"),
            "said": _end_of(folder / "remote.log") if (folder / "remote.log").exists() else "",
            "now": time.time(),
        }
    )


def follow(folder: Path) -> None:
    """The log's lines from a byte on, each behind the byte that it ends at, until the job ends."""
    at = int(sys.argv[3])
    while True:
        ended = (folder / "exit.json").exists() or _alive(folder) is None
        at = _lines(folder / "log.txt", at, rest=ended)
        if ended:
            return
        time.sleep(0.5)
        if os.getppid() == 1:  # nobody hears it any more
            return


def _lines(path: Path, at: int, rest: bool) -> int:
    if not path.exists():
        return at
    with path.open("rb") as file:
        file.seek(at)
        while (line := file.readline()) and (rest or line.endswith(b"\n")):
            at += len(line)
            sys.stdout.buffer.write(b"%d %s\n" % (at, line.rstrip(b"\n")))
    sys.stdout.buffer.flush()
    return at


def interrupt(folder: Path) -> None:
    """Ask the job to stop with a checkpoint."""
    (folder / "stop").touch()
    pid = _alive(folder)
    if pid is not None:
        _signal(pid, signal.SIGINT)


def mark(folder: Path) -> None:
    """Put an empty file there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / sys.argv[3]).touch()


def stop(folder: Path) -> None:
    """SIGINT to the job, and after some seconds SIGKILL to all that it started."""
    with _locked(folder / ".lock"):
        pid = _alive(folder)
        if pid is None:
            return
        deadline = time.time() + float(sys.argv[3])
        _signal(pid, signal.SIGINT)
        started = {pid: _born(pid)}
        while _alive(folder) is not None and time.time() < deadline:
            started.update(_below(pid))
            time.sleep(0.1)
        for child, born in started.items():
            if _born(child) == born != "":
                _signal(child, signal.SIGKILL)


def _below(pid: int) -> Dict[int, str]:
    """The processes that descend from this one, with when they began."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = entry.read_text().rpartition(")")[2].split()
            parents[int(entry.parent.name)] = int(words[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {child: _born(child) for child in found}


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _seen(folder: Path) -> None:
    """Somebody looks after the job: that its machine knows."""
    for place in (folder, *folder.parents):
        if (place / "pid.json").exists():
            (place / "seen").touch()


def _asked() -> Any:
    return json.loads(sys.stdin.readline())


def _say(value: Any) -> None:
    print(json.dumps(value), flush=True)


WANTED = {
    function.__name__: function
    for function in (probe, listing, digests, take, give, environment, begin, state, follow)
}
WANTED.update(interrupt=interrupt, stop=stop, absolute=absolute, mark=mark)

if __name__ == "__main__":
    try:
        WANTED[sys.argv[1]](Path(sys.argv[2]))
    except OSError as error:
        words = "%s: %s" % (error.strerror or error, error.filename or sys.argv[2])
        raise SystemExit(words) from None
