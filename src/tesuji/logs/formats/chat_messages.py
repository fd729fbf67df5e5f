"""Messages of other people's chats, whoever wrote them: who speaks, what is said, what is learned.

A message is `{"role", "content"}` or `{"from", "value"}`. What it holds beside its text is written
into the text, in the words that chat templates write, so that it goes wherever messages go:

    reasoning_content                    <think>...</think> in front
    tool_calls, role `function_call`     <tool_call>{"name", "arguments"}</tool_call> behind
    tools of a row                       a first message of role `tools`

`players/prompting` turns calls and tools back into what a model's own template takes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tesuji.core.types import Message
from tesuji.games.bfcl.calls import Call, write_calls
from tesuji.logs.base import Refused
from tesuji.logs.formats.chat_fields import Fields, from_json, json_list, kind_of, of_json, wrong
from tesuji.players.prompting.tool_prompt import ROLE as TOOLS

USER, ASSISTANT, SYSTEM, TOOL = "user", "assistant", "system", "tool"
CALLS = "function_call"  # a speaker of ShareGPT: the assistant, whose text is a call
SPEAKERS = {
    "human": USER, "user": USER, "gpt": ASSISTANT, "assistant": ASSISTANT, "model": ASSISTANT,
    "chatgpt": ASSISTANT, "bot": ASSISTANT, "ai": ASSISTANT, CALLS: ASSISTANT, "system": SYSTEM,
    "developer": SYSTEM, "tool": TOOL, "observation": TOOL, "function": TOOL, "ipython": TOOL,
    TOOLS: TOOLS,
}  # fmt: skip
SPOKEN = {"role", "from"}
THOUGHTS = ("reasoning_content", "reasoning", "thinking")
Talk = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A message, where it stands in its row, and whether it is to be learned if it is a reply."""

    message: Message
    path: str
    learned: bool = True

    @property
    def role(self) -> str:
        """Who speaks, as chat templates name it."""
        return self.message["role"]

    @property
    def content(self) -> str:
        """What is said, thoughts and calls included."""
        return self.message["content"]


def messages_in(value: Any, path: str, notes: set[str]) -> list[Said]:
    """A text as a user's message, or a list of messages (also as a JSON text), or one message.
    Raises Refused, naming the field."""
    if isinstance(value, str):
        if not value.strip():
            raise wrong(path, "an empty text")
        if (cell := written(value)) is None:
            return [Said(Message(role=USER, content=value), path)]
        value = cell
    if isinstance(value, Mapping):
        return [_message(value, path, notes)]
    items = json_list(value, path)
    if not items:
        raise Refused("no_reply", f"{path}: no messages")
    places = _answers_in_order(items)
    return [_message(items[place], f"{path}[{place}]", notes) for place in places]


def written(text: str) -> list[Any] | Mapping[str, Any] | None:
    """The messages, or the message, that a cell of a table holds as JSON; None for another text."""
    if not text.lstrip().startswith(("[{", "{")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    items = value if isinstance(value, list) else [value]
    spoken = all(isinstance(item, Mapping) and SPOKEN & item.keys() for item in items)
    return value if spoken else None


def unlearned(talk: Sequence[Said]) -> list[Said]:
    """The same messages as something that is only read."""
    return [replace(said, learned=False) for said in talk]


def reply(text: str, path: str, thought: Any = None) -> Said:
    """A reply that stands in a row by itself, with the thought before it, if that is a text."""
    content = text if not isinstance(thought, str) else with_thought(thought, text)
    return Said(Message(role=ASSISTANT, content=content), path)


def with_thought(thought: str, text: str) -> str:
    """A text with what was thought before it, unless it has that already."""
    if not thought.strip() or "</think>" in text:
        return text
    return f"<think>\n{thought.strip()}\n</think>\n\n{text}"


def with_head(talk: Sequence[Said], tools: str, system: str) -> list[Said]:
    """A conversation behind the tools and the system message of its row; what its own first
    messages say of either follows."""
    rest = list(talk)
    if rest and rest[0].role == TOOLS:
        tools = tools or tools_text(rest[0].content, rest[0].path)
        rest = rest[1:]
    systems = [system] if system else []
    while rest and rest[0].role == SYSTEM:
        if rest[0].content.strip() and rest[0].content not in systems:
            systems.append(rest[0].content)
        rest = rest[1:]
    texts = {TOOLS: tools, SYSTEM: "\n\n".join(systems)}
    head = [Said(Message(role=r, content=text), r, False) for r, text in texts.items() if text]
    return [*head, *rest]


def tools_text(value: Any, path: str) -> str:
    """The functions on offer as the content of a message of role `tools`; "" for none. Bare
    functions (`{"name": ...}`) get OpenAI's shape around them."""
    if not value or (isinstance(value, str) and not value.strip()):
        return ""
    value = _of_text(value)
    items = json_list([value] if isinstance(value, Mapping) else value, path)
    items = [_of_text(tool) for tool in items]
    for place, tool in enumerate(items):
        if not isinstance(tool, Mapping):
            raise wrong(f"{path}[{place}]", f"{kind_of(tool)} where a function should be")
    wrapped = [t if "function" in t or "name" not in t else _function(t) for t in items]
    with of_json(path):
        return json.dumps(wrapped, ensure_ascii=False) if wrapped else ""


def _of_text(value: Any) -> Any:
    """The object that a JSON text holds, else the value itself."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": dict(tool)}


WEIGHTS = ("weight", "train", "loss")  # as OpenAI, Axolotl and ms-swift call it


def check_order(talk: Sequence[Said]) -> None:
    """Users and assistant speak in turn, tools after the assistant, and the assistant last. Raises
    Refused: `wrong_order`, or `no_reply` where nobody answers the end."""
    before = ""
    for place, said in enumerate(talk):
        if said.role == before != TOOL or (said.role == TOOLS and place):
            raise Refused("wrong_order", f"{said.path}: {said.role} after {before or SYSTEM}")
        if said.role == TOOL and before not in (ASSISTANT, TOOL):
            raise Refused("wrong_order", f"{said.path}: a tool answers, and nobody called it")
        before = before if said.role == SYSTEM else said.role
    if not talk or talk[-1].role != ASSISTANT:
        last = f"{talk[-1].path}: the last message is of role {talk[-1].role}" if talk else "empty"
        raise Refused("no_reply", f"{last}, and the assistant does not reply")


def _message(item: Any, path: str, notes: set[str]) -> Said:
    if not isinstance(item, Mapping):
        raise wrong(path, f"{kind_of(item)} where a message should be")
    fields = Fields(item, path, notes)
    name, speaker = fields.first("role", "from")
    role = SPEAKERS.get(speaker.strip().lower()) if isinstance(speaker, str) else None
    if speaker is None:
        raise wrong(f"{path}.{name}", "nobody is named who speaks")
    if role is None:
        known = ", ".join(SPEAKERS)
        raise wrong(f"{path}.{name}", f"{_short(speaker)} is no speaker that is known ({known})")
    named, content = fields.first(*("value", "content") if name == "from" else ("content", "value"))
    if role == ASSISTANT:
        text = _assistant(fields, content, f"{path}.{named}", str(speaker).lower() == CALLS)
    elif role == TOOL and isinstance(content, Mapping):
        with of_json(f"{path}.{named}"):
            text = json.dumps(content, ensure_ascii=False)
    else:
        text = _text(content, f"{path}.{named}")
    if role == TOOL:
        fields.get("tool_call_id", "name")
    flag, weight = fields.first(*WEIGHTS)
    learned = _weight(weight, f"{path}.{flag}")
    if not learned:
        notes.add("weight_0")
    fields.note_unread()
    return Said(Message(role=role, content=text), path, learned)


def _assistant(fields: Fields, content: Any, path: str, is_call: bool) -> str:
    """All that the assistant says: thought, text, calls."""
    found = fields.get("tool_calls") or fields.get("function_call") or []
    listed = json_list(
        [found] if isinstance(found, Mapping) else found, f"{fields.path}.tool_calls"
    )
    calls = [_call(call, f"{fields.path}.tool_calls[{n}]") for n, call in enumerate(listed)]
    if is_call:
        text, calls = "", _calls_of_text(content, path)
    else:
        text = "" if content is None and calls else _text(content, path)
    with of_json(f"{fields.path}.tool_calls"):
        whole = "\n".join(part for part in (text, write_calls(calls)) if part)
    _, thought = fields.first(*THOUGHTS)
    if thought is not None and not isinstance(thought, str):
        raise wrong(f"{fields.path}.reasoning_content", f"{kind_of(thought)} instead of a text")
    return with_thought(thought or "", whole)


def _calls_of_text(content: Any, path: str) -> list[Call]:
    """The calls of ShareGPT's `function_call`: a JSON object, or several."""
    value = from_json(content, path, "a function call that is no JSON")
    items = value if isinstance(value, list) else [value]
    if not items:
        raise wrong(path, "a function call without a call")
    return [_call(item, path) for item in items]


def _call(item: Any, path: str) -> Call:
    about = item.get("function", item) if isinstance(item, Mapping) else None
    if not isinstance(about, Mapping) or not isinstance(about.get("name"), str):
        raise wrong(path, "a call names a function and gives arguments")
    arguments = about.get("arguments", about.get("parameters"))
    if isinstance(arguments, str):
        arguments = from_json(arguments.strip() or "{}", f"{path}.arguments", "no JSON")
    if arguments is not None and not isinstance(arguments, Mapping):
        raise wrong(f"{path}.arguments", f"{kind_of(arguments)} where an object should be")
    return about["name"], dict(arguments or {})


def _text(content: Any, path: str) -> str:
    """A message's text; parts of a text, as OpenAI writes them, are joined."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise wrong(path, f"{kind_of(content)} where a text should be")
    return "".join(_part(part, f"{path}[{place}]") for place, part in enumerate(content))


def _part(part: Any, path: str) -> str:
    if isinstance(part, str):
        return part
    text = part.get("text") if isinstance(part, Mapping) else None
    if not isinstance(text, str):
        what = part.get("type") if isinstance(part, Mapping) else kind_of(part)
        raise wrong(path, f"{_short(what)} is no text, and nothing else is learned here")
    return text


def _weight(value: Any, path: str) -> bool:
    if value is None:
        return True
    if value not in (0, 1) or not isinstance(value, int | float):
        raise wrong(path, "neither 0 nor 1")
    return bool(value)


def _answers_in_order(items: Sequence[Any]) -> list[int]:
    """Places of the messages, the answers of several calls in the order of the calls."""
    order: dict[str, int] = {}
    keys: list[tuple[int, int]] = []
    group = 0
    for place, item in enumerate(items):
        calls = item.get("tool_calls") if isinstance(item, Mapping) else None
        answers = item.get("tool_call_id") if isinstance(item, Mapping) else None
        if not isinstance(answers, str) or answers not in order:
            group, order = place, _ids(calls)
        keys.append((group, order.get(answers, -1) if isinstance(answers, str) else -1))
    return sorted(range(len(items)), key=keys.__getitem__)


def _ids(calls: Any) -> dict[str, int]:
    """id -> number of the calls that have one."""
    listed = calls if isinstance(calls, list) else []
    ids = [call.get("id") if isinstance(call, Mapping) else None for call in listed]
    return {name: number for number, name in enumerate(ids) if isinstance(name, str)}


def _short(value: Any) -> str:
    """A value in a message, if it is short."""
    return repr(value[:40]) if isinstance(value, str) else kind_of(value)
