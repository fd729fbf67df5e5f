"""Who may be named in a vote or night action, and who a reply names, read from a row itself.

The importer of the logs reads them by the same words (`games/textarena/secretmafia.py`).
"""

from collections.abc import Sequence

from tesuji.core.types import Message, Move
from tesuji.games.textarena.secretmafia import NAMED, last_message, targets
from tesuji.logs.formats.secretmafia_turns import read_action
from tesuji.players.prompting.parse_reply import split_thought

Targets = tuple[Move, ...]


def valid_targets(prompt: Sequence[Message]) -> Targets:
    """The players that the prompt's last game message lists; empty where it lists none."""
    shown = next((m["content"] for m in reversed(prompt) if m["role"] == "user"), "")
    return targets(last_message(shown))


def target_of(reply: str, valid: Targets) -> int | None:
    """The valid player that a reply names (the last bracket counts), its thought stripped."""
    move = read_action(split_thought(reply)[1], NAMED[0], valid).move
    return None if move is None else move.id
