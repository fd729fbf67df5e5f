"""Rows in the shape of the guide: flat texts instead of messages.

    SFT          {"instruction", "input", "output", "reasoning", "quality_score", "type"}
    preference   {"prompt", "chosen", "rejected", "type"}

`output` is what was said without the thought, which stands in `reasoning`. `quality_score` is null
for votes and night actions, which a rule about form has nothing to say about, and everywhere under
`compliance: strict`.
"""

import re
from collections.abc import Sequence
from typing import Any

from tesuji.core.types import Message
from tesuji.players.prompting.parse_reply import split_thought

NAMES = (("SecretMafia", "mafia"), ("poker", "poker"), ("tic_tac_toe", "tictactoe"))

LONGEST_NAME = 60  # of a game, in a file's name


def prefix(game: str) -> str:
    """What a game's files are called after."""
    known = next((name for part, name in NAMES if part in game), "")
    return known or re.sub(r"[^a-z0-9]+", "_", game.lower()).strip("_")[:LONGEST_NAME] or "games"


def sft_row(
    prompt: Sequence[Message], reply: str, type_: str, score: float | None
) -> dict[str, Any]:
    """One supervised row."""
    thought, answer = split_thought(reply) if "think>" in reply else ("", reply)
    instruction, text = _two(prompt)
    return {
        "instruction": instruction,
        "input": text,
        "output": answer,
        "reasoning": thought,
        "quality_score": score,
        "type": type_,
    }


def preference_row(
    prompt: Sequence[Message], chosen: str, rejected: str, type_: str
) -> dict[str, Any]:
    """One pair."""
    text = "\n\n".join(part for part in _two(prompt) if part)
    return {"prompt": text, "chosen": chosen, "rejected": rejected, "type": type_}


def _two(prompt: Sequence[Message]) -> tuple[str, str]:
    """(instruction, input): the system message and the rest, or the one message and nothing."""
    system = "\n\n".join(m["content"] for m in prompt if m["role"] == "system")
    rest = [m for m in prompt if m["role"] != "system"]
    if len(rest) == 1:
        text = rest[0]["content"]
    else:
        text = "\n\n".join(f"{m['role'].capitalize()}: {m['content']}" for m in rest)
    return (system, text) if system else (text, "")
