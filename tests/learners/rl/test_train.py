"""The RL stages as a user meets them: they learn, and what goes wrong around them does not end in
a traceback or in lost work."""

import json
import time
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from listener import Listener
from made_recipes import recipe_of
from places import RECIPES

from tesuji.core import plugins
from tesuji.core.errors import EngineError, RecipeError, TesujiError
from tesuji.pipeline.run import Outcome, run_recipe
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe


def changed(recipe: Recipe, **sections: Any) -> Recipe:
    plain = recipe.model_dump(mode="json")
    for name, changes in sections.items():
        plain[name] = {**plain[name], **changes}
    return Recipe.model_validate(plain)


def run(recipe: Recipe, root: Path) -> tuple[Outcome, list[str], list[dict[str, Any]]]:
    listener = Listener()
    outcome = run_recipe(recipe, root, progress=listener)
    lines = (outcome.folder / "metrics.jsonl").read_text().splitlines()
    rows = [row for line in lines if (row := json.loads(line))["stage"] == "rl"]
    return outcome, listener.lines, rows


@pytest.mark.parametrize("kind", ["grpo", "ppo", "reinforce++"])
def test_self_play_of_kuhn_poker_goes_towards_the_equilibrium(kind: str, tmp_path: Path) -> None:
    recipe = recipe_of(
        kind,
        "kuhn_poker",
        max_steps=40,
        batch_size=256,
        num_generations=1,
        num_iterations=1,
        learning_rate=3e-3,
        entropy_coef=0.2,
        save_steps=100,
        play={"opponents": ["self"]},
    )
    recipe = changed(
        recipe,
        sampling={"legal_only": True, "max_new_tokens": 2},
        evaluation={"exploitability": True, "before": True, "temperature": 1.0},
    )
    outcome, _, rows = run(recipe, tmp_path)
    assert outcome.before and outcome.after
    before, after = outcome.before.exploitability, outcome.after.exploitability
    assert before and after and after.illegal_mass == pytest.approx(0, abs=1e-6)
    assert before.exploitability > 0.35
    assert after.exploitability < 0.4
    assert rows[-1]["illegal_moves"] == 0


def test_the_console_and_the_log_tell_what_happens(tmp_path: Path) -> None:
    recipe = recipe_of(
        max_steps=4,
        logging_steps=2,
        eval_steps=2,
        eval_episodes=2,
        rewards={"returns": 1.0, "legal": 0.5},
    )
    outcome, said, rows = run(recipe, tmp_path)
    line = next(text for text in said if "step 2: reward " in text)
    assert ", score " in line and "success " in line and "% (" in line
    last = rows[-1]
    for name in (
        *("reward", "reward/returns", "reward/legal", "score", "success", "success_low"),
        *("success_high", "random/success", "entropy", "clip_share", "approx_kl", "grad_norm"),
        *("advantage_std", "zero_variance_groups", "illegal_moves", "reply_length"),
        *("sampler_gap", "learning_rate", "eval/score", "eval/random/win_rate"),
        *("speed/games_per_second", "speed/sampled_tokens_per_second"),
        *("speed/update_tokens_per_second", "speed/memory_gb"),
    ):
        assert name in last, name
    assert last["sampler_gap"] < 1e-4
    assert last["reward"] == pytest.approx(last["reward/returns"] + last["reward/legal"])
    training = json.loads((outcome.folder / "stages" / "00-rl" / "training.json").read_text())
    assert training["steps"] == 4
    assert training["matches"] == 32


def test_a_model_that_answers_only_garbage_loses_and_the_run_goes_on(tmp_path: Path) -> None:
    outcome, _, rows = run(recipe_of(max_steps=12), tmp_path)
    assert rows[0]["illegal_moves"] > 0.6
    assert rows[-1]["step"] == 12
    assert outcome.page.exists()


class Broken(Player):
    """Fails in half of the positions."""

    name = "broken"

    def __init__(self, share: float = 0.5) -> None:
        self.share = share

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        for request in requests:
            if request.seed % 100 < 100 * self.share:
                raise ValueError("engine on fire")
        return [Reply(move=request.legal[0]) for request in requests if request.legal]


class Hanging(Player):
    """Never answers."""

    name = "hanging"

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        time.sleep(3600)
        return []


@pytest.fixture
def players(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"broken": f"{__name__}:Broken", "hanging": f"{__name__}:Hanging"}
    points = tuple(EntryPoint(name, value, "tesuji.players") for name, value in made.items())
    declared = plugins._declared
    monkeypatch.setattr(
        plugins,
        "_declared",
        lambda group, path: points if group == "tesuji.players" else declared(group, path),
    )


def opening(share: float) -> dict[str, Any]:
    return {"opponents": [{"player": "broken", "share": share}], "opening_moves": 2}


def test_an_opponent_that_fails_now_and_then_costs_those_matches_only(
    players: None, tmp_path: Path
) -> None:
    _, _, rows = run(recipe_of(batch_size=32, play=opening(0.05)), tmp_path)
    assert rows[-1]["step"] == 3
    assert 0 < sum(row["matches_failed"] for row in rows) < 48


def test_an_opponent_that_always_fails_stops_the_run_with_one_message(
    players: None, tmp_path: Path
) -> None:
    recipe = changed(recipe_of(play=opening(1.0)), prompt={"on_illegal": "random"})
    with pytest.raises(EngineError, match=r"matches failed.*engine on fire"):
        run(recipe, tmp_path)


def test_an_opponent_that_hangs_is_given_up(players: None, tmp_path: Path) -> None:
    play = {"opponents": ["hanging"], "opponent_timeout_s": 0.2}
    recipe = changed(recipe_of(play=play), prompt={"on_illegal": "random"})
    started = time.monotonic()
    with pytest.raises(EngineError, match="did not answer"):
        run(recipe, tmp_path)
    assert time.monotonic() - started < 60


def test_a_game_that_never_ends_is_cut_off_and_learned_from(tmp_path: Path) -> None:
    for kind in ("ppo", "grpo"):
        recipe = recipe_of(kind, "checkers", play={"max_moves": 6, "opponents": ["random"]})
        recipe = changed(recipe, prompt={"on_illegal": "random"}, sampling={"legal_only": True})
        _, _, rows = run(recipe, tmp_path / kind)
        assert rows[-1]["matches_truncated"] == 8


def test_a_reward_that_is_not_a_number_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tesuji.episodes.rewards import total as rewards

    terms = {**rewards.BUILT_IN, "odd": lambda: lambda at: float("nan")}
    monkeypatch.setattr(rewards, "BUILT_IN", terms)
    with pytest.raises(EngineError, match="the reward term odd gave nan"):
        run(recipe_of(rewards={"odd": 1.0}), tmp_path)


def test_a_diverging_run_stops_and_keeps_its_last_good_checkpoint(tmp_path: Path) -> None:
    recipe = recipe_of("ppo", max_steps=40, save_steps=1, max_grad_norm=0.0)
    wild = recipe.stages["rl"].model_copy(update={"learning_rate": 1e30})  # no recipe may say so
    recipe = recipe.model_copy(update={"stages": {"rl": wild}})
    with pytest.raises(TesujiError, match=r"not a number|not numbers") as caught:
        run(recipe, tmp_path)
    assert "learning_rate" in str(caught.value) or "diverged" in str(caught.value)
    kept = sorted((tmp_path / "small" / "stages" / "00-rl" / "checkpoints").glob("step-*"))
    assert kept


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"sampling": {"temperature": 0.0}}, "nothing is learned from greedy replies"),
        ({"sampling": {"top_p": 0.9}}, "probabilities of all tokens"),
        ({"model": {"lora": {"dropout": 0.1}}}, "dropout"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_before_anything_runs(
    sections: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=words):
        run(changed(recipe_of(), **sections), tmp_path)
    assert not (tmp_path / "small" / "stages").exists()


def test_an_opponent_that_cannot_play_the_game_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TesujiError, match="minimax cannot play kuhn_poker"):
        run(recipe_of(game="kuhn_poker", play={"opponents": ["minimax"]}), tmp_path)


def test_lora_conversations_and_a_critic_of_its_own_take_the_same_path(tmp_path: Path) -> None:
    recipe = recipe_of("ppo", critic="base", critic_warmup_steps=1, beta=0.01)
    recipe = changed(
        recipe,
        model={"lora": {"r": 2}},
        prompt={"history": "full", "retry": True, "on_illegal": "random"},
    )
    outcome, _, rows = run(recipe, tmp_path)
    final = outcome.folder / "stages" / "00-rl" / "final"
    assert (final / "adapter_model.safetensors").exists()
    assert (final / "value_head.safetensors").exists()
    assert rows[-1]["sampler_gap"] < 1e-4, "tokens are learned from as they were sampled"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradient_checkpointing_and_bfloat16_train_too(dtype: str, tmp_path: Path) -> None:
    recipe = recipe_of(gradient_checkpointing=True, micro_batch_tokens=64)
    recipe = changed(recipe, model={"dtype": dtype})
    _, _, rows = run(recipe, tmp_path)
    assert rows[-1]["step"] == 3
    assert rows[-1]["sampler_gap"] < (1e-4 if dtype == "float32" else 0.2)


def test_segments_longer_than_max_length_are_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no prompt at all fits the recipe is refused; here that check looks away."""
    monkeypatch.setattr("tesuji.pipeline.run.check", lambda recipe, *_: recipe)
    _, _, rows = run(recipe_of(max_length=8), tmp_path)
    assert rows[-1]["traces_too_long"] == 8
    assert "loss" not in rows[-1]


def test_the_final_model_is_the_one_that_scored_best(tmp_path: Path) -> None:
    recipe = recipe_of(max_steps=6, eval_steps=2, eval_episodes=8, learning_rate=1e-2)
    outcome, _, rows = run(recipe, tmp_path)
    stage = outcome.folder / "stages" / "00-rl"
    looks = [row for row in rows if "eval/score" in row]
    assert [row["step"] for row in looks] == [0, 2, 4, 6]
    best = max(looks[1:], key=lambda row: row["eval/score"])
    assert json.loads((stage / "training.json").read_text())["best_step"] == best["step"]
    name = "model.safetensors"
    assert (stage / "final" / name).read_bytes() == (stage / "best" / name).read_bytes()


def test_several_games_and_their_stages_in_one_curriculum(tmp_path: Path) -> None:
    play = {
        "games": ["tic_tac_toe", {"name": "connect_four"}],
        "curriculum": [
            {"name": "easy", "threshold": 0.01, "window": 4},
            {"name": "hard", "games": ["connect_four"], "opponents": ["mcts"], "threshold": 0.9},
        ],
    }
    recipe = changed(
        recipe_of(max_steps=6, play=play),
        sampling={"legal_only": True},
    )
    _, said, rows = run(recipe, tmp_path)
    assert any("Curriculum: advanced to stage 2/2 (hard)" in text for text in said)
    assert rows[-1]["curriculum/stage"] == 2


def test_every_shipped_rl_recipe_can_be_loaded() -> None:
    folder = RECIPES
    kinds = {
        stage.kind
        for path in sorted(folder.rglob("*.yaml"))
        for stage in load_recipe(str(path)).stages.values()
    }
    assert {"grpo", "ppo", "sft"} <= kinds
