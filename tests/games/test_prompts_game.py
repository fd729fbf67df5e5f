"""Prompts as a one-turn game: played, replayed, learned from by reinforcement alone."""

import json
from functools import partial
from pathlib import Path

import pytest

from tesuji.core.errors import DataError, GameError, RecipeError
from tesuji.core.types import Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.store import read_episodes
from tesuji.games.catalogue import load_game
from tesuji.learners.model.load import load_policy, prepare_base
from tesuji.pipeline.run import run_recipe
from tesuji.players.model import ModelPlayer
from tesuji.players.prompting.chat_template import render_prompt
from tesuji.players.prompting.parse_reply import read_reply
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import ModelSection, PromptSection, SamplingSection

HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2}
TINY = {"hidden_size": 16, "num_hidden_layers": 1, **HEADS}

SAID = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    rows = [{"prompt": "Say something."}, {"prompt": SAID, "about": {"role": "Doctor"}}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_a_match_shows_a_prompt_and_ends_with_the_reply(prompts: Path) -> None:
    game = load_game("prompts", {"file": str(prompts)})
    match = next(m for m in map(game.start, range(20)) if len(m.prompt.messages) == 2)
    assert match.observe(0) == "Why?"
    assert match.messages(0) == tuple(SAID)
    assert match.legal_moves(0) is None and match.to_act == (0,)
    match.play(0, Move(-1, "Because."))
    assert match.to_act == () and match.returns() == (0.0,)
    assert match.render().endswith("→ Because.")
    assert {len(game.start(seed).prompt.messages) for seed in range(20)} == {1, 2}
    assert game.start(7).prompt == game.start(7).prompt


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, GameError, "no prompts to play"),
        ({"file": "nowhere.jsonl"}, DataError, "nowhere.jsonl"),
        ({"files": "x"}, GameError, "no option 'files'"),
    ],
)
def test_what_cannot_be_played_is_said(options, error, words) -> None:
    with pytest.raises(error, match=words):
        load_game("prompts", options).start(1)


def test_a_wrong_row_is_named(tmp_path: Path) -> None:
    (file := tmp_path / "p.jsonl").write_text('{"prompt": "a"}\n{"prompt": [1]}\n')
    with pytest.raises(DataError, match=r"p\.jsonl:2"):
        load_game("prompts", {"file": str(file)}).start(1)
    (empty := tmp_path / "e.jsonl").write_text("\n")
    with pytest.raises(DataError, match="no prompts in it"):
        load_game("prompts", {"file": str(empty)}).start(1)


def test_a_prompt_may_say_which_replies_are_legal(tmp_path: Path) -> None:
    row = {"prompt": "Your decision:", "legal_moves": ["fold", "call", "raise", "call"]}
    (file := tmp_path / "p.jsonl").write_text(json.dumps(row) + "\n")
    match = load_game("prompts", {"file": str(file)}).start(1)
    legal = match.legal_moves(0)
    assert legal == (Move(-1, "fold"), Move(-1, "call"), Move(-1, "raise"))
    reader = partial(match.read, 0)
    said = ("cal", "raise 22.5", "2", "call", "")
    read = {text: read_reply(text, legal, reader=reader).move for text in said}
    assert read == {
        "cal": None,
        "raise 22.5": Move(-1, "raise 22.5"),
        "2": None,
        "call": Move(-1, "call"),
        "": None,
    }
    (wrong := tmp_path / "w.jsonl").write_text('{"prompt": "a", "legal_moves": [1]}\n')
    with pytest.raises(DataError, match=r"w\.jsonl:1.*legal_moves"):
        load_game("prompts", {"file": str(wrong)}).start(1)


def test_a_model_reads_the_messages_as_they_are_and_long_ones_from_their_end(
    prompts: Path, tmp_path: Path
) -> None:
    section = ModelSection.model_validate({"tiny": TINY})
    policy = load_policy(section, prepare_base(section, tmp_path / "base", 1))
    game = load_game("prompts", {"file": str(prompts)})
    sampler = LocalSampler(policy.model, policy.tokenizer)
    for longest in (None, 6):
        player = ModelPlayer(
            "model",
            sampler,
            policy.tokenizer,
            PromptSection(max_length=longest, system="not shown"),
            SamplingSection(max_new_tokens=3),
        )
        tasks = [Task("prompts", seed, ("model",), game.options) for seed in range(8)]
        rules = TurnRules(retry=False)
        played = list(play_matches(tasks, game=game, players={"model": player}, rules=rules))
        attempts = [turn.attempts[0] for episode in played for turn in episode.turns]
        assert {len(a.prompt) for a in attempts} == {1, 2}
        assert all(a.prompt in [one.messages for one in game.prompts] for a in attempts)
        for attempt in attempts:
            ids = render_prompt(policy.tokenizer, attempt.prompt)
            assert attempt.tokens is not None
            assert list(attempt.tokens.prompt_ids) == (ids[-longest:] if longest else ids)


def recipe(**changes) -> Recipe:
    plain = {
        "name": "small",
        "game": {"name": "prompts", "options": changes.pop("options", {})},
        "model": {"base": "tiny", "tiny": TINY},
        "prompt": {"retry": False},
        "sampling": {"max_new_tokens": 12},
        "stages": {
            "grpo": {
                "max_steps": 12,
                "batch_size": 64,
                "num_generations": 16,
                "learning_rate": 1e-2,
                "rewards": {"length": {"weight": 1.0, "per": 12}},
                "eval_steps": 6,
                "eval_episodes": 16,
                "save_steps": 100,
                **changes,
            }
        },
        "evaluation": {"temperature": 1.0, "before": False},
    }
    return Recipe.model_validate(plain)


def test_replies_grow_shorter_when_that_is_all_that_pays(prompts: Path, tmp_path: Path) -> None:
    outcome = run_recipe(recipe(options={"file": str(prompts)}), tmp_path / "runs")
    rows = [
        json.loads(line) for line in (outcome.folder / "metrics.jsonl").read_text().split("\n")[:-1]
    ]
    lengths = [row["reply_length"] for row in rows if "reply_length" in row]
    assert lengths[-1] < lengths[0] - 1
    looks = [row["eval/held_out_reward"] for row in rows if "eval/score" in row]
    assert len(looks) == 3 and all(look > -1 for look in looks)
    assert not any("random/success" in row for row in rows)
    assert (outcome.folder / "grpo" / "final" / "config.json").is_file()
    summary = json.loads((outcome.folder / "training_summary_grpo.json").read_text())
    assert summary["steps"] == 12
    assert list(read_episodes(outcome.folder / "after" / "episodes.jsonl")) == []


def test_prompts_and_reward_models_that_are_not_there_are_refused_first(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no prompts to play"):
        run_recipe(recipe(), tmp_path)
    (tmp_path / "p.jsonl").write_text('{"prompt": "a"}\n')
    options = {"file": str(tmp_path / "p.jsonl")}
    with pytest.raises(RecipeError, match="no reward stage before it"):
        run_recipe(recipe(options=options, rewards={"reward_model": 1.0}), tmp_path)
    with pytest.raises(RecipeError, match="no reward stage 'r'"):
        rewards = {"reward_model": {"weight": 1.0, "stage": "r"}}
        run_recipe(recipe(options=options, rewards=rewards), tmp_path)
