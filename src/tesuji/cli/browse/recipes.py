"""`tesuji recipes`: the recipes that come with Tesuji, to read or to copy and change."""

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.table import Table
from rich.text import Text

from tesuji.cli.console import console, say
from tesuji.core.errors import DataError, RecipeError, did_you_mean
from tesuji.core.files import read_text, write_text
from tesuji.recipe.reading.shipped import find_recipe, shipped_recipes

app = typer.Typer()


@app.callback(invoke_without_command=True)
def recipes(context: typer.Context) -> None:
    """List, show or copy the recipes that come with Tesuji."""
    if context.invoked_subcommand is None:
        print_list()


@app.command("list")
def print_list() -> None:
    """List the recipes."""
    table = Table("recipe", "what it does")
    for recipe in shipped_recipes():
        table.add_row(Text(recipe.name), Text(recipe.description))
    console.print(table)
    console.print("Run one: tesuji run NAME. Change one: tesuji recipes copy NAME", style="dim")


@app.command()
def show(name: Annotated[str, typer.Argument(help="A recipe's name, as the list has it.")]) -> None:
    """Print a recipe as it was written."""
    print(read_text(_shipped(name)), end="")


@app.command()
def copy(
    name: Annotated[str, typer.Argument(help="A recipe's name, as the list has it.")],
    destination: Annotated[
        Path | None, typer.Argument(help="File or folder; default: the same file name here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file.")] = False,
) -> None:
    """Copy a recipe, to change it; the copy is called like its file, and so is its run."""
    source = _shipped(name)
    target = destination or Path()
    if target.is_dir():
        target = target / source.name
    if target.exists() and not force:
        raise DataError("this file exists", where=str(target), hint="name another, or use --force")
    renamed = re.sub(r"[^\w.-]+", "-", target.stem, flags=re.ASCII).lstrip("._-")
    write_text(target, _called(standalone(source), renamed or "mine"))
    say(f"wrote {target}; run it: tesuji run {shlex.quote(str(target))}")


def _called(text: str, name: str) -> str:
    """The recipe's text with another `name`."""
    line = re.compile(r"^name\s*:[^#\n]*", re.MULTILINE)
    plain = name[0].isalpha() and yaml.safe_load(name) == name  # `007` and `true` are no texts
    written = name if plain else f'"{name}"'
    if not line.search(text):
        return f"name: {written}\n{text}"
    return line.sub(f"name: {written}", text, count=1)


def _shipped(name: str) -> Path:
    path = find_recipe(name)
    if path is None:
        names = [recipe.name for recipe in shipped_recipes()]
        hint = f"{did_you_mean(name, names)}there are: {', '.join(names)}"
        raise RecipeError("no recipe of this name comes with Tesuji", where=name, hint=hint)
    return path


def standalone(source: Path) -> str:
    """A recipe's text that works anywhere: resolved where it includes files that lie beside it."""
    from tesuji.recipe.reading.load import dump_recipe, load_recipe

    text = read_text(source)
    if re.search(r"^include\s*:", text, re.MULTILINE):
        return dump_recipe(load_recipe(source))
    return text


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    from tesuji.recipe.reference import json_schema_text

    print(json_schema_text(), end="")
