"""Every way in which a recipe can be wrong is told in words, with file, line, key and a hint."""

import pytest

from tesuji.core.errors import RecipeError
from tesuji.recipe.reading.load import load_recipe

LINES = ["name: a", "game: tic_tac_toe", "stages: {data: , sft: }"]


def error_of(tmp_path, *lines: str) -> RecipeError:
    """Of a recipe that is right except for these lines, which stand at its top."""
    keys = [line.partition(":")[0] for line in lines]
    rest = [line for line in LINES if line.partition(":")[0] not in keys]
    file = tmp_path / "a.yaml"
    file.write_text("\n".join([*lines, *rest]))
    with pytest.raises(RecipeError) as caught:
        load_recipe(file)
    return caught.value


@pytest.mark.parametrize(
    ("line", "key", "said"),
    [
        ("seed: many", "seed", "must be a whole number, not the text 'many'"),
        ("seed: '3'", "seed", "must be a whole number, not the text '3'"),
        ("seed: true", "seed", "must be a whole number, not true"),
        ("seed: 1.5", "seed", "must be a whole number, not 1.5"),
        ("seed: -1", "seed", "must be at least 0, not -1"),
        ("seed: 5000000000", "seed", "must be less than 4294967296"),
        ("seed: [1]", "seed", "must be a whole number, not a list"),
        ("seed: {a: 1}", "seed", "must be a whole number, not a mapping of keys"),
        ("name: a b", "name", "must be letters, digits"),
        ("name: 3", "name", "must be a text, not 3"),
        (f"name: {'a' * 90}", "name", "must not be longer than 80 letters"),
        ("game: 3", "game", "must be a mapping of keys, not 3"),
        (
            "game: {name: x, options: {k: {a: 1}}}",
            "game.options.k",
            "a whole number or a number or",
        ),
        ("game: {name: x, options: }", "game.options", "must be a mapping of keys, not nothing"),
        ("stages: 3", "stages", "must be a mapping of keys, not 3"),
        ("stages: {sft: 3}", "stages.sft", "must be a mapping of keys, not 3"),
        ("stages: {sft: {epochs: x}}", "stages.sft.epochs", "must be a number, not the text 'x'"),
        ("stages: {sft: {epochs: 0}}", "stages.sft.epochs", "must be more than 0, not 0"),
        ("stages: {b: {kind: sft, epochs: x}}", "stages.b.epochs", "must be a number"),
        ("stages: {data: {held_out: 1}}", "stages.data.held_out", "must be less than 1, not 1"),
        ("model: {load_in_4bit: 1}", "model.load_in_4bit", "must be true or false, not 1"),
        ("model: {load_in_4bit: true, lora: null}", "model", "add a `lora:` section"),
        ("model: {lora: {dropout: 1.0}}", "model.lora.dropout", "must be less than 1"),
        ("model: {lora: {target_modules: 1}}", "model.lora.target_modules", "a text or a list"),
        ("model: {lora: {target_modules: [1]}}", "model.lora.target_modules.0", "a text, not 1"),
        ("model: {tiny: {hidden_size: 63}}", "model.tiny", "multiple of num_attention_heads"),
        ("model: {tiny: {num_key_value_heads: 3}}", "model.tiny", "of num_key_value_heads"),
        ("evaluation: {opponents: 3}", "evaluation.opponents", "must be a list, not 3"),
        ("evaluation: {opponents: [3]}", "evaluation.opponents.0", "must be a mapping of keys"),
        ("stages: {sft: {early_stopping_patience: 1}}", "stages.sft", "needs eval_steps"),
        ("stages: {grpo: {batch_size: 7}}", "stages.grpo", "a multiple of num_generations"),
        ("stages: {grpo: {play: {opponents: []}}}", "stages.grpo.play", "at least one player"),
        (
            "stages: {grpo: {play: {opponents: [{player: x, weight: 0}]}}}",
            "stages.grpo.play.opponents.0.weight",
            "must be more than 0, not 0",
        ),
        (
            "stages: {grpo: {play: {curriculum: [{name: a, games: [3]}]}}}",
            "stages.grpo.play.curriculum.0.games.0",
            "must be a mapping of keys, not 3",
        ),
        (
            "stages: {b: {kind: ppo, play: {failure_replay: {share: 2}}}}",
            "stages.b.play.failure_replay.share",
            "must be less than 1, not 2",
        ),
        ("stages: {grpo: {rewards: 3}}", "stages.grpo.rewards", "must be a mapping of keys, not 3"),
        (
            "stages: {grpo: {rewards: {returns: much}}}",
            "stages.grpo.rewards.returns",
            "must be a number (its weight) or a mapping of keys, not the text 'much'",
        ),
        (
            "stages: {grpo: {rewards: {legal: {weight: x}}}}",
            "stages.grpo.rewards.legal.weight",
            "must be a number, not the text 'x'",
        ),
        (
            "stages: {grpo: {rewards: {legal: true}}}",
            "stages.grpo.rewards.legal",
            "must be a number (its weight) or a mapping of keys, not true",
        ),
    ],
)
def test_a_wrong_value_is_told_in_words(tmp_path, line, key, said):
    error = error_of(tmp_path, line)
    assert error.where == f"{tmp_path / 'a.yaml'}:1: {key}"
    assert said in error.what
    assert "Input should" not in str(error)


@pytest.mark.parametrize(
    ("line", "key", "hint"),
    [
        ("sead: 1", "sead", "did you mean `seed`?"),
        ("model: {bas: x}", "model.bas", "did you mean `base`?"),
        ("model: {lora: {rank: 3}}", "model.lora.rank", "known here: r, alpha, dropout"),
        ("stages: {sft: {epoch: 1}}", "stages.sft.epoch", "did you mean `epochs`?"),
        ("stages: {b: {kind: sft, epoch: 1}}", "stages.b.epoch", "did you mean `epochs`?"),
        ("stages: {sft: {sft: 1}}", "stages.sft.sft", "known here: learning_rate, optimizer"),
        ("stages: {data: {endpoint: {modl: x}}}", "stages.data.endpoint.modl", "`model`"),
        ("learning_rate: 1", "learning_rate", "it belongs in stages.sft.learning_rate"),
        ("max_new_tokens: 1", "max_new_tokens", "it belongs in sampling.max_new_tokens"),
        ("hidden_size: 1", "hidden_size", "it belongs in model.tiny.hidden_size"),
        ("clip_range: 1", "clip_range", "stages.grpo.clip_range or stages.ppo.clip_range"),
        ("concurrency: 1", "concurrency", "it belongs in stages.data.endpoint.concurrency"),
        ("opening_moves: 1", "opening_moves", "it belongs in stages.grpo.play.opening_moves"),
        (
            "stages: {b: {kind: ppo, opening_moves: 1}}",
            "stages.b.opening_moves",
            "it belongs in stages.b.play.opening_moves",
        ),
        (
            "stages: {grpo: {play: {curriculum: [{name: a, opponent: x}]}}}",
            "stages.grpo.play.curriculum.0.opponent",
            "did you mean `opponents`?",
        ),
        (
            "stages: {grpo: {play: {curriculum: [{name: a, capacity: 3}]}}}",
            "stages.grpo.play.curriculum.0.capacity",
            "it belongs in stages.grpo.play.failure_replay.capacity",
        ),
        (
            "stages: {grpo: {play: {games: [{name: hex, option: 3}]}}}",
            "stages.grpo.play.games.0.option",
            "did you mean `options`?",
        ),
        (
            "stages: {grpo: {play: {failure_replay: {shares: 3}}}}",
            "stages.grpo.play.failure_replay.shares",
            "did you mean `share`?",
        ),
    ],
)
def test_an_unknown_key_gets_the_right_one(tmp_path, line, key, hint):
    error = error_of(tmp_path, line)
    assert (error.where, error.what) == (f"{tmp_path / 'a.yaml'}:1: {key}", "unknown key")
    assert hint in error.hint


@pytest.mark.parametrize(
    ("line", "key", "hint"),
    [
        ("model: {dtype: float23}", "model.dtype", "did you mean `float32`? one of: auto, float32"),
        ("model: {dtype: 3}", "model.dtype", "one of: auto, float32, bfloat16"),
        ("report_to: [x]", "report_to.0", "one of: tensorboard, wandb, trackio"),
    ],
)
def test_a_wrong_choice_lists_the_right_ones(tmp_path, line, key, hint):
    error = error_of(tmp_path, line)
    assert error.where.endswith(f":1: {key}")
    assert "not one of the choices" in error.what
    assert hint in error.hint


@pytest.mark.parametrize("stage", ["stf: {}", "stf: ", "b: {kind: stf}"])
def test_an_unknown_stage_gets_the_nearest_kind(tmp_path, stage):
    error = error_of(tmp_path, f"stages: {{{stage}}}")
    assert "the text 'stf' is no kind of stage" in error.what
    assert "did you mean `sft`?" in error.hint


def test_a_missing_key_is_named(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("name: a\nstages: {sft: }\nevaluation: {oracle: {simulations: 3}}")
    with pytest.raises(RecipeError) as caught:
        load_recipe(file)
    words = str(caught.value)
    assert f"{file}: game: this key is missing" in words
    assert f"{file}:3: evaluation.oracle.player: this key is missing" in words


def test_a_problem_deep_in_a_curriculum_is_told_with_its_own_line(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(
        "name: a\ngame: tic_tac_toe\nstages:\n  grpo:\n    rewards:\n      legal:\n"
        "        scale: 1\n    play:\n      curriculum:\n        - name: easy\n"
        "        - name: hard\n          thresold: 0.5\n"
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(file)
    words = str(caught.value)
    assert f"{file}:6: stages.grpo.rewards.legal.weight: this key is missing" in words
    assert f"{file}:12: stages.grpo.play.curriculum.1.thresold: unknown key" in words
    assert "did you mean `threshold`?" in words


def test_all_problems_are_told_at_once_each_with_its_line(tmp_path):
    error = error_of(tmp_path, "seed: x", "sead: 1", "model:", "  dtype: half", "  lora: {r: 0}")
    assert error.what.startswith("4 problems")
    for line, key in [(1, "seed"), (2, "sead"), (4, "model.dtype"), (5, "model.lora.r")]:
        assert f"- {tmp_path / 'a.yaml'}:{line}: {key}: " in error.what


def test_a_long_text_is_cut_in_the_message(tmp_path):
    assert len(error_of(tmp_path, f"seed: {'long ' * 500}").what) < 120


def test_all_secrets_are_told_at_once(tmp_path):
    error = error_of(tmp_path, "model: {api_key: abc, hf_token: def}")
    assert "2 problems" in error.what
    assert "abc" not in str(error)
    assert "def" not in str(error)
