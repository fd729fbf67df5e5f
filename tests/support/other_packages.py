"""Somebody else's package, as pip leaves it: its module beside what it declares."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest


def install(
    folder: Path,
    package: str,
    module: str,
    code: str,
    entries: Mapping[str, Mapping[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Put `package` with one `module` into `folder` and on the path, with entry points by group."""
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(code)
    meta = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    points = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
        for group, named in entries.items()
    ]
    (meta / "entry_points.txt").write_text("\n".join(points))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, module, raising=False)
