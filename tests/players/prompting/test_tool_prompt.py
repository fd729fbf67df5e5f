"""Tools in a prompt: the chat template's own where it takes them, Hermes style elsewhere."""

import json

import pytest
from chat_templates import (
    BARE_CALLS,
    PLAIN_TEMPLATE,
    TEXT_CALLS,
    WITH_TOOLS,
    qwen_template,
    tokenizer,
)

from tesuji.core.errors import DataError
from tesuji.core.types import Message
from tesuji.games.catalogue import load_game
from tesuji.players.prompting.chat_template import (
    decode_reply,
    render_next,
    render_prompt,
    render_reply,
)
from tesuji.players.prompting.tool_prompt import split_tools, takes_tools

TOOL = {"type": "function", "function": {"name": "f", "description": "Does <|im_end|> f."}}
ASKED = (
    Message(role="tools", content=json.dumps([TOOL])),
    Message(role="user", content="Call f."),
)


def shown(template: str | None, messages: tuple[Message, ...] = ASKED) -> str:
    made = tokenizer(template)
    return str(made.decode(render_prompt(made, messages), skip_special_tokens=False))


def test_a_template_that_takes_tools_gets_them() -> None:
    assert takes_tools(WITH_TOOLS) and not takes_tools(PLAIN_TEMPLATE)
    text = shown(WITH_TOOLS)
    assert text.startswith("<|im_start|>system\nTOOLS {") and '"name": "f"' in text
    assert "<tools>" not in text
    assert text.endswith("<|im_start|>user\nCall f.<|im_end|>\n<|im_start|>assistant\n")


def test_control_tokens_in_descriptions_are_text() -> None:
    for template in (WITH_TOOLS, PLAIN_TEMPLATE):
        made = tokenizer(template)
        ids = render_prompt(made, ASKED)
        turns = 2  # system, user
        assert ids.count(made.convert_tokens_to_ids("<|im_end|>")) == turns


@pytest.mark.parametrize("template", [PLAIN_TEMPLATE, None])
def test_others_are_told_in_hermes_style(template: str | None) -> None:
    text = shown(template)
    assert "<tools>\n" + json.dumps(TOOL) + "\n</tools>" in text
    assert "<tool_call>" in text and text.index("</tools>") < text.index("Call f.")
    system = Message(role="system", content="Be brief.")
    both = shown(template, (ASKED[0], system, ASKED[1]))
    assert both.index("Be brief.") < both.index("# Tools") < both.index("Call f.")


def test_a_conversation_without_tools_is_as_it_was() -> None:
    assert shown(WITH_TOOLS, ASKED[1:]) == shown(PLAIN_TEMPLATE, ASKED[1:])
    made = tokenizer(WITH_TOOLS)
    assert render_next(made, "And again.") is not None


def test_replies_with_calls_go_through_tokens_and_back() -> None:
    made = tokenizer(WITH_TOOLS)
    reply = load_game("bfcl").start(0).answer(0)
    assert reply and decode_reply(made, render_reply(made, reply)) == reply
    assert render_reply(made, reply).count(made.convert_tokens_to_ids("<tool_call>")) == 1


def test_wrong_tools_are_named() -> None:
    for content in ("{", "{}", "[1]"):
        with pytest.raises(DataError, match="role tools"):
            split_tools([Message(role="tools", content=content)])


@pytest.mark.parametrize("category", ["single_turn"])
def test_every_question_can_be_shown(category: str) -> None:
    made = tokenizer(WITH_TOOLS)
    game = load_game("bfcl", {"category": category, "split": "all", "max_prompt_characters": 1500})
    for seed in range(0, game.tasks or 0, 7):
        match = game.start(seed)
        messages = match.messages(0)
        assert messages is not None
        text = str(made.decode(render_prompt(made, messages), skip_special_tokens=False))
        assert all(message["content"].strip()[:40] in text for message in match.question.messages)


def test_qwens_own_template_shows_tools_as_the_leaderboard_does() -> None:
    """But for the descriptions, which are JSON Schema here, the prompt is its handler's."""
    match = load_game("bfcl", {"category": "multiple"}).start(1)
    text = shown(qwen_template(), match.messages(0) or ())
    assert text.startswith("<|im_start|>system\n# Tools\n\nYou may call one or more functions")
    tools = text[text.index("<tools>\n") : text.index("\n</tools>")].splitlines()[1:]
    named = [json.loads(tool)["function"]["name"] for tool in tools]
    assert named == [function["name"] for function in match.question.functions]
    question = match.question.messages[0]["content"]
    assert text.endswith(
        "</tool_call><|im_end|>\n<|im_start|>user\n"
        f"{question}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    plain = shown(None, match.messages(0) or ())
    assert text[len("<|im_start|>system\n") : text.index("<|im_end|>")] in plain


def said(role: str, content: str) -> Message:
    return Message(role=role, content=content)


CALL = '<tool_call>\n{"name": "f", "arguments": {"a": "é"}}\n</tool_call>'
TALK = (
    *ASKED,
    said("assistant", f"I look.\n{CALL}"),
    said("tool", "3"),
    said("assistant", "Three."),
)


def test_calls_and_answers_of_a_conversation_are_written_by_the_template() -> None:
    text = shown(qwen_template(), TALK)
    assert f"<|im_start|>assistant\nI look.\n{CALL}<|im_end|>\n" in text.replace(
        "<think>\n\n</think>\n\n", ""
    )
    assert "<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>\n" in text
    made = tokenizer(qwen_template())
    tag = made.convert_tokens_to_ids("<tool_call>")
    calls = render_prompt(made, TALK).count(tag) - render_prompt(made, ASKED).count(tag)
    assert calls == 1, "the tag of a call is the control token that the model knows"
    assert '\n{"name": "f", "parameters": {"a": "é"}}<|im_end|>' in shown(BARE_CALLS, TALK)
    assert "<|im_start|>ipython\n3<|im_end|>" in shown(BARE_CALLS, TALK)
    ids = shown(TEXT_CALLS, TALK)
    assert '[000000000]f{"a": "é"}<|im_end|>' in ids and "<|im_start|>tool 000000000\n3" in ids


def test_other_templates_have_calls_as_text_and_answers_as_a_user_s_words() -> None:
    text = shown(PLAIN_TEMPLATE, (*TALK[:3], said("tool", "3"), said("tool", "4"), TALK[-1]))
    assert f"assistant\nI look.\n{CALL}<|im_end|>" in text
    both = "<tool_response>\n3\n</tool_response>\n<tool_response>\n4\n</tool_response>"
    assert f"<|im_start|>user\n{both}<|im_end|>" in text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (qwen_template(), CALL),
        (WITH_TOOLS, CALL),
        (None, CALL),
        (BARE_CALLS, '{"name": "f", "parameters": {"a": "é"}}'),
        (TEXT_CALLS, '[000000000]f{"a": "é"}'),
    ],
)
def test_a_reply_that_calls_is_learned_as_the_template_writes_it(template, text: str) -> None:
    made = tokenizer(template)
    ids = render_reply(made, CALL)
    assert decode_reply(made, ids) == text
    prompt = render_prompt(made, ASKED[1:])
    if template:
        turns = [{**ASKED[1]}, said("assistant", CALL), said("user", "?")]
        whole = render_prompt(made, turns)
        assert whole[: len(prompt) + len(ids)] == [*prompt, *ids] or "think" in template


def test_words_about_calls_are_words() -> None:
    for text in (
        f"{CALL} and more",
        "<tool_call>no</tool_call>",
        f"{CALL}, {CALL}",
        "</tool_call>",
    ):
        made = tokenizer(BARE_CALLS)
        assert decode_reply(made, render_reply(made, text)) == text
        assert text in shown(BARE_CALLS, (ASKED[1], said("assistant", text), ASKED[1]))


def test_earlier_thoughts_go_where_the_template_wants_them() -> None:
    reads = (
        "{% for m in messages %}{{ m.role }} {{ m.content }}"
        "{% if m.reasoning_content %} ({{ m.reasoning_content }}){% endif %};{% endfor %}"
    )
    talk = (ASKED[1], said("assistant", "<think>\nHm.\n</think>\n\nYes."), ASKED[1])
    assert shown(reads, talk) == "user Call f.;assistant Yes. (Hm.);user Call f.;"
    assert "Hm." not in shown(qwen_template(), talk) and "Yes." in shown(qwen_template(), talk)
