"""Functions on offer, for models to call: as a chat template takes them, or in Hermes style.

They travel as the first message of a conversation, of role `tools`, whose content is a JSON list in
OpenAI's shape (`{"type": "function", "function": {...}}`). So whatever keeps messages keeps them:
recorded games, rows to train on, the tokens of both. Calls stand at the end of the reply that makes
them, in Hermes blocks (`games/bfcl/calls.py`), and what they came to in messages of role `tool`. A
template that has places of its own for calls and answers gets them there.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.types import Message
from tesuji.games.bfcl.calls import CLOSE, OPEN, Call, read_calls
from tesuji.players.prompting.parse_reply import split_thought

ROLE, ANSWER = "tools", "tool"
Given = dict[str, Any]  # a message as a template takes it, with more than its role and text

HERMES = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


def split_tools(
    messages: Sequence[Message],
) -> tuple[list[dict[str, Any]] | None, list[Message]]:
    """(the tools of a leading message of role `tools`, None where there is none; the others).

    Raises DataError where that message holds no JSON list of objects.
    """
    if not messages or messages[0]["role"] != ROLE:
        return None, list(messages)
    try:
        tools = json.loads(messages[0]["content"])
    except ValueError as error:
        raise DataError(f"the message of role {ROLE} is not JSON: {error}") from error
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise DataError(f"the message of role {ROLE} must hold a JSON list of objects")
    return tools, list(messages[1:])


def takes_tools(template: str) -> bool:
    """Whether a chat template reads a variable `tools`."""
    return bool(re.search(r"\{%[^%]*\btools\b", template))


def in_hermes_style(tools: Sequence[dict[str, Any]], messages: Sequence[Message]) -> list[Message]:
    """The same conversation with the tools described in its system message, after what that says
    already; the wording is that of Qwen's own templates."""
    text = HERMES.format(tools="\n".join(json.dumps(tool) for tool in tools))
    if messages and messages[0]["role"] == "system":
        system = messages[0]["content"]
        return [Message(role="system", content=f"{system}\n\n{text}"), *messages[1:]]
    return [Message(role="system", content=text), *messages]


def in_plain_words(messages: Sequence[Message]) -> list[Given]:
    """The conversation for a reader that knows no role but system, user and assistant."""
    tools, others = split_tools(messages)
    return next(forms("", in_hermes_style(tools, others) if tools is not None else others))


def calls_at_end(text: str) -> tuple[str, tuple[Call, ...]]:
    """(the text before, the calls) of a reply that ends with calls and nothing else; (the text, no
    calls) for any other."""
    start = text.find(OPEN)
    read = read_calls(text[start:]) if start >= 0 and text.endswith(CLOSE) else None
    if read is None or read.broken or _between(text[start:]).strip():
        return text, ()
    return text[:start].removesuffix("\n"), read.calls


def _between(blocks: str) -> str:
    """What stands between the blocks of calls."""
    return "".join(part.partition(CLOSE)[2] for part in blocks.split(OPEN))


def forms(template: str, messages: Sequence[Message]) -> Iterator[list[Given]]:
    """The conversation as a template may take it, the best form first: calls in places of their own
    where the template reads `tool_calls`, their arguments as objects, else as JSON texts; and with
    the calls in the text. Answers of tools become a user's words where it knows no role `tool`."""
    readable = (
        messages if re.search(rf"['\"]{ANSWER}['\"]", template) else _answers_as_text(messages)
    )
    calling = any(m["role"] == "assistant" and calls_at_end(m["content"])[1] for m in readable)
    if calling and "tool_calls" in template:
        for write in (dict, _as_text):
            yield _numbered([_given(message, template, write) for message in readable])
    yield [_thoughtful(message, template) for message in readable]


def _as_text(arguments: dict[str, Any]) -> str:
    return json.dumps(arguments, ensure_ascii=False)


def _given(message: Message, template: str, write: Callable[[dict[str, Any]], Any]) -> Given:
    text, calls = calls_at_end(message["content"]) if message["role"] == "assistant" else ("", ())
    if not calls:
        return _thoughtful(message, template)
    functions = [{"name": name, "arguments": write(arguments)} for name, arguments in calls]
    listed = [{"type": "function", "function": function} for function in functions]
    reply = _thoughtful(Message(role="assistant", content=text), template)
    return {**reply, "tool_calls": listed}


def _thoughtful(message: Message, template: str) -> Given:
    """A reply's thought in a place of its own, where the template has one."""
    text = message["content"]
    apart = "reasoning_content" in template and "</think>" in text
    if message["role"] != "assistant" or not apart:
        return {**message}
    thought, words = split_thought(text)
    return {"role": "assistant", "content": words, "reasoning_content": thought}


def _numbered(messages: list[Given]) -> list[Given]:
    """Calls with ids (of nine digits, as one family of models demands), answers with the id and the
    name of their call."""
    waiting: list[Given] = []
    count = 0
    for message in messages:
        if calls := message.get("tool_calls"):
            waiting = list(calls)
            for number, call in enumerate(calls, start=count):
                call["id"] = f"{number:09d}"
            count += len(calls)
        if message["role"] == ANSWER and waiting:
            call = waiting.pop(0)
            message |= {"tool_call_id": call["id"], "name": call["function"]["name"]}
    return messages


def _answers_as_text(messages: Sequence[Message]) -> list[Message]:
    """The answers of tools as Qwen's templates put them, those that follow each other together."""
    rewritten: list[Message] = []
    after_answer = False
    for message in messages:
        is_answer = message["role"] == ANSWER
        if not is_answer:
            rewritten.append(message)
        else:
            text = f"<tool_response>\n{message['content']}\n</tool_response>"
            before = f"{rewritten.pop()['content']}\n" if after_answer else ""
            rewritten.append(Message(role="user", content=before + text))
        after_answer = is_answer
    return rewritten
