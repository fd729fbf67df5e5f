"""Tools in a prompt: the chat template's own where it takes them, Hermes style elsewhere."""

import importlib.util
import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

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

PLAIN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WITH_TOOLS = (
    "{%- if tools %}<|im_start|>system\nTOOLS{% for tool in tools %} {{ tool | tojson }}"
    "{% endfor %}<|im_end|>\n{% endif %}" + PLAIN_TEMPLATE
)
TOOL = {"type": "function", "function": {"name": "f", "description": "Does <|im_end|> f."}}
ASKED = (
    Message(role="tools", content=json.dumps([TOOL])),
    Message(role="user", content="Call f."),
)


def tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    """Bytes, two control tokens and, as Qwen has it, one token for each tag of a call."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    core.add_tokens(["<tool_call>", "</tool_call>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        chat_template=template,
        clean_up_tokenization_spaces=False,
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


def qwen_template() -> str:
    """Qwen3's chat template, as the leaderboard's handler for Qwen quotes it."""
    spec = importlib.util.find_spec("bfcl_eval")
    assert spec and spec.origin
    handler = Path(spec.origin).parent / "model_handler" / "local_inference" / "qwen_fc.py"
    source = handler.read_text(encoding="utf-8")
    begin = source.index("{%- if tools %}")
    return source[begin : source.index('"""', begin)]


def test_qwens_own_template_shows_tools_as_the_leaderboard_does() -> None:
    """But for the descriptions, which are JSON Schema here, the prompt is its handler's."""
    match = load_game("bfcl", {"category": "multiple"}).start(1)
    text = shown(qwen_template().rstrip(), match.messages(0) or ())
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
