"""This very version of Tesuji as a wheel, from the files that are imported here: whether it was
installed from an index or from a checkout with changes of one's own."""

import base64
import hashlib
import os
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

LEFT = ("__pycache__", ".pyc", ".pyo")
THEN = (2020, 1, 1, 0, 0, 0)  # one date for all files: equal code is an equal wheel


def write_wheel(source: Path, folder: Path) -> Path:
    """Zip the package at `source` with its metadata into `folder`; the wheel's path.

    The format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    version = metadata.version("tesuji")
    wheel = folder / f"tesuji-{version}-py3-none-any.whl"
    about = f"tesuji-{version}.dist-info"
    files = {
        f"tesuji/{file.relative_to(source).as_posix()}": file.read_bytes()
        for file in sorted(_files(source))
        if not any(part.endswith(LEFT) for part in file.parts)
    }
    files[f"{about}/METADATA"] = (_metadata("METADATA") or _metadata("PKG-INFO")).encode()
    files[f"{about}/entry_points.txt"] = _metadata("entry_points.txt").encode()
    files[f"{about}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: tesuji\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = "".join(f"{name},{_digest(body)},{len(body)}\n" for name, body in files.items())
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(zipfile.ZipInfo(name, THEN), body, zipfile.ZIP_DEFLATED)
    return wheel


def _files(source: Path) -> Iterator[Path]:
    """All files below; in a checkout the recipes are a link."""
    for folder, _, names in os.walk(source, followlinks=True):
        yield from (Path(folder, name) for name in names)


def _metadata(name: str) -> str:
    return metadata.distribution("tesuji").read_text(name) or ""


def _digest(body: bytes) -> str:
    plain = base64.urlsafe_b64encode(hashlib.sha256(body).digest())
    return f"sha256={plain.rstrip(b'=').decode()}"
