"""A recipe in the making: a shipped one with the answers of a form."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import DataError, EngineError, RecipeError
from tesuji.core.files import read_text, write_text
from tesuji.core.redact import redact
from tesuji.recipe.questions import Question, questions
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.reading.shipped import find_recipe
from tesuji.recipe.reading.written import written

LONGEST = 300  # seconds that a look ahead may take
COLUMNS = "100"


@dataclass(frozen=True)
class Draft:
    """`source` is the shipped recipe, `answers` what differs from it, by key."""

    source: Path
    answers: Mapping[str, str]

    @property
    def overrides(self) -> list[str]:
        """As on the command line."""
        return [f"{key}={value}" for key, value in self.answers.items()]

    @property
    def name(self) -> str:
        """What its run is called. Raises RecipeError where the recipe is not right."""
        return load_recipe(self.source, self.overrides).name

    def text(self) -> str:
        """The recipe, with its comments. Raises RecipeError where it is not right."""
        load_recipe(self.source, self.overrides)
        return written(self.source, self.overrides)

    def save(self, folder: Path) -> Path:
        """Write `NAME.yaml`. Raises DataError where another recipe has that name."""
        path, text = folder / f"{self.name}.yaml", self.text()
        if path.exists() and read_text(path) != text:
            hint = "choose another name"
            raise DataError("another recipe has this name", where=str(path), hint=hint)
        write_text(path, text)
        return path

    def plan(self, runs: Path) -> str:
        """What `tesuji run --dry-run` says of it. Raises EngineError with its message."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{self.name}.yaml"
            write_text(file, self.text())
            return _dry_run(file, runs).replace(f"{folder}/", "")


def open_draft(name: str, form: Mapping[str, str]) -> tuple[Draft, list[Question]]:
    """The draft of a form, and what it asks. Raises RecipeError for a recipe that is not here."""
    source = find_recipe(name)
    if source is None:
        raise RecipeError("no recipe of this name comes with Tesuji", where=name)
    asked = questions(source)
    answers = {
        question.key: form[question.key].strip()
        for question in asked
        if question.key in form and form[question.key].strip() != question.value
    }
    return Draft(source, answers), asked


def _dry_run(file: Path, runs: Path) -> str:
    command = [sys.executable, "-m", "tesuji", "run", str(file), "--dry-run"]
    try:
        done = subprocess.run(
            [*command, "--runs", str(runs.absolute())],
            capture_output=True,
            text=True,
            timeout=LONGEST,
            env={**os.environ, "COLUMNS": COLUMNS},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(f"the look ahead failed: {type(error).__name__}") from error
    if done.returncode:
        raise EngineError(redact(done.stderr.strip()[-2000:] or "the look ahead failed"))
    out = done.stdout
    return redact(out[max(0, out.find("Plan of")) :].strip())
