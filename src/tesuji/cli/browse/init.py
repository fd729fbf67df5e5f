"""`tesuji init`: a recipe of one's own, made by answering a few questions."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from tesuji.cli.console import console, err_console, say
from tesuji.core.errors import DataError, RecipeError, TesujiError
from tesuji.core.files import write_text
from tesuji.recipe.reading.shipped import shipped_recipes

if TYPE_CHECKING:
    from tesuji.recipe.questions import Question

app = typer.Typer()


@app.command()
def init(
    recipe: Annotated[
        str | None, typer.Argument(help="The recipe to begin with; default: asked for.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Answers given already, as key=value.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; default: NAME.yaml.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: take what stands there.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file.")] = False,
) -> None:
    """Make a recipe of your own from one that comes with Tesuji: a few questions, a file with
    comments. Standard input that is no terminal is asked nothing."""
    from tesuji.recipe.questions import questions
    from tesuji.recipe.reading.load import load_recipe
    from tesuji.recipe.reading.written import written

    alone = yes or not sys.stdin.isatty()
    source = recipe or _chosen(alone)
    given = list(overrides or [])
    load_recipe(source, given)
    if not alone:
        known = {override.partition("=")[0].strip() for override in given}
        for question in questions(source):
            if question.key not in known:
                given += _answered(source, given, question)
    name = load_recipe(source, given).name
    target = out or Path(f"{name}.yaml")
    if target.exists() and not force:
        raise DataError("this file exists", where=str(target), hint="--out another, or --force")
    write_text(target, written(source, given))
    file = shlex.quote(str(target))
    say(f"wrote {target}")
    say(f"  what it would do   tesuji run {file} --dry-run")
    say(f"  do it              tesuji run {file}")


def _chosen(alone: bool) -> str:
    names = [recipe.name for recipe in shipped_recipes()]
    if alone:
        hint = "tesuji init tictactoe/tiny; `tesuji recipes` lists them"
        raise RecipeError("which recipe to begin with?", where="RECIPE", hint=hint)
    table = Table("", "recipe", "what it does", box=None, header_style="bold")
    for number, shipped in enumerate(shipped_recipes(), start=1):
        table.add_row(str(number), Text(shipped.name), Text(shipped.description))
    console.print(table)
    while True:
        answer = typer.prompt("Begin with which one (number or name)", default="tictactoe/tiny")
        if answer.isdigit() and 0 < int(answer) <= len(names):
            return names[int(answer) - 1]
        if answer in names or Path(answer).is_file():
            return str(answer)
        say(f"There is no {answer!r} in the list.")


def _answered(source: str, given: list[str], question: "Question") -> list[str]:
    """The override that the answer is, asked for until it is a right one; none where it is the
    value that stands there."""
    from tesuji.recipe.reading.load import load_recipe

    err_console.print(question.help, style="dim", markup=False, highlight=False)
    while True:
        answer = typer.prompt(question.key, default=question.value)
        if answer == question.value:
            return []
        override = f"{question.key}={answer}"
        try:
            load_recipe(source, [*given, override])
        except TesujiError as error:
            say(str(error))
            continue
        return [override]
