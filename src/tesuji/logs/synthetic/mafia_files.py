"""A played game as others write it down: a competitor's file, in two shapes, and MGC2025 rows."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tesuji.games.textarena.secretmafia import GAME
from tesuji.logs.synthetic.mafia_play import MadeGame, MadeStep

BEGAN = datetime(2025, 8, 1, 10, tzinfo=UTC)
BETWEEN = timedelta(minutes=11)  # games


def outcome_of(game: MadeGame, seat: int) -> str:
    """ "win" or "loss", as the seat sees it."""
    return "win" if game.rewards[seat] > 0 else "loss"


def competitor_record(game: MadeGame, seat: int) -> dict[str, Any]:
    """One player's view of one game, in the newer shape; `content` is the whole transcript."""
    steps = game.view(seat)
    stamps = _stamps(game, seat, steps)
    spent = sum(step.seconds for step in steps)
    return {
        "game_id": game.name,
        "timestamp": stamps[0],
        "game_number": game.number,
        "observations": [
            {
                "turn": turn,
                "timestamp": stamp,
                "player_id": seat,
                "content": step.observation,
                "length": len(step.observation),
            }
            for turn, (step, stamp) in enumerate(zip(steps, stamps[1:], strict=True))
        ],
        "actions": [
            {
                "turn": turn,
                "timestamp": stamp,
                "action": step.reply,
                "processing_time": step.seconds,
            }
            for turn, (step, stamp) in enumerate(zip(steps, stamps[1:], strict=True))
        ],
        "turn_details": [
            {"turn": turn, "observation_length": len(s.observation), "action_length": len(s.reply)}
            for turn, s in enumerate(steps)
        ],
        "agent_memory": {"style": game.styles[seat]},
        "performance_metrics": {"average_processing_time": round(spent / max(1, len(steps)), 3)},
        "error_log": [],
        "outcome": outcome_of(game, seat),
        "reward": game.rewards[seat],
        "raw_rewards": {str(other): paid for other, paid in enumerate(game.rewards)},
        "total_turns": len(steps),
        "game_duration": round(spent, 3),
        "role": game.roles[seat],
        "player_id": seat,
        "game_info": {
            str(other): {**about, "outcome": outcome_of(game, other)}
            for other, about in enumerate(game.info)
        },
    }


def older_record(record: dict[str, Any]) -> dict[str, Any]:
    """The same view in the older shape: one list, of observations with their responses."""
    history = [
        {"observation": seen["content"], "response": action["action"]}
        for seen, action in zip(record["observations"], record["actions"], strict=True)
    ]
    kept = {
        key: value
        for key, value in record.items()
        if key not in ("observations", "actions", "turn_details", "agent_memory")
    }
    return {**kept, "history": history}


def file_name(record: dict[str, Any]) -> str:
    """`game_<timestamp>_<role>_<outcome>.json`; the microseconds tell the views of a game apart."""
    stamp = datetime.fromisoformat(record["timestamp"]).strftime("%Y%m%d_%H%M%S_%f")
    role = str(record["role"] or "unknown").rpartition(".")[2].lower()
    return f"game_{stamp}_{role}_{record['outcome']}.json"


def mgc_rows(game: MadeGame) -> list[dict[str, Any]]:
    """One row for every player that acted; the others have none."""
    return [_mgc_row(game, seat) for seat in range(len(game.roles)) if game.view(seat)]


def _mgc_row(game: MadeGame, seat: int) -> dict[str, Any]:
    steps = game.view(seat)
    stamps = _stamps(game, seat, steps)[1:]
    times = [f"{datetime.fromisoformat(stamp).timestamp():.6f}" for stamp in stamps]
    names = [f"made/{style}" for style in game.styles]
    seen = {
        time: {"observation": step.observation, "action": step.reply}
        for time, step in zip(times, steps, strict=True)
    }
    return {
        "game_id": game.name,
        "player_game_id": f"{game.name}-{seat}",
        "env_name": GAME,
        "model_name": names[seat],
        "player_id": seat,
        "opponent_names": json.dumps(names[:seat] + names[seat + 1 :]),
        "rewards": json.dumps({str(other): paid for other, paid in enumerate(game.rewards)}),
        "observations": json.dumps(seen),
        "num_turns": len(steps),
        "status": "finished",
        "reason": game.reason,
    }


def _stamps(game: MadeGame, seat: int, steps: Sequence[MadeStep]) -> list[str]:
    """When the view begins, and when each of its turns does."""
    time = BEGAN + game.number * BETWEEN + timedelta(microseconds=seat)
    stamps = [time.isoformat(timespec="microseconds")]
    for step in steps:
        time += timedelta(seconds=8 + step.seconds)
        stamps.append(time.isoformat(timespec="microseconds"))
    return stamps
