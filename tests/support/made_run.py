"""A run folder as `tesuji run` leaves it, made up in a moment: real games, invented training.

python tests/support/made_run.py /tmp/made     # to look at its report
"""

import json
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pyspiel

from tesuji.core.files import write_json, write_jsonl, write_text
from tesuji.core.statistics import wilson
from tesuji.core.types import Attempt, Ending, Episode, Found, Move, Turn
from tesuji.episodes.store import write_episodes
from tesuji.evaluation.matches.against import EVALUATED, score_matches
from tesuji.evaluation.results import (
    Certificate,
    Evaluation,
    MatchScore,
    PositionScore,
    save_evaluation,
)

GAME = pyspiel.load_game("tic_tac_toe")
OPPONENTS = ("random", "mcts(simulations=100)", "minimax")
RECIPE = """name: made
description: A made-up run.
seed: 7
game: tic_tac_toe
stages:
  data: {}
  sft: {learning_rate: 0.02}
"""


@cache
def value(history: tuple[int, ...]) -> float:
    """What the first player gets from here with best play."""
    state = GAME.new_initial_state()
    for action in history:
        state.apply_action(action)
    if state.is_terminal():
        return state.returns()[0]
    best = max if state.current_player() == 0 else min
    return best(value((*history, action)) for action in state.legal_actions())


def careful(state, rng: random.Random) -> int:
    """Plays perfectly after the opening, and the opening well."""
    history = tuple(state.history())
    if len(history) < 2:
        return 4 if 4 in state.legal_actions() else 0
    sign = 1 if state.current_player() == 0 else -1
    return max(state.legal_actions(), key=lambda action: sign * value((*history, action)))


def careless(state, rng: random.Random) -> int:
    return rng.choice(state.legal_actions())


def play(seed: int, players: tuple[str, str], ours: Callable, theirs: Callable) -> Episode:
    """One real match of tic-tac-toe; the model's seat is the one that is called so."""
    rng = random.Random(seed)
    state = GAME.new_initial_state()
    turns = []
    while not state.is_terminal():
        seat = state.current_player()
        model = players[seat] == EVALUATED
        action = (ours if model else theirs)(state, rng)
        move = Move(action, state.action_to_string(seat, action))
        attempt = Attempt(move.text, found=Found.EXACT, move=move)
        role = "xo"[seat]
        turns.append(Turn(seat, role, state.observation_string(seat), (attempt,), move))
        state.apply_action(action)
    return Episode(
        "tic_tac_toe", {}, seed, players, tuple(turns), tuple(state.returns()), reason="game over"
    )


def forfeited(episode: Episode) -> Episode:
    """The same match, broken off by two replies of the model that hold no move."""
    seat = episode.players.index(EVALUATED)
    kept = tuple(turn for turn in episode.turns[:2] if turn.seat != seat)[:seat]
    shown = episode.turns[len(kept)].observation
    tries = (
        Attempt("I resign </script>", problem="no legal move in it"),
        Attempt("x(9,9)", problem="not a square"),
    )
    last = Turn(seat, "xo"[seat], shown, tries, None)
    returns = (-1.0, 1.0) if seat == 0 else (1.0, -1.0)
    return replace(
        episode,
        turns=(*kept, last),
        returns=returns,
        ending=Ending.FORFEIT,
        reason="no legal move in two replies",
        offender=seat,
    )


def matches(skill: Callable, label: str, games: int = 20) -> list[Episode]:
    episodes = []
    for opponent in OPPONENTS:
        theirs = careless if opponent == "random" else careful
        for seed in range(games):
            players = (EVALUATED, opponent) if seed % 2 == 0 else (opponent, EVALUATED)
            episode = play(seed, players, skill, theirs)
            spoiled = label == "before" and seed % 3 == 0
            episodes.append(forfeited(episode) if spoiled else episode)
    return episodes


def scores(episodes: list[Episode]) -> tuple[MatchScore, ...]:
    return tuple(
        row
        for name in OPPONENTS
        for row in score_matches(name, [e for e in episodes if name in e.players])
    )


def evaluation(label: str, episodes: list[Episode], optimal: float, beaten: bool) -> Evaluation:
    kept = {"trained": 4068, "held_out": 452}
    return Evaluation(
        label=label,
        model="tiny (qwen3, 0.13M)",
        game="tic_tac_toe",
        matches=scores(episodes),
        baseline=scores(matches(careless, "baseline")),
        positions=tuple(
            PositionScore(
                split,
                count,
                count,
                int(optimal * count),
                int(optimal * count) - 3,
                wilson(int(optimal * count), count),
            )
            for split, count in kept.items()
        ),
        certificates=tuple(
            Certificate(
                seat,
                role,
                lines=300 + seat,
                wins=200,
                draws=100 - 9 * beaten + seat,
                losses=9 * beaten,
                illegal=0,
                positions=512,
                losing_line=("x(0,0)", "o(1,1)", "x(0,2)") if beaten else (),
            )
            for seat, role in enumerate("xo")
        ),
        temperature=0.0,
        seconds=4.2,
        seed=7,
    )


def metrics(steps: int = 40) -> list[dict]:
    rows = []
    for step in range(10, 10 * steps + 1, 10):
        loss = 2.4 * 0.9 ** (step / 10) + 0.02
        row = {"time": 1.7e9 + step, "stage": "sft", "step": step, "loss": loss}
        row |= {"mean_token_accuracy": 1 - loss / 3, "learning_rate": 0.02 * (1 - step / 400)}
        row |= {"grad_norm": 0.3 + loss / 4, "epoch": step / 100, "num_tokens": step * 4096}
        rows.append(row | ({"eval_loss": loss * 1.1} if step % 50 == 0 else {}))
    return rows


def make_run(run: Path) -> Path:
    """Write the whole folder and return it."""
    stages = {"00-before": 5.1, "01-data": 3.0, "02-sft": 24.6, "03-after": 4.9}
    write_json(
        run / "manifest.json",
        {
            "format": 1,
            "name": "made",
            "recipe_hash": "5f2c",
            "created": "2026-01-02T03:04:05+00:00",
            "seed": 7,
            "versions": {"tesuji": "0.1.0", "torch": "2.13.0"},
            "platform": {"system": "Linux", "cpu_count": 2},
            "git_commit": "0b4de19f25d3c0a3f5b2a1c7f0e9d8c7b6a59483",
            "command": "tesuji run recipes/tictactoe/tiny.yaml",
            "stages": {
                name[3:]: {"status": "done", "seconds": seconds, "key": "abc"}
                for name, seconds in stages.items()
            },
        },
    )
    write_text(run / "recipe.yaml", RECIPE)
    write_jsonl(run / "metrics.jsonl", metrics())
    for name, seconds in stages.items():
        write_json(run / "stages" / name / "done.json", {"key": "abc", "seconds": seconds})
    _data(run / "stages" / "01-data")
    training = {"steps": 400, "rows": 8102, "rows_cut": 0, "parameters": 131072, "device": "cpu"}
    write_json(run / "stages" / "02-sft" / "training.json", training)
    for name, label, skill, optimal in (
        ("00-before", "before", careless, 0.31),
        ("03-after", "after sft", careful, 0.9965),
    ):
        episodes = matches(skill, label)
        folder = run / "stages" / name
        write_episodes(folder / "episodes.jsonl", episodes)
        found = evaluation(label, episodes, optimal, beaten=label == "before")
        save_evaluation(folder / "evaluation.json", found)
    return run


def _data(folder: Path) -> None:
    write_jsonl(folder / "train.jsonl", [{"prompt": "...", "completion": "4"}] * 3)
    write_jsonl(folder / "held_out.jsonl", [{"prompt": "...", "completion": "4"}])
    statistics = {
        "positions": 4520,
        "held_out": {"positions": 452, "symmetry_classes": 70},
        "moves_per_position": {"mean": 1.79, "max": 9},
        "thoughts": "none",
    }
    write_json(folder / "dataset_statistics.json", statistics)


if __name__ == "__main__":
    from tesuji.report.page import write_report

    print(json.dumps([str(path) for path in write_report(make_run(Path(sys.argv[1])))]))
