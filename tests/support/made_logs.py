"""Small logs of the kinds that people have, for tests."""

import json
from pathlib import Path
from typing import Any

ROSTER = "Players: " + ", ".join(f"Player {n}" for n in range(6))
BEGIN = (
    "[GAME] Welcome to Secret Mafia! You are Player {seat}.\nYour role: {role}\nTeam: Village\n"
    "Description: ...\n\n" + ROSTER + "\n\nDuring DAY phase: Speak freely and vote.\n"
    "During NIGHT phase: '[Player X]' to protect a player.\n"
)
DAY = "[GAME] Day breaks. Discuss for 3 rounds, then a vote will follow.\n"
TALK = "[Player 4] I think Player 2 was too quiet. [Player 9] is a typo.\n"
VOTE = "[GAME] Voting phase - submit one vote in format [X]. Valid: [0], [1], [2], [4]\n"
NIGHT = "[GAME] Night phase - choose one player to protect: [0], [2], [4]\n"
SPEECH = "I suspect Player 2: the evidence is that he was quiet."


def game(seat: int = 1, role: Any = "Doctor", **changes: Any) -> dict[str, Any]:
    """One game as a competitor's script writes it: protect, speak, vote."""
    begin = BEGIN.format(seat=seat, role="Doctor")
    shown = [begin + NIGHT, begin + NIGHT + DAY + TALK, begin + NIGHT + DAY + TALK + VOTE]
    said = ["[2]", SPEECH, "my vote: [Player 0] no, [Player 2]"]
    found = {
        "game_id": "g1",
        "timestamp": "2025-08-01T10:00:00",
        "game_number": 1,
        "observations": [
            {"turn": n, "timestamp": "", "player_id": seat, "content": text, "length": len(text)}
            for n, text in enumerate(shown)
        ],
        "actions": [
            {"turn": n, "timestamp": "", "action": text, "processing_time": 0.5}
            for n, text in enumerate(said)
        ],
        "turn_details": [],
        "agent_memory": {},
        "performance_metrics": {},
        "error_log": [],
        "outcome": "win",
        "reward": 1,
        "raw_rewards": {str(n): (-1 if n in (2, 5) else 1) for n in range(6)},
        "total_turns": 3,
        "game_duration": 12.5,
        "role": role,
        "player_id": seat,
        "game_info": {
            str(n): {"role": "Mafia" if n in (2, 5) else "Villager", "reason": "Village wins!"}
            for n in range(6)
            if n != seat
        },
    }
    return {**found, **changes}


def older(**changes: Any) -> dict[str, Any]:
    """The same game in the older shape."""
    new = game(**changes)
    pairs = zip(new.pop("observations"), new.pop("actions"), strict=True)
    history = [{"observation": o["content"], "response": a["action"]} for o, a in pairs]
    return {**new, "history": history}


def row(seat: int = 1, **changes: Any) -> dict[str, Any]:
    """The same game as a row of MGC2025."""
    new = game(seat)
    pairs = zip(new["observations"], new["actions"], strict=True)
    steps = {
        f"{1000.5 + n}": {"observation": o["content"], "action": a["action"]}
        for n, (o, a) in enumerate(pairs)
    }
    found = {
        "game_id": 77,
        "player_game_id": 770 + seat,
        "env_name": "SecretMafia-v0",
        "model_name": "someone/model",
        "player_id": seat,
        "opponent_names": "[]",
        "rewards": json.dumps(new["raw_rewards"]),
        "observations": json.dumps(steps),
        "num_turns": 3,
        "status": "finished",
        "reason": "Village wins!",
    }
    return {**found, **changes}


def write(path: Path, value: Any) -> Path:
    """A JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_lines(path: Path, rows: list[Any]) -> Path:
    """A file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
