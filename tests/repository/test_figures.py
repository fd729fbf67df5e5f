"""Every figure in README and docs that code can count is counted here."""

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from places import ROOT

from tesuji.games.base import GameInfo
from tesuji.games.catalogue import FAMILIES, list_games

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
FROM = {  # what the table of games names → family
    "OpenSpiel": "openspiel",
    "TextArena": "textarena",
    "reasoning-gym": "reasoning_gym",
    "bfcl-eval": "bfcl",
    "pokerkit": "poker",
    "our own": "wordle",
    "your rows": "prompts",
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS += ("eleven", "twelve")


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def table(text: str, head: str) -> list[list[str]]:
    """The rows of the Markdown table whose first line begins with `head`."""
    lines = text[text.index(f"\n| {head}") :].strip().splitlines()
    end = next((n for n, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:end]]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def figures(pattern: str, text: str) -> tuple[int, ...]:
    """The numbers of the one place where `pattern` stands."""
    (match,) = re.finditer(pattern, " ".join(text.split()))
    return tuple(int(group.replace(",", "")) for group in match.groups())


@pytest.fixture(scope="module")
def games() -> list[GameInfo]:
    for module in ("textarena", "wordfreq", "reasoning_gym", "bfcl_eval", "pokerkit"):
        pytest.importorskip(module)
    if sys.version_info[:2] != (3, 11):
        pytest.skip("what is playable is counted on Python 3.11")
    return [game for game in list_games() if game.family in FAMILIES]


def count(games: list[GameInfo], family: str = "") -> tuple[int, int]:
    """(listed, playable) of a family, or of all."""
    mine = [game for game in games if family in ("", game.family)]
    return len(mine), sum(not game.unavailable for game in mine)


def test_readme_s_games_are_counted_by_family_and_add_up(games: list[GameInfo]):
    rows = table(page("games-and-players"), "games |")
    counted = {}
    for what, listed, playable, source, _ in rows:
        if family := next((FROM[name] for name in FROM if source.startswith(name)), ""):
            counted[family] = (int(listed), int(playable))
            mine = {game.name for game in games if game.family == family}
            if (names := set(names_in(what))) and "..." not in what and "mafia" not in what.lower():
                assert names == mine
    assert counted == {family: count(games, family) for family in FAMILIES}
    (total,) = [row for row in rows if row[0] == "all of them"]
    assert (int(total[1]), int(total[2])) == count(games)
    assert figures(r"(\d+) games listed and (\d+) playable", README) == count(games)


def test_textarena_s_page_counts_what_can_be_played_and_why_not(games: list[GameInfo]):
    from tesuji.games.textarena.names import every_name

    text, (listed, playable) = page("textarena"), count(games, "textarena")
    assert figures(r"Of the (\d+) names (\d+) are listed", text) == (len(every_name()), listed)
    mine = [game for game in games if game.family == "textarena"]
    kinds = {_kind(game.name) for game in mine}
    able = {_kind(game.name) for game in mine if not game.unavailable}
    assert figures(r"Of the (\d+) listed, (\d+) \((\d+) of (\d+) kinds\)", text) == (
        *(listed, playable),
        *(len(able), len(kinds)),
    )
    without = Counter(_kind(game.name) for game in mine if game.unavailable)
    rows = table(text, "not playable |")
    for names, number, _ in rows:
        assert sum(without[name] for name in names.split(", ")) == int(number), names
    assert sum(int(number) for _, number, _ in rows) == listed - playable


def _kind(name: str) -> str:
    """ "Chess-v0-long" is a kind of Chess."""
    return name.partition("-v")[0]


def test_the_tools_page_counts_the_tasks(games: list[GameInfo]):
    (tasks,) = figures(r"(\d+) tasks that make a new question", page("tools"))
    assert tasks == count(games, "reasoning_gym")[1]
    text = " ".join(page("tools").split())
    match = re.search(r"(\w+) have no key for `answer_key` \(([^)]+)\)", text)
    # That these are the ones without a key is a test in tests/games/reasoning.
    assert len(names_in(match[2])) == NUMBERS.index(match[1].lower())


def test_readme_s_players_are_those_there_are():
    from tesuji.players.registry import BUILT_IN

    assert {
        name for row in table(page("games-and-players"), "player |") for name in names_in(row[0])
    } == set(BUILT_IN)


def test_the_pages_name_every_format_and_no_other():
    from tesuji.logs.registry import KINDS

    kinds = [name for row in table(page("data"), "kind |") for name in names_in(row[0])]
    assert sorted(kinds) == sorted(KINDS)
    poker = [name for row in table(page("poker"), "kind |") for name in names_in(row[0])]
    assert set(poker) < set(KINDS)


def test_extras_that_are_named_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = README + "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    named = {*re.findall(r"\(extra `(\w+)`\)", text), *re.findall(r"tesuji\[(\w+)\]", text)}
    assert named and named <= set(project["optional-dependencies"])


def test_the_demo_s_model_has_as_many_parameters_as_readme_says():
    from tesuji.learners.model.tiny import build_model
    from tesuji.recipe.reading.load import load_recipe

    model = build_model(load_recipe("tictactoe/tiny").model.tiny, 1)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert re.search(r"a model of ([\d.]+)M parameters", README)[1] == f"{millions:.2f}"


def test_the_poker_page_s_variants_samples_and_defaults():
    pokerkit = pytest.importorskip("pokerkit")
    import inspect

    from tesuji.games.poker.options import MOST_SEATS
    from tesuji.players.poker.players import EquityPlayer

    text = page("poker")
    assert f"all {NUMBERS[len(pokerkit.HandHistory.game_types)]} variants" in text
    assert f"two to {NUMBERS[MOST_SEATS]} players" in text
    samples, raise_at = (
        inspect.signature(EquityPlayer).parameters[name].default for name in ("samples", "raise_at")
    )
    assert f"`samples` times ({samples})" in text and f"`raise_at` ({raise_at:g})" in text
    pinned = re.search(r"^pokerkit==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert f"pokerkit {pinned[1]}" in text


@pytest.fixture(scope="module")
def my_data(tmp_path_factory) -> Path:
    """The data of docs/data.md: its 60 made games, by its recipe."""
    pytest.importorskip("textarena")
    from tesuji.datasets.from_logs.stage import make_data_from_logs
    from tesuji.logs.synthetic.make import make_logs
    from tesuji.recipe.schema.recipe import Recipe

    folder = tmp_path_factory.mktemp("docs")
    make_logs("mafia", folder / "my_logs", games=60, seed=1, traps=True)
    (block,) = [b for b in _indented(page("data")) if b.startswith("name: my-logs")]
    recipe = Recipe.model_validate(yaml.safe_load(block.replace("my_logs", f"{folder}/my_logs")))
    make_data_from_logs(recipe, recipe.stages["logs"], folder / "my_data")
    return folder / "my_data"


def _indented(text: str) -> Iterator[str]:
    for match in re.finditer(r"(?:^    .*\n)+", text, re.MULTILINE):
        yield re.sub(r"^    ", "", match[0], flags=re.MULTILINE)


def test_the_data_page_s_figures_of_its_60_games(my_data: Path):
    from tesuji.core.files import read_json

    text = page("data")
    stats = read_json(my_data / "dataset_statistics.json")
    imported = stats["imported"]
    assert figures(
        r"The (\d+) made games above give (\d+) records: (\d+) taken, (\d+) not", text
    ) == (
        60,
        *(imported[name] for name in ("read", "accepted", "rejected")),
    )
    rows = table(text, "reason | records")
    refused = {name: number for names, number, _ in rows for name in names_in(names)}
    assert set(refused) == set(imported["rejected_by_reason"])
    for names, number, _ in rows:
        total = sum(imported["rejected_by_reason"][name] for name in names_in(names))
        assert total == int(number), names
    near = Counter()
    for name, pairs in stats["pairs"]["by_near"].items():
        near[name.partition("/")[2]] += pairs
    (_, far, pairs) = figures(r"of the (\d+) made games, by this recipe, (\d+) of (\d+)", text)
    assert (far, pairs) == (near["phase"], near.total())


def test_the_files_that_the_data_page_lists_are_written(my_data: Path):
    (block,) = [b for b in _indented(page("data")) if b.startswith("train.jsonl")]
    columns = [re.split(r"  |\{", line)[0] for line in block.splitlines()]
    for name in re.findall(r"[\w./]+", " ".join(columns).replace(",", " ")):
        assert (my_data / name).exists(), name
