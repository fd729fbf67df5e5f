"""Rows of conversations and of preferences, in the shapes that training sets come in.

    {"messages": [{"role", "content"}, ...]}                   OpenAI
    {"conversations": [{"from", "value"}, ...]}                ShareGPT
    {"prompt": ..., "response" | "completion": ...}            prompt a text or messages
    {"instruction": ..., "input": ..., "output": ...}          Alpaca
    {"prompt": ..., "chosen": ..., "rejected": ...}            a pair; also without the prompt

Each reply of the assistant becomes a turn that holds the messages before it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tesuji.core.types import Attempt, Episode, Found, Message, Move, Pair, Turn
from tesuji.logs.base import Importer, Record, Refused

SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "system": "system",
}
Talk = tuple[Message, ...]


class Chat(Importer):
    """One conversation."""

    kind = "chat"
    title = "chat, ShareGPT, prompt/response and instruction rows"

    def fits(self, value: Any) -> bool:
        """Whether it has the fields of one of the shapes."""
        if not isinstance(value, Mapping):
            return False
        replies = {"response", "completion"} & set(value)
        if isinstance(value.get("messages"), list) or isinstance(value.get("conversations"), list):
            return True
        return ("prompt" in value and bool(replies)) or {"instruction", "output"} <= set(value)

    def read(self, record: Record) -> Episode:
        """The conversation. Raises Refused: `wrong_type`, `no_reply`, `empty_reply`."""
        talk = _talk(record.value)
        turns = tuple(
            _turn(talk[:place], message["content"])
            for place, message in enumerate(talk)
            if message["role"] == "assistant" and place
        )
        if not turns:
            raise Refused("no_reply", "nothing that an assistant said to somebody")
        return Episode(
            game="chat",
            options={},
            seed=0,
            players=("",),
            turns=turns,
            returns=(float("nan"),),
            provenance={"kind": self.kind, "seat": 0, "outcome": ""},
        )


class Pairs(Importer):
    """One preference."""

    kind = "pairs"
    title = "prompt/chosen/rejected rows"

    def fits(self, value: Any) -> bool:
        """Whether it has a chosen and a rejected reply."""
        return isinstance(value, Mapping) and {"chosen", "rejected"} <= set(value)

    def read(self, record: Record) -> Pair:
        """The pair. Raises Refused: `wrong_type`, `empty_reply`, `equal_pair`."""
        row = record.value
        if not isinstance(row, Mapping):
            raise Refused("wrong_type", "a pair is a JSON object")
        common = _messages(row["prompt"]) if row.get("prompt") else None
        prompt, chosen = _side(row.get("chosen"), common)
        other, rejected = _side(row.get("rejected"), common)
        if prompt != other:
            raise Refused("wrong_type", "the two sides reply to different messages")
        if not prompt:
            raise Refused("wrong_type", "no prompt")
        if not chosen.strip() or not rejected.strip():
            raise Refused("empty_reply", "a reply without words")
        if chosen.strip() == rejected.strip():
            raise Refused("equal_pair", "chosen and rejected are the same")
        about = row.get("about")
        known = dict(about) if isinstance(about, Mapping) else {}
        return Pair(prompt, chosen, rejected, about={**known, "by": known.get("by", "log")})


def _talk(row: Any) -> Talk:
    if not isinstance(row, Mapping):
        raise Refused("wrong_type", "a row is a JSON object")
    for key in ("messages", "conversations"):
        if isinstance(row.get(key), list):
            return _messages(row[key])
    if "instruction" in row:
        question = "\n\n".join(_text(row.get(k)) for k in ("instruction", "input") if row.get(k))
        return (*_messages(question), _reply(_text(row.get("output"))))
    reply = row.get("response", row.get("completion"))
    prompt = _messages(row.get("prompt"))
    if isinstance(reply, list):
        return (*prompt, *_messages(reply))
    return (*prompt, _reply(_text(reply)))


def _side(value: Any, prompt: Talk | None) -> tuple[Talk, str]:
    """(the messages before, the reply) of one side of a pair."""
    if isinstance(value, str):
        return prompt or (), value
    talk = _messages(value)
    if not talk or talk[-1]["role"] != "assistant":
        raise Refused("wrong_type", "a side of a pair that does not end with a reply")
    before = talk[:-1]
    if prompt and before[: len(prompt)] != prompt:
        before = (*prompt, *before)
    return before, talk[-1]["content"]


def _messages(value: Any) -> Talk:
    if isinstance(value, str) and value.strip():
        return (Message(role="user", content=value),)
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Refused("wrong_type", "neither a text nor a list of messages")
    return tuple(_message(item) for item in value)


def _message(item: Any) -> Message:
    if not isinstance(item, Mapping):
        raise Refused("wrong_type", "a message is an object")
    speaker = SPEAKERS.get(str(item.get("role", item.get("from", ""))).lower())
    content = item.get("content", item.get("value"))
    if speaker is None or not isinstance(content, str):
        raise Refused("wrong_type", "a message has a role and a text")
    return Message(role=speaker, content=content)


def _reply(text: str) -> Message:
    return Message(role="assistant", content=text)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("wrong_type", f"{type(value).__name__} where a text should be")
    return value


def _turn(before: Talk, reply: str) -> Turn:
    if not reply.strip():
        raise Refused("empty_reply", "a reply without words")
    move = Move(-1, reply.strip())
    attempt = Attempt(reply=reply, found=Found.EXACT, move=move, prompt=before)
    observation = next((m["content"] for m in reversed(before) if m["role"] == "user"), "")
    return Turn(seat=0, role="", observation=observation, attempts=(attempt,), played=move)
