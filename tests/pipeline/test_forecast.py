"""What a dry run says that a run will take: counted from rows, measured, or remembered."""

import json
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from tesuji.core.errors import DataError, EngineError, first_line
from tesuji.core.files import write_json, write_text
from tesuji.core.run_folder import machine
from tesuji.datasets.from_logs.stage import make_data_from_logs
from tesuji.learners.model.inspect import ModelFacts
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.pipeline.checks.recipe import check
from tesuji.pipeline.forecast.forecast import Forecast, forecast
from tesuji.pipeline.forecast.measure import Line, made, measure, take_trees
from tesuji.pipeline.forecast.work import distinct
from tesuji.pipeline.memory.published import facts_of
from tesuji.pipeline.plan import make_plan
from tesuji.recipe.reading.load import dump_recipe
from tesuji.recipe.schema.data import LogsStage
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.stages import SftStage

SHAPE = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}


def recipe_of(**changes) -> Recipe:
    plain = {
        "name": "next",
        "game": "tic_tac_toe",
        "prompt": {"style": "compact", "answer": "id"},
        "sampling": {"max_new_tokens": 2},
        "model": {"tiny": SHAPE},
        "evaluation": {"before": False, "episodes": 10, "positions": 0},
    }
    return check(Recipe.model_validate({**plain, **changes}))


def forecasts(recipe: Recipe, root: Path) -> dict[str, Forecast]:
    run = root / recipe.name
    return {one.step.name: one for one in forecast(recipe, make_plan(recipe, run), run)}


def test_rows_of_a_file_are_counted_and_their_passes_measured(tmp_path: Path):
    rows = tmp_path / "rows.jsonl"
    row = json.dumps({"prompt": "abcd", "completion": "e"})  # 5 tokens with the line's end, and 2
    rows.write_text(f"{row}\n" * 10)
    sft = {"data": str(rows), "epochs": 2, "batch_size": 4}
    before = sorted(tmp_path.rglob("*"))
    line = forecasts(recipe_of(stages={"sft": sft}), tmp_path)["sft"]
    assert line.work is not None
    assert (line.work.steps, line.work.tokens) == (5, 4 * 7)
    assert line.work.computed == 7, "equal rows are one path of a tree"
    assert line.seconds is not None and 0 < line.seconds < 60
    assert line.memory > 0
    assert line.by == "measured" and " to " in line.time
    assert sorted(tmp_path.rglob("*")) == before


def test_rows_of_logs_that_are_not_made_yet_are_counted_from_a_few_of_them(tmp_path: Path):
    judge = {"by": ["oracle", "judge"], "judge": {"base_url": "http://127.0.0.1:9/v1"}}
    logs = {"make": {"kind": "poker", "games": 60}, "select": {"seats": "all"}, "pairs": judge}
    sft = {"epochs": 1, "batch_size": 4, "max_length": 288}
    dpo = {"max_steps": 3, "batch_size": 4, "max_length": 288}
    stages = {"logs": logs, "sft": sft, "dpo": dpo}
    recipe = recipe_of(game="prompts", prompt={}, stages=stages)
    found = forecasts(recipe, tmp_path)
    made_all = LogsStage.model_validate(logs | {"pairs": {"by": ["oracle"]}})
    whole = make_data_from_logs(recipe, made_all, tmp_path / "made")
    steps = whole["train_rows"] / 4
    assert found["sft"].work.steps == pytest.approx(steps, rel=0.3)
    assert found["dpo"].work.steps == 3
    assert found["logs"].by == "a few of its logs" and found["logs"].seconds > 0
    assert found["sft"].seconds > 0 and found["dpo"].seconds > 0


def test_logs_that_cannot_be_read_say_so_in_the_forecast(tmp_path: Path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.json").write_text('{"half of a log')
    stages = {"logs": {"paths": str(tmp_path / "logs")}, "sft": {"max_steps": 3}}
    found = forecasts(recipe_of(game="prompts", prompt={}, stages=stages), tmp_path)
    with pytest.raises(DataError) as caught:
        make_data_from_logs(
            recipe_of(game="prompts", prompt={}, stages=stages),
            LogsStage.model_validate(stages["logs"]),
            tmp_path / "made",
        )
    assert found["logs"].seconds is None
    assert found["logs"].by == first_line(caught.value)


def test_pairs_have_their_prompt_in_common(tmp_path: Path):
    rows = tmp_path / "pairs.jsonl"
    pairs = [{"prompt": f"{n}bcd", "chosen": "e", "rejected": "fg"} for n in range(8)]
    rows.write_text("".join(f"{json.dumps(pair)}\n" for pair in pairs))
    dpo = {"data": str(rows), "max_steps": 3, "batch_size": 2, "gradient_accumulation_steps": 2}
    work = forecasts(recipe_of(stages={"dpo": dpo}), tmp_path)["dpo"].work
    assert work is not None and work.steps == 3
    assert work.tokens == 4 * (5 + 2 + 5 + 3)  # with the line's end, and the reply's
    assert work.computed == 4 * (5 + 2 + 3)
    assert work.read == work.learn, "the reference reads the same"


def test_models_that_take_no_trees_compute_every_token(tmp_path: Path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"prompt": "abcd", "completion": "e"}) + "\n")
    sft = {"data": str(rows), "max_steps": 1, "batch_size": 4}
    model = {"tiny": SHAPE, "attn_implementation": "eager"}
    work = forecasts(recipe_of(stages={"sft": sft}, model=model), tmp_path)["sft"].work
    assert work is not None and work.computed == work.tokens == 4 * 7


def test_distinct_tokens_are_counted_in_batches():
    groups = [[(1, 2, 3)], [(1, 2, 4)], [(1, 5, 6)], [(7, 8, 9)]]
    assert distinct(groups, 1) == 1
    assert distinct(groups, 2) == (4 + 6) / 12
    assert distinct(groups, 3) == 6 / 9, "the last batch is not full"
    assert distinct(groups, 9) == 9 / 12


def test_play_is_counted_from_matches_and_what_has_no_rows_yet_is_left_open(tmp_path: Path):
    stages = {"data": {}, "sft": {}, "grpo": {"max_steps": 3, "batch_size": 16}}
    lines = forecasts(recipe_of(stages=stages), tmp_path)
    assert lines["data"].work is None and lines["data"].time == "-"
    sft, grpo = lines["sft"], lines["grpo"]
    assert sft.work is not None and sft.work.steps is None and sft.seconds is None
    assert grpo.work is not None and grpo.work.steps == 3
    assert 16 * 5 * 2 < grpo.work.computed < grpo.work.tokens < 16 * 9 * 40
    assert lines["after"].seconds


def test_a_step_that_an_earlier_run_did_takes_what_it_took_there(tmp_path: Path):
    recipe = recipe_of(stages={"data": {}, "sft": {"max_steps": 50}})
    stages = {"sft": {"status": "done", "seconds": 100.0}}
    first = tmp_path / "first"
    write_json(first / "manifest.json", {"format": 1, "platform": machine(), "stages": stages})
    write_text(first / "recipe.yaml", dump_recipe(recipe.model_copy(update={"name": "first"})))
    lines = forecasts(recipe, tmp_path)
    assert (lines["sft"].seconds, lines["sft"].by) == (100.0, "what first took")
    assert lines["after"].by == "measured"


def test_a_model_that_is_not_here_is_said_to_be(tmp_path: Path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: False)
    recipe = recipe_of(model={"base": "somebody/large"}, stages={"data": {}, "sft": {}})
    line = forecasts(recipe, tmp_path)["sft"]
    assert (line.seconds, line.by) == (None, "somebody/large is not here yet")


def large(layers: int = 90, width: int = 512) -> tuple[Recipe, ModelFacts]:
    """A model of which there are no weights."""
    config = AutoConfig.for_model(
        "llama", vocab_size=264, hidden_size=width, intermediate_size=4 * width,
        num_hidden_layers=layers, num_attention_heads=8, num_key_value_heads=8,
        tie_word_embeddings=True,
    )  # fmt: skip
    recipe = Recipe.model_validate(
        {"name": "x", "game": "tic_tac_toe", "model": {"dtype": "float32"}, "stages": {}}
    )
    return recipe, ModelFacts("large", config, build_tokenizer())


def test_a_large_model_is_measured_by_two_of_its_layers():
    recipe, facts = large()
    model = made(recipe, facts)
    assert model.times == 45 and model.trees
    speed, how = measure(model, SftStage(), 16, time.monotonic() + 60)
    assert how == "measured on two of its layers"
    assert speed.learn(16) > speed.read(16) > 0
    assert speed.resident == pytest.approx(16 * facts.parameters, rel=0.01)


def test_when_the_time_is_up_the_rest_is_not_measured(monkeypatch):
    import tesuji.pipeline.forecast.measure as module

    model = made(*large())
    ends = time.monotonic() + 60
    learn = module._line

    def slow(*arguments):
        result = learn(*arguments)
        monkeypatch.setattr(module.time, "monotonic", lambda: ends)
        return result

    monkeypatch.setattr(module, "_line", slow)
    speed, how = measure(model, SftStage(), 16, ends)
    assert how == "measured on two of its layers, in part: its time was up"
    assert speed.read(16) == pytest.approx(speed.learn(16) / 3)
    with pytest.raises(EngineError, match="too long"):
        measure(model, SftStage(), 16, ends)


def test_where_no_time_is_left_to_measure_the_speed_is_guessed(tmp_path: Path, monkeypatch):
    import tesuji.pipeline.forecast.forecast as module

    recipe = recipe_of(stages={"data": {}, "grpo": {"max_steps": 3, "batch_size": 16}})
    measured = forecasts(recipe, tmp_path)["grpo"]
    monkeypatch.setattr(module, "MOST", 0.0)
    line = forecasts(recipe, tmp_path)["grpo"]
    assert line.by == "guessed: no time to measure"
    assert line.seconds is not None and line.seconds > 0
    assert line.memory == 0, "not known"
    assert line.factor > measured.factor


def test_a_model_of_one_layer_is_looked_at_too():
    """Its configuration lists the kind of one layer; two are made of it."""
    shape = {"architecture": "qwen3", "num_attention_heads": 4, "hidden_size": 32}
    model = {"tiny": {**shape, "num_hidden_layers": 1}}
    recipe = recipe_of(model=model, stages={"data": {}})
    facts, _ = facts_of(recipe.model, None)
    assert take_trees(facts, torch.float32, "cpu")


def test_what_is_too_large_even_in_two_layers_is_not_made():
    with pytest.raises(EngineError, match="too large"):
        made(*large(width=8192))


def test_times_are_told_with_how_far_they_may_be_off():
    step = make_plan(recipe_of(stages={"data": {}}), Path("x"))[0]
    assert Forecast(step, None, 20.0, 0.0, 2.0, "").time == "20 s (10 to 40)"
    assert Forecast(step, None, 600.0, 0.0, 2.0, "").time == "10 min (5 to 20)"
    assert Line(1.0, 0.5)(4) == 3.0


def test_every_game_of_a_stage_is_counted_not_the_recipe_s_alone(tmp_path: Path):
    games = {"games": ["tic_tac_toe", "kuhn_poker"]}
    stage = {"max_steps": 2, "batch_size": 8, "num_generations": 4}
    alone = recipe_of(stages={"grpo": stage})
    both = recipe_of(stages={"grpo": {**stage, "play": games}})
    one, two = (forecasts(recipe, tmp_path)["grpo"].work for recipe in (alone, both))
    assert one is not None and two is not None
    assert two.tokens < 0.8 * one.tokens, "a match of Kuhn poker has two or three turns"
