"""Changes on the command line, key=value: where they reach, and what is refused."""

import pytest
from recipe_files import error_of

from tesuji.recipe.reading.load import load_recipe, load_with_places, resolve


def test_overrides_reach_every_kind_of_place(small):
    recipe = load_recipe(
        small,
        [
            "seed=2",
            "model.base=Qwen/Qwen2.5-0.5B-Instruct",
            "stages.sft.learning_rate=1e-3",
            "stages.data=false",
            "evaluation.opponents=[random,mcts]",
            "evaluation.opponents.1.simulations=50",
            "evaluation.oracle=minimax",
            "evaluation.oracle.depth=3",
            "game.options.players=3",
            "model.lora={}",
            "description=a=b",
        ],
    )
    assert recipe.seed == 2
    assert recipe.model.base == "Qwen/Qwen2.5-0.5B-Instruct"
    assert list(recipe.stages) == ["sft"]
    assert recipe.stages["sft"].learning_rate == 1e-3
    assert [player.label for player in recipe.evaluation.opponents] == [
        "random",
        "mcts(simulations=50)",
    ]
    assert recipe.game.options == {"players": 3}
    assert recipe.model.lora is not None
    assert recipe.description == "a=b"


def test_a_bare_game_opens_up_and_a_bare_name_replaces_it(small):
    assert load_recipe(small, ["game.name=hex"]).game.name == "hex"
    assert load_recipe(small, ["game.options.a=1", "game=connect_four"]).game.options == {}


def test_the_later_override_wins(small):
    assert load_recipe(small, ["seed=2", "seed=3"]).seed == 3


def test_a_stage_of_nothing_is_left_out(small):
    stages = load_recipe(small).stages
    name = list(stages)[-1]
    assert list(load_recipe(small, [f"stages.{name}=null"]).stages) == list(stages)[:-1]


def test_a_stage_may_be_added_whole(small):
    added = load_recipe(small, ["stages.more={kind: sft, epochs: 1}", "stages.more.epochs=4"])
    assert added.stages["more"].epochs == 4


@pytest.mark.parametrize(
    ("override", "said", "hint"),
    [
        ("seed", "cannot read", "key=value"),
        ("=3", "cannot read", "key=value"),
        ("a..b=3", "cannot read", "key=value"),
        ("seed=[", "not valid YAML", "indentation"),
        ("include=small.yaml", "in a recipe file only", ""),
        ("name.first=x", "no keys below it", "set name itself"),
        ("stages.stf.epochs=1", "no stage 'stf'", "`sft`"),
        ("evaluation.opponents.3=mcts", "not an entry of a list of 1", "use 0 to 0"),
        ("evaluation.opponents.x.y=mcts", "not an entry of a list of 1", "use 0 to 0"),
        ("report_to.0=wandb", "not an entry of a list of 0", "the list is empty"),
    ],
)
def test_an_override_that_leads_nowhere_is_refused(small, override, said, hint):
    base = ["evaluation.opponents=[random]", "report_to=[]"]
    error = error_of(small, [*base, override])
    assert said in error.what
    assert hint in error.hint


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("sead=2", "`seed`"),
        ("model.bass=x", "`base`"),
        ("modle.base=x", "`model`"),
        ("stages.sft.learning_rat=1", "`learning_rate`"),
    ],
)
def test_an_unknown_key_of_an_override_gets_the_nearest_right_one(small, override, hint):
    error = error_of(small, [override])
    assert "command line" in error.where
    assert hint in error.hint


STEPS = """name: steps
game: tic_tac_toe
stages:
  data:
  sft: {max_steps: 600, warmup_steps: 50, eval_steps: 100, early_stopping_patience: 3}
"""


@pytest.mark.parametrize(
    ("overrides", "warmup", "eval_steps", "patience"),
    [
        (["stages.sft.max_steps=5"], 0, 5, 1),
        (["stages.sft.max_steps=60"], 5, 60, 1),
        (["stages.sft.max_steps=300"], 25, 100, 3),
        (["stages.sft.max_steps=700"], 50, 100, 3),
        (["stages.sft.max_steps=-1"], 50, 100, 3),
        (["stages.sft.warmup_steps=70", "stages.sft.max_steps=60"], 70, 60, 1),
        (["stages.sft.eval_steps=90", "stages.sft.max_steps=60"], 5, 90, 1),
    ],
)
def test_a_shorter_training_takes_its_warm_up_and_its_looks_along(
    tmp_path, overrides, warmup, eval_steps, patience
):
    (tmp_path / "steps.yaml").write_text(STEPS)
    told: list[str] = []
    recipe, _ = load_with_places(tmp_path / "steps.yaml", overrides, say=told.append)
    sft = recipe.stages["sft"]
    assert (sft.warmup_steps, sft.eval_steps) == (warmup, eval_steps)
    assert sft.early_stopping_patience == patience
    changed = (warmup not in (50, 70)) + (eval_steps not in (100, 90)) + (patience != 3)
    assert len(told) == changed


def test_what_meant_nothing_in_the_file_is_not_made_to_fit(tmp_path):
    (tmp_path / "steps.yaml").write_text(STEPS.replace("warmup_steps: 50", "warmup_steps: 900"))
    assert load_recipe(tmp_path / "steps.yaml").stages["sft"].warmup_steps == 900
    shorter = load_recipe(tmp_path / "steps.yaml", ["stages.sft.max_steps=60"])
    assert shorter.stages["sft"].warmup_steps == 900


@pytest.mark.parametrize(
    "override", ["stages=null", "stages.sft=false", "stages.sft=[]", "stages={}"]
)
def test_a_training_that_is_gone_has_no_steps_to_follow(tmp_path, override):
    (tmp_path / "steps.yaml").write_text(STEPS)
    values = resolve(tmp_path / "steps.yaml", ["stages.sft.max_steps=5", override])
    assert "max_steps" not in str(values["stages"])
