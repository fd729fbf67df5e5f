"""What a model is shown, and the words in which it is to answer.

`compact` is for tiny models: the position and the seat, about as many tokens as the board has
squares. `full` is for models that read: rules, current state, seat and the numbered legal moves,
in the style in use for OpenSpiel games.
"""

import re

from tesuji.core.types import Attempt, Message, Move
from tesuji.games.base import Game, Match
from tesuji.players.base import MoveRequest
from tesuji.players.prompting.parse_reply import split_thought
from tesuji.recipe.schema.sections import PromptSection

THINK, END_THINK = "<think>", "</think>"


def build_prompt(
    section: PromptSection,
    *,
    game: Game,
    observation: str,
    seat: int,
    role: str,
    legal: tuple[Move, ...] | None,
    failed: Attempt | None = None,
    own: tuple[Message, ...] | None = None,
) -> tuple[Message, ...]:
    """The messages that ask `seat` for its move; `observation` is what that seat may see. `own`
    are the game's own messages, which are shown as they are.

    `failed` is the earlier attempt of this turn: what it said, its thought left out as chat
    templates do, follows as the assistant's words, and a user message says what was wrong.
    """
    messages = list(own or _messages(section, game, observation, seat, role, legal))
    if failed is not None:
        messages += _again(section, failed, legal)
    return tuple(messages)


def prompt_at(section: PromptSection, game: Game, match: Match, seat: int) -> tuple[Message, ...]:
    """The messages that ask for the move of this seat, which is to act."""
    return build_prompt(
        section,
        game=game,
        observation=match.observe(seat),
        seat=seat,
        role=match.role(seat),
        legal=match.legal_moves(seat),
        own=match.messages(seat),
    )


def prompt_of(section: PromptSection, request: MoveRequest) -> tuple[Message, ...]:
    """The messages that ask what a request asks."""
    return build_prompt(
        section,
        game=request.game,
        observation=request.observation,
        seat=request.seat,
        role=request.match.role(request.seat),
        legal=request.legal,
        failed=request.failed,
        own=request.match.messages(request.seat),
    )


def _messages(
    section: PromptSection,
    game: Game,
    observation: str,
    seat: int,
    role: str,
    legal: tuple[Move, ...] | None,
) -> list[Message]:
    view = observation.strip("\n").rstrip()
    if section.style == "compact":
        content = f"{view}\n{role}"
    else:
        content = _full(section, game.rules, view, _who(seat, role), legal)
    user = Message(role="user", content=content)
    return [Message(role="system", content=section.system), user] if section.system else [user]


def next_message(
    section: PromptSection,
    *,
    observation: str,
    seat: int,
    role: str,
    legal: tuple[Move, ...] | None,
    failed: Attempt | None = None,
    own: tuple[Message, ...] | None = None,
) -> Message:
    """What a conversation that holds the earlier turns goes on with: the rules are not said again.
    Of the game's own messages it is the last.

    `failed` is this turn's first attempt, then it says what was wrong with it. Of the game's own
    messages the last is taken.
    """
    if failed is not None:
        return _again(section, failed, legal)[1]
    if own:
        return own[-1]
    view = observation.strip("\n").rstrip()
    if section.style == "compact":
        return Message(role="user", content=f"{view}\n{role}")
    return Message(role="user", content=_full(section, "", view, _who(seat, role), legal))


def answer_text(section: PromptSection, move: Move, thought: str = "") -> str:
    """The reply that names `move` as the prompt asks for it, with `thought` in front if given."""
    answer = str(move.id) if section.answer == "id" else move.text
    return f"{THINK}\n{thought}\n{END_THINK}\n\n{answer}" if thought else answer


def _full(
    section: PromptSection, rules: str, view: str, who: str, legal: tuple[Move, ...] | None
) -> str:
    parts = [rules.strip(), f"Current State:\n{view}", f"You are {who}."]
    if legal is not None:
        parts.append("Legal Actions:\n" + "\n".join(f"{m.id} -> {m.text}" for m in legal))
    parts.append(_ask(section, legal))
    return "\n\n".join(part for part in parts if part)


def _who(seat: int, role: str) -> str:
    """The seat as the games number it, and the role where that says more."""
    if re.fullmatch(r"Player \d+", role):
        return role
    return f"Player {seat} ({role})" if role else f"Player {seat}"


def _ask(section: PromptSection, legal: tuple[Move, ...] | None) -> str:
    if legal is None:
        return "Your reply:"
    return f"Your choice ({'ID' if section.answer == 'id' else 'action'} only):"


def _again(
    section: PromptSection, failed: Attempt, legal: tuple[Move, ...] | None
) -> list[Message]:
    reason = failed.problem or "the move is not legal here"
    answer = split_thought(failed.reply)[1] or failed.reply
    return [
        Message(role="assistant", content=answer),
        Message(role="user", content=f"Not accepted: {reason}.\n{_ask(section, legal)}"),
    ]
