"""Changes on the command line, key=value: where they reach, and what is refused."""

import pytest
from recipe_files import error_of

from tesuji.recipe.reading.load import load_recipe


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
