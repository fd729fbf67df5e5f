"""What the model is shown."""

import pytest

from tesuji.core.types import Attempt, Found, Message, Move
from tesuji.players.prompting.parse_reply import read_reply
from tesuji.players.prompting.prompt import answer_text, build_prompt
from tesuji.recipe.schema.sections import PromptSection

LEGAL = (Move(0, "o(0,0)"), Move(4, "o(1,1)"))


class Rules:
    rules = "Three in a row wins."


def prompt(section, **changes):
    situation = {
        "game": Rules(),
        "observation": "...\n.x.\n...\n",
        "seat": 1,
        "role": "o",
        "legal": LEGAL,
    }
    return build_prompt(section, **(situation | changes))


def test_compact_is_the_position_and_the_seat():
    assert prompt(PromptSection(style="compact")) == (
        Message(role="user", content="...\n.x.\n...\no"),
    )


def test_a_board_keeps_the_spaces_in_front_of_its_first_line():
    shown = prompt(PromptSection(style="compact"), observation="\n  a b\n1 . .  \n\n")
    assert shown[0]["content"] == "  a b\n1 . .\no"


def test_full_shows_rules_state_seat_and_numbered_moves():
    assert prompt(PromptSection(answer="id"))[0]["content"] == (
        "Three in a row wins.\n\nCurrent State:\n...\n.x.\n...\n\nYou are Player 1 (o).\n\n"
        "Legal Actions:\n0 -> o(0,0)\n4 -> o(1,1)\n\nYour choice (ID only):"
    )
    assert prompt(PromptSection(answer="move"))[0]["content"].endswith("Your choice (action only):")


def test_a_role_that_is_the_seats_number_is_not_said_twice():
    assert "You are Player 1.\n" in prompt(PromptSection(), role="Player 1")[0]["content"]


def test_free_text_has_no_list_of_moves():
    content = prompt(PromptSection(), legal=None)[0]["content"]
    assert "Legal Actions" not in content and content.endswith("Your reply:")


def test_system_message_stands_in_front():
    messages = prompt(PromptSection(system="Play well."))
    assert messages[0] == Message(role="system", content="Play well.")


@pytest.mark.parametrize("style", ["compact", "full"])
def test_a_retry_shows_the_reply_and_the_reason(style):
    failed = Attempt(
        reply="<think>hm</think>\n\no(9,9)", found=Found.NONE, problem="no legal move in the reply"
    )
    first, said, reason = prompt(PromptSection(style=style), failed=failed)
    assert first == prompt(PromptSection(style=style))[0]
    assert said == Message(role="assistant", content="o(9,9)")
    assert reason["role"] == "user" and "no legal move in the reply" in reason["content"]


@pytest.mark.parametrize("answer", ["id", "move"])
@pytest.mark.parametrize("thought", ["", "As o, I block at 0-0."])
def test_an_answer_is_read_back_as_its_move(answer, thought):
    reply = answer_text(PromptSection(answer=answer), LEGAL[1], thought)
    attempt = read_reply(reply, LEGAL, prefer=answer)
    assert (attempt.move, attempt.thought) == (LEGAL[1], thought)
