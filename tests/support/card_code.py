"""The lines of Python on models' cards, run as a reader of the card runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from tesuji.core.files import read_text


def snippet_of(card: str) -> str:
    [code] = re.findall(r"```python\n(.*?)\n```", card, re.DOTALL)
    return code


def printed(*folders: Path, **environment: str) -> list[list[str]]:
    """What the code of each folder's card prints, in one process that cannot import tesuji."""
    code = "import sys; sys.modules['tesuji'] = None\n"
    for folder in folders:
        code += f"{snippet_of(read_text(folder / 'README.md'))}\nprint('====')\n"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [part.strip().splitlines() for part in done.stdout.split("====")[:-1]]


def moves_of(folder: Path) -> list[str]:
    """The legal moves that the card's code chooses from."""
    [moves] = re.findall(r"^moves = (\[.*\])", read_text(folder / "README.md"), re.MULTILINE)
    return yaml.safe_load(moves)
