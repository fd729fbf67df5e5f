"""The first steps of a container: its own root folder, then the command. Run under `unshare`.

unshare --mount --pid --fork python inside.py PLAN.json
"""

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

BIND, RECURSIVE, PRIVATE, READ_ONLY, REMOUNT = 4096, 16384, 1 << 18, 1, 32
LIBC = ctypes.CDLL(None, use_errno=True)
OWN = ("/root", "/proc")


def mount(source: str, target: str, kind: str = "", flags: int = 0) -> None:
    text = [part.encode() or None for part in (source, target, kind)]
    if LIBC.mount(*text, ctypes.c_ulong(flags), None):
        code = ctypes.get_errno()
        raise OSError(code, f"mount {source} on {target}: {os.strerror(code)}")


def bind(source: str, target: str, read_only: bool = False) -> None:
    if Path(source).is_dir():
        Path(target).mkdir(parents=True, exist_ok=True)
    else:
        Path(target).touch()
    mount(source, target, flags=BIND | RECURSIVE)
    if read_only:
        mount("", target, flags=BIND | REMOUNT | READ_ONLY)


def lay_out(root: str, keep: list[str], binds: list[Any]) -> None:
    """This machine's folders but for /root; then what the container is given."""
    mount("none", "/", flags=RECURSIVE | PRIVATE)
    Path(root).mkdir(parents=True)
    mount("tmpfs", root, "tmpfs")
    tops = {where for _, where, _ in binds}
    for entry in Path("/").iterdir():
        if entry.is_symlink():
            Path(f"{root}{entry}").symlink_to(entry.readlink())
        elif str(entry) not in (*OWN, *tops) and (entry.is_dir() or entry.is_file()):
            bind(str(entry), f"{root}{entry}")
    for source, where, read_only in binds:
        bind(source, root + where, read_only)
    for place in keep:
        bind(place, root + place)
    Path(root + "/proc").mkdir()
    try:
        mount("proc", root + "/proc", "proc")
    except OSError:
        bind("/proc", root + "/proc")


def main(path: str) -> None:
    plan = json.loads(Path(path).read_text())
    lay_out(plan["root"], plan["keep"], plan["binds"])
    os.chroot(plan["root"])
    os.chdir("/root")
    os.execve(plan["command"][0], plan["command"], plan["environment"])


if __name__ == "__main__":
    main(sys.argv[1])
