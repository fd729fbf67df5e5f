"""The commands and recipes on our pages are ones that Tesuji takes."""

import re
import shlex
from pathlib import Path

import pytest
from places import DOCS, ROOT
from typer.exceptions import TyperException

from tesuji.cli.main import build
from tesuji.recipe.reading.load import load_recipe

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
LINES = {
    line.split("  #")[0].strip()
    for page in PAGES
    for line in re.findall(
        r"^    tesuji (?!--install-completion)(.+)$", page.read_text(encoding="utf-8"), re.MULTILINE
    )
}
READERS_OWN = re.compile(r"my[\w-]*\.yaml|RECIPE")


def parameters(words: list[str]) -> dict[str, object]:
    """What the command that these words call would get; raises for words that it does not take."""
    command = build(words)
    context = command.make_context("tesuji", list(words))
    while rest := [*getattr(context, "_protected_args", ()), *context.args]:
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    return context.params


@pytest.mark.parametrize("line", sorted(LINES))
def test_a_command_takes_its_words(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    program, *words = shlex.split(line)
    parameters([program, *words])
    if program == "run" and not READERS_OWN.fullmatch(words[0]):
        load_recipe(words[0], [word for word in words[1:] if re.match(r"[\w.]+=", word)])


@pytest.mark.parametrize("words", ["runs --lengthwise", "eval", "data paint x", "game"])
def test_words_that_no_command_takes_are_noticed(words: str) -> None:
    with pytest.raises(TyperException):
        parameters(words.split())


def test_the_recipe_in_the_readme_is_one(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## A recipe\n")[2]
    [block] = re.findall(r"\A\n((?:    .*\n)+)", text)
    (tmp_path / "my-run.yaml").write_text(re.sub(r"^    ", "", block, flags=re.MULTILINE))
    assert load_recipe(tmp_path / "my-run.yaml").name == "my-run"
