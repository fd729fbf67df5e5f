"""The decision in a reply of a model: `games.poker.read_decision`, once the thought is stripped."""

from tesuji.games.poker.read_decision import Decision, decision_in
from tesuji.players.prompting.parse_reply import split_thought


def read_decision(text: str) -> Decision | None:
    """The decision a reply names once its thought is stripped, or None. Never raises."""
    return decision_in(split_thought(text)[1]) if isinstance(text, str) else None
