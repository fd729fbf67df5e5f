"""The recipe's reference page and its JSON schema agree with the code and with each other."""

import copy
import re

import jsonschema
import pytest
import yaml
from places import DOCS

from tesuji.core.errors import TesujiError
from tesuji.recipe.reading.load import dump_recipe, load_recipe
from tesuji.recipe.reading.shipped import shipped_recipes
from tesuji.recipe.reference import (
    PAGE,
    PLAYERS,
    SCHEMA,
    json_schema,
    json_schema_text,
    page_text,
    sections,
    write_reference,
)
from tesuji.recipe.schema.play import CurriculumStage, FailureReplaySection, PlaySection, RewardTerm
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import GameSection
from tesuji.recipe.schema.stages import STAGES

LEAST = {"name": "a", "game": "tic_tac_toe", "stages": {"data": None, "sft": {}}}
EDITOR = jsonschema.Draft202012Validator(json_schema())


class Yaml12(yaml.SafeLoader):
    """Reads as editors do, where `2e-5` is a number."""


Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def as_editors_read(text):
    return yaml.load(text, Loader=Yaml12)


def with_change(**changes):
    return {**copy.deepcopy(LEAST), **changes}


def with_rl(kind="grpo", **keys):
    return with_change(stages={"learn": {"kind": kind, **keys}})


CURRICULUM = [
    {"name": "easy", "opponents": ["random"], "games": ["pig"], "threshold": 0.7},
    {"name": "hard", "opponents": [{"player": "mcts", "simulations": 9, "weight": 2}, "self"]},
]


@pytest.mark.parametrize(
    ("name", "text"), [(PAGE, page_text()), (SCHEMA, json_schema_text())], ids=[PAGE, SCHEMA]
)
def test_the_committed_files_are_up_to_date(name, text):
    assert (DOCS / name).read_text(encoding="utf-8") == text, "run: make docs"


def test_both_files_are_written_where_asked(tmp_path):
    written = write_reference(tmp_path / "new")
    assert [path.name for path in written] == [PAGE, SCHEMA]
    assert written[0].read_text(encoding="utf-8") == page_text()


def test_every_key_has_a_row_with_its_meaning():
    page = page_text()
    for path, section in sections(Recipe):
        for name, field in section.model_fields.items():
            row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
            assert field.description, f"{path}.{name} has no docstring"
            assert not row.endswith("|  |")
        assert path in ("", *PLAYERS) or f"## `{path}`\n" in page


def test_what_several_stages_share_is_told_once_with_all_its_places():
    page = page_text()
    for shared in (PlaySection, CurriculumStage, FailureReplaySection, RewardTerm, GameSection):
        assert [section for _, section in sections(Recipe)].count(shared) == 1
    assert "The same in `stages.ppo.play`, `stages.reinforce++.play`.\n" in page
    assert page.count("| `failure_replay` |") == 1


def test_a_stage_tells_its_own_keys_before_those_it_shares():
    grpo = page_text().partition("## `stages.grpo`")[2].partition("\n## ")[0]
    keys = [line.split("`")[1] for line in grpo.splitlines() if line.startswith("| `")]
    assert keys[:2] == ["kind", "num_generations"]
    assert keys.index("clip_range") < keys.index("optimizer")


@pytest.mark.parametrize(
    "row",
    [
        '| `rewards` | name → term or number | `{"returns": 1.0}` |',
        '| `opponents` | list of player with weight | `["random"]` |',
        "| `games` | list of game | `[]` |",
        "| `failure_replay` | section or nothing | none |",
        "| `play` | section | its defaults |",
    ],
)
def test_types_and_defaults_are_shown_as_a_recipe_writes_them(row):
    assert row in page_text()


def test_every_kind_of_stage_has_a_section():
    paths = [path for path, _ in sections(Recipe)]
    assert {f"stages.{kind}" for kind in STAGES} <= set(paths)


def test_the_schema_is_a_json_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("recipe", shipped_recipes(), ids=lambda recipe: recipe.name)
def test_shipped_recipes_satisfy_the_schema_as_written_and_resolved(recipe):
    EDITOR.validate(as_editors_read(recipe.path.read_text(encoding="utf-8")))
    EDITOR.validate(as_editors_read(dump_recipe(load_recipe(recipe.path))))


ACCEPTED = {
    "bare names": LEAST,
    "a game with options": with_change(game={"name": "kuhn_poker", "options": {"players": 3}}),
    "a player with options": with_change(
        evaluation={"opponents": ["random", {"player": "mcts", "simulations": 9}], "oracle": "mcts"}
    ),
    "one sampler": with_change(stages={"data": {"sampled_by": "random"}}),
    "a stage left out": with_change(stages={"data": None, "sft": False}),
    "two of a kind": with_change(stages={"data": None, "one": {"kind": "sft"}}),
    "a kind against the name": with_change(stages={"sft": {"kind": "data"}}),
    "one tracker": with_change(report_to="wandb"),
    "no tracker": with_change(report_to="none"),
    "learning by itself": with_change(stages={"grpo": None, "ppo": {}}),
    "a kind that is no name": with_rl("reinforce++"),
    "bare opponents and games": with_rl(
        play={"opponents": ["random", "snapshot"], "games": ["pig", {"name": "hex"}]}
    ),
    "a curriculum": with_rl(play={"curriculum": CURRICULUM, "failure_replay": {"share": 0.2}}),
    "rewards as numbers and terms": with_rl(
        "ppo", rewards={"returns": 1, "legal": 0.1, "oracle": {"weight": 0.5, "depth": 3}}
    ),
}


@pytest.mark.parametrize("recipe", ACCEPTED.values(), ids=ACCEPTED)
def test_editor_and_loader_both_accept(recipe):
    EDITOR.validate(recipe)
    Recipe.model_validate(recipe)


REFUSED = {
    "an unknown key": with_change(sede=1),
    "no game": {key: value for key, value in LEAST.items() if key != "game"},
    "an unknown key of a stage": with_change(stages={"sft": {"lr": 0.1}}),
    "a key of another stage": with_change(stages={"sft": {"oracle": "minimax"}}),
    "a stage of no kind": with_change(stages={"first": {}}),
    "a nothing of no kind": with_change(stages={"first": None}),
    "an opponent outside a list": with_change(evaluation={"opponents": "random"}),
    "a player without a name": with_change(evaluation={"oracle": {"simulations": 9}}),
    "a number out of range": with_change(stages={"data": {"held_out": 1.5}}),
    "an unknown tracker": with_change(report_to=["paper"]),
    "a reward in words": with_rl(rewards={"returns": "much"}),
    "a reward without weight": with_rl(rewards={"oracle": {"depth": 3}}),
    "an opponent without weight": with_rl(play={"opponents": [{"player": "mcts", "weight": 0}]}),
    "an unknown key of a curriculum": with_rl(play={"curriculum": [{"name": "a", "window_": 3}]}),
    "a curriculum stage without a name": with_rl(play={"curriculum": [{"window": 3}]}),
    "a key of ppo in grpo": with_rl("grpo", vf_coef=0.5),
}


@pytest.mark.parametrize("recipe", REFUSED.values(), ids=REFUSED)
def test_editor_and_loader_both_refuse(recipe):
    assert not EDITOR.is_valid(recipe)
    with pytest.raises(ValueError):
        Recipe.model_validate(recipe)


def test_a_file_that_includes_another_may_leave_out_what_it_needs(tmp_path):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(LEAST))
    (tmp_path / "mine.yaml").write_text("include: base.yaml\nseed: 2\n")
    EDITOR.validate(as_editors_read((tmp_path / "mine.yaml").read_text()))
    assert load_recipe(tmp_path / "mine.yaml").seed == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TesujiError, match="file"):
        write_reference(tmp_path / "file")
