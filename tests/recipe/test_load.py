"""Loading recipes: shipped ones, includes, secrets, and the way back to YAML."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import RECIPES
from recipe_files import SMALL, error_of, write

from tesuji.core.errors import DataError, RecipeError
from tesuji.recipe.reading.load import (
    dump_recipe,
    load_recipe,
    load_with_places,
    recipe_path,
    resolve,
)
from tesuji.recipe.reading.shipped import library_folder, shipped_recipes
from tesuji.recipe.schema.recipe import Recipe

LETTERS = "AbCdEfGhIjKlMnOpQrStUvWx"


# Shipped recipes


def test_every_file_in_recipes_is_shipped_or_a_part_of_one():
    files = {path.resolve() for path in RECIPES.rglob("*.yaml") if path.name[0] != "_"}
    assert {recipe.path.resolve() for recipe in shipped_recipes()} == files
    assert files


@pytest.mark.parametrize("shipped", shipped_recipes(), ids=lambda shipped: shipped.name)
def test_shipped_recipes_load_by_name_and_by_path_and_describe_themselves(shipped):
    recipe = load_recipe(shipped.name)
    assert recipe == load_recipe(shipped.path)
    assert recipe.description == shipped.description != ""


@pytest.mark.parametrize("shipped", shipped_recipes(), ids=lambda shipped: shipped.name)
def test_a_dumped_recipe_loads_as_itself(tmp_path, shipped):
    recipe = load_recipe(shipped.name, ["game.options.k=2e-5", "prompt.system='2e-5'"])
    assert load_recipe(write(tmp_path / "a.yaml", dump_recipe(recipe))) == recipe


def test_an_installation_without_recipes_says_so(monkeypatch, tmp_path):
    module = tmp_path / "src" / "tesuji" / "recipe" / "reading" / "shipped.py"
    monkeypatch.setattr("tesuji.recipe.reading.shipped.__file__", str(module))
    with pytest.raises(RecipeError, match="no recipes"):
        library_folder()


def test_a_checkout_without_links_still_finds_its_recipes(monkeypatch, tmp_path):
    (tmp_path / "recipes").mkdir()
    module = tmp_path / "src" / "tesuji" / "recipe" / "reading" / "shipped.py"
    monkeypatch.setattr("tesuji.recipe.reading.shipped.__file__", str(module))
    assert library_folder() == tmp_path / "recipes"


# Which file is meant


def test_a_missing_recipe_hints_at_the_nearest_shipped_one():
    assert "tictactoe/tiny" in error_of("tictactoe/tyni").hint
    assert "tictactoe/tiny" in error_of("recipes/tictactoe/tinny.yaml").hint


def test_a_missing_recipe_hints_at_the_nearest_file_beside_it(small):
    assert str(small) in error_of(small.with_name("smal.yaml")).hint


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000, "../tiny.yaml", "/nowhere/a.yaml"])
def test_a_name_that_is_none_is_one_clear_error(name):
    assert error_of(name).what in ("no such recipe", "this is a folder, not a recipe")


def test_a_folder_is_told_from_a_recipe(small, tmp_path):
    assert "small.yaml" in error_of(tmp_path).hint
    (tmp_path / "empty").mkdir()
    assert "tesuji recipes" in error_of(tmp_path / "empty").hint


def test_a_file_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        load_recipe(tmp_path / "a.yaml")


# Includes


def test_the_including_file_wins_key_by_key(tmp_path, small):
    top = write(
        tmp_path / "top.yaml",
        "include: small.yaml\nname: top\nstages: {sft: {learning_rate: 2e-3}, data: false}\n",
    )
    recipe = load_recipe(top)
    assert recipe.name == "top"
    assert list(recipe.stages) == ["sft"]
    assert (recipe.stages["sft"].epochs, recipe.stages["sft"].learning_rate) == (2.0, 2e-3)


def test_of_several_included_files_the_later_wins_and_names_are_relative(tmp_path, small):
    (tmp_path / "parts").mkdir()
    write(tmp_path / "parts" / "seed.yaml", "seed: 7\nname: part\ngame: {options: {players: 2}}")
    top = write(tmp_path / "top.yaml", "include: [small.yaml, parts/seed.yaml]\nmodel: {}")
    recipe = load_recipe(top)
    assert (recipe.name, recipe.seed) == ("part", 7)
    assert (recipe.game.name, recipe.game.options) == ("tic_tac_toe", {"players": 2})


def test_lists_are_replaced_whole(tmp_path):
    write(tmp_path / "a.yaml", SMALL + "evaluation: {opponents: [random, minimax]}")
    top = write(tmp_path / "b.yaml", "include: a.yaml\nevaluation: {opponents: [mcts]}")
    assert resolve(top)["evaluation"] == {"opponents": ["mcts"]}


def test_a_problem_is_placed_in_the_file_that_wrote_the_value(tmp_path):
    low = write(tmp_path / "low.yaml", SMALL + "seed: x\nevaluation: {oracle: {player: 3}}\n")
    top = write(tmp_path / "top.yaml", "include: low.yaml\n\nevaluation: {oracle: {player: 4}}\n")
    words = str(error_of(top))
    assert f"{low}:7: seed" in words
    assert f"{top}:3: evaluation.oracle.player" in words


def test_what_is_replaced_is_no_longer_placed(tmp_path):
    write(tmp_path / "low.yaml", SMALL + "model: {lora: {r: 8}}\n")
    top = write(tmp_path / "top.yaml", "include: low.yaml\nmodel: 3\n")
    assert error_of(top).where == f"{top}:2: model"


def test_includes_in_a_circle_show_the_chain(tmp_path):
    write(tmp_path / "a.yaml", "include: b.yaml")
    write(tmp_path / "b.yaml", "seed: 1\ninclude: a.yaml")
    error = error_of(tmp_path / "a.yaml")
    assert "a.yaml → b.yaml → a.yaml" in error.what
    assert error.where == f"{tmp_path / 'b.yaml'}:2"


def test_includes_that_go_too_deep_are_refused(tmp_path):
    for number in range(12):
        write(tmp_path / f"{number}.yaml", f"include: {number + 1}.yaml")
    assert "deeper" in error_of(tmp_path / "0.yaml").what


def test_an_include_stays_below_the_recipes_folder_unless_that_is_allowed(tmp_path):
    write(tmp_path / "secret.yaml", SMALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    for name in ("../secret.yaml", str(tmp_path / "secret.yaml"), "link.yaml"):
        top = write(tmp_path / "mine" / "a.yaml", f"seed: 3\ninclude: {name}")
        error = error_of(top)
        assert "outside the recipe's folder" in error.what
        assert error.where == f"{top}:2"
        assert "--include-anywhere" in error.hint
        assert load_with_places(top, anywhere=True)[0].seed == 3


def test_a_shipped_recipe_may_be_included(tmp_path):
    shipped = library_folder() / "openspiel" / "kuhn-selfplay.yaml"
    top = write(tmp_path / "a.yaml", f"name: mine\ninclude: {shipped}")
    assert load_recipe(top).game.name == "kuhn_poker"


def test_a_recipe_and_all_it_includes_have_a_limit(tmp_path):
    text = "description: " + "x" * 90_000 + "\n"
    for number in range(3):
        write(tmp_path / f"{number}.yaml", text)
    error = error_of(write(tmp_path / "a.yaml", "include: [0.yaml, 1.yaml, 2.yaml]"))
    assert "larger than 200,000 bytes" in error.what
    error = error_of(write(tmp_path / "b.yaml", "description: " + "x" * 200_001))
    assert "larger than 200,000 bytes" in error.what
    write(tmp_path / "c.yaml", "seed: 1")
    error = error_of(write(tmp_path / "d.yaml", f"include: [{', '.join(['c.yaml'] * 60)}]"))
    assert "more than 50 included files" in error.what


def test_files_of_files_of_files_end_soon(tmp_path):
    for number in range(8):
        following = ", ".join([f"{number + 1}.yaml"] * 10)
        write(tmp_path / f"{number}.yaml", f"include: [{following}]")
    write(tmp_path / "8.yaml", "seed: 1")
    assert "more than 50 included files" in error_of(tmp_path / "0.yaml").what


def test_a_missing_include_names_its_line(tmp_path):
    file = write(tmp_path / "a.yaml", SMALL + "include: gone.yaml")
    error = error_of(file)
    assert error.where == f"{file}:7"
    assert "gone.yaml" in error.what


@pytest.mark.parametrize("value", ["3", "[1]", "{a: b}", "null"])
def test_an_include_that_is_no_name_is_refused(tmp_path, value):
    error = error_of(write(tmp_path / "a.yaml", f"include: {value}"))
    assert "file name" in error.what


# Shorthands


RL = """\
name: rl
game: tic_tac_toe
stages:
  learn:
    kind: grpo
    rewards: {returns: 1, legal: 0.1, oracle: {weight: 0.5, depth: 3}}
    play:
      failure_replay: {}
      opponents: [self, {player: mcts, simulations: 9, weight: 3}]
      curriculum:
        - {name: easy, games: [pig]}
        - {name: hard, opponents: [minimax, snapshot], window: 50}
"""


def test_what_is_played_while_learning_is_read_with_its_shorthands(tmp_path):
    recipe = load_recipe(
        write(tmp_path / "a.yaml", RL),
        ["stages.learn.play.curriculum.1.window=60", "stages.learn.play.opponents.1.weight=2.0"],
    )
    stage = recipe.stages["learn"]
    assert {name: term.weight for name, term in stage.rewards.items()} == {
        "returns": 1.0,
        "legal": 0.1,
        "oracle": 0.5,
    }
    assert stage.rewards["oracle"].options == {"depth": 3}
    assert [(one.label, one.weight) for one in stage.play.opponents] == [
        *(("self", 1.0), ("mcts(simulations=9)", 2.0))
    ]
    easy, hard = stage.play.curriculum
    assert [game.name for game in easy.games] == ["pig"]
    assert [one.label for one in easy.opponents] == ["random"]
    assert ([one.label for one in hard.opponents], hard.window) == (["minimax", "snapshot"], 60)
    assert stage.play.failure_replay.capacity == 1000
    assert load_recipe(write(tmp_path / "again.yaml", dump_recipe(recipe))) == recipe


# Secrets


def test_a_name_that_is_a_secret_is_refused_and_not_repeated(small, monkeypatch):
    monkeypatch.setenv("GITHUBTOKEN", "q1w2e3r4t5y6")
    for override in ("stages.q1w2e3r4t5y6={kind: sft}", "evaluation.options.q1w2e3r4t5y6=1"):
        error = error_of(small, [override])
        assert "looks like a secret" in error.what
        assert "q1w2e3r4t5y6" not in str(error)


@pytest.mark.parametrize(
    "override",
    [
        f"model.base=hf_{LETTERS}",
        f"description='key sk-{LETTERS}'",
        "stages.data.endpoint.base_url=http://me:hunter22@host/v1",
        f"stages.data.endpoint.api_key_env=sk-proj-{LETTERS}",
        "model.hf_token=abc",
        "stages.data.endpoint.api_key=abc",
        "evaluation.oracle.password=12345",
        "game.options.secret=abc",
        "description=http://me@host/v1",
        "description=http://me:secret@host/v1",
        "description=https://host/v1?api_key=abc",
    ],
)
def test_what_looks_like_a_secret_is_refused_and_not_repeated(small, override):
    error = error_of(small, [override])
    key, _, value = override.partition("=")
    assert error.where.endswith(key)
    assert "looks like a secret" in error.what
    assert "environment variable" in error.hint
    assert value.strip("'") not in str(error)


@pytest.mark.parametrize("override", ["sampling.max_new_tokens=4", "game.options.token=''"])
def test_what_only_resembles_a_secret_is_let_through(small, override):
    load_recipe(small, [override])


def test_the_environment_never_gets_into_a_recipe(small, monkeypatch):
    monkeypatch.setenv("WORD", "swordfish")
    assert load_recipe(small, ["description=$WORD ${WORD}"]).description == "$WORD ${WORD}"


# Anything at all

keys = st.sampled_from([*Recipe.model_fields, "sft", "data", "kind", "epochs", "player", "r", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.floats() | keys,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(keys, values, max_size=6))
def test_any_mapping_is_a_recipe_or_a_recipe_error(tmp_path, mapping):
    from tesuji.recipe.reading.yaml_lines import dump_yaml

    file = write(tmp_path / "a.yaml", SMALL)
    base = resolve(file)
    for merged in (mapping, base | mapping, {**base, "stages": {"sft": mapping}}):
        file.write_bytes(dump_yaml(merged).encode("utf-8", "surrogatepass"))
        try:
            recipe = load_recipe(file)
        except (RecipeError, DataError):
            continue
        write(file, dump_recipe(recipe))
        assert load_recipe(file) == recipe


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.builds("{}={}".format, st.lists(keys, max_size=4).map(".".join), st.text(max_size=9))
    )
)
def test_any_overrides_give_a_recipe_or_a_recipe_error(tmp_path, overrides):
    file = write(tmp_path / "a.yaml", SMALL)
    try:
        assert isinstance(load_recipe(file, overrides), Recipe)
    except RecipeError as error:
        assert error.what


def test_the_path_of_a_file_wins_over_a_shipped_name(tmp_path, monkeypatch):
    (tmp_path / "tictactoe").mkdir()
    mine = write(tmp_path / "tictactoe" / "tiny", SMALL)
    monkeypatch.chdir(tmp_path)
    assert recipe_path("tictactoe/tiny").resolve() == mine
