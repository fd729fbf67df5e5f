"""Rows of conversations and of preferences, in the shapes that training sets come in.

    {"messages": [{"role", "content"}, ...]}                        OpenAI
    {"conversations": [{"from", "value"}, ...]}                     ShareGPT
    {"prompt": ..., "response" | "completion": ...}                 prompt a text or messages
    {"instruction", "input", "output", "history": [[user, assistant], ...]}       Alpaca
    one of these, or nothing, with {"chosen": ..., "rejected": ...}               a pair
    one of these with {"label" | "kto_tag": true | false}           one reply, good or bad (KTO)

each with `system` and `tools`. Which shape a row has is decided by all its fields, never by one
that several have. A reply that is learned becomes a turn that holds the messages before it: every
one of a conversation but those of `weight` 0, the completion of a prompt, the output of an
instruction. What each field becomes: docs/data.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tesuji.core.types import Attempt, Episode, Found, Message, Move, Pair, Turn
from tesuji.logs.base import Importer, Record, Refused
from tesuji.logs.formats.chat_fields import Fields, json_list, kind_of, wrong
from tesuji.logs.formats.chat_messages import (
    ASSISTANT,
    SYSTEM,
    TOOL,
    TOOLS,
    USER,
    Said,
    Talk,
    check_order,
    messages_in,
    reply,
    tools_text,
    unlearned,
    with_head,
    written,
)

LISTS = ("messages", "conversations", "conversation")
ASKED = ("instruction", "prompt")
MOST_REPEATED = 32 << 20  # characters of the prompts that one conversation makes
OF_MESSAGE = 64  # characters that a message takes beside its text
REPLIES = ("completion", "response")
VERDICTS = ("label", "kto_tag")
GOOD = True, "true", "1", "1.0", "yes", "good", "desirable", "chosen"
BAD = False, "false", "0", "0.0", -1, "-1", "no", "bad", "undesirable", "rejected"


class Chat(Importer):
    """One conversation."""

    kind = "chat"
    title = "chat, ShareGPT, prompt/response and instruction rows"

    def fits(self, value: Any) -> bool:
        """Whether it has the fields of one of the shapes, and is no pair and no poker decision."""
        if not isinstance(value, Mapping) or _is_pair(value) or not _shape(value):
            return False
        from tesuji.logs.formats.pokerbench import PokerBench  # loads pokerkit

        return not PokerBench().fits(value)

    def read(self, record: Record) -> Episode:
        """The conversation. Raises Refused: `wrong_type`, `wrong_order`, `no_reply`, `no_prompt`,
        `empty_reply`, `undesirable`."""
        notes: set[str] = set()
        row = _fields(record.value, notes)
        _refuse_undesirable(row)
        talk = with_head(_conversation(row), *_head(row))
        row.get("about", "position")  # of our own rows
        row.note_unread()
        check_order(talk)
        turns = tuple(_turns(talk))
        if not turns:
            raise Refused("no_reply", "nothing to learn that an assistant said to somebody")
        return Episode(
            game="chat",
            options={},
            seed=0,
            players=("",),
            turns=turns,
            returns=(float("nan"),),
            provenance={
                "kind": self.kind,
                "seat": 0,
                "outcome": "",
                **({"notes": sorted(notes)} if notes else {}),
            },
        )


class Pairs(Importer):
    """One preference."""

    kind = "pairs"
    title = "prompt/chosen/rejected rows"

    def fits(self, value: Any) -> bool:
        """Whether it has a chosen and a rejected reply."""
        return isinstance(value, Mapping) and _is_pair(value)

    def read(self, record: Record) -> Pair:
        """The pair. Raises Refused as a chat's reading does, and `equal_pair`."""
        pair = read_pair(record.value)
        if not pair.chosen.strip() or not pair.rejected.strip():
            raise Refused("empty_reply", "a reply without words")
        if pair.chosen.strip() == pair.rejected.strip():
            raise Refused("equal_pair", "chosen and rejected are the same")
        return pair


def read_pair(value: Any) -> Pair:
    """The pair of a row, its replies perhaps equal or empty. Raises Refused."""
    notes: set[str] = set()
    row = _fields(value, notes)
    common = with_head(_asked(row), *_head(row))
    prompt, chosen = _side(row, "chosen", common)
    other, rejected = _side(row, "rejected", common)
    about = row.get("about", "position")
    row.note_unread()
    if prompt != other:
        raise wrong("rejected", "it replies to other messages than `chosen` does")
    known = dict(about) if isinstance(about, Mapping) else {}
    facts = {"notes": sorted(notes)} if notes else {}
    return Pair(prompt, chosen, rejected, about={**known, "by": known.get("by", "log"), **facts})


def _is_pair(row: Mapping[Any, Any]) -> bool:
    return {"chosen", "rejected"} <= row.keys()


def _shape(row: Mapping[Any, Any]) -> str:
    """Which field the conversation stands in; "" where there is none."""
    there = {name for name, value in row.items() if value is not None and value != ""}
    names = (*LISTS, *ASKED)
    if name := next((name for name in names if name in there), ""):
        return name
    named = next((name for name in names if name in row), "")
    return named or ("text" if isinstance(row.get("text"), str) else "")


def _fields(value: Any, notes: set[str]) -> Fields:
    if not isinstance(value, Mapping):
        raise Refused("wrong_type", f"{kind_of(value)} where a row, a JSON object, should be")
    return Fields(value, "", notes)


def _refuse_undesirable(row: Fields) -> None:
    """A reply that its row calls bad is none to imitate, and there is no other to prefer to it.
    A label that is neither true nor false is another thing's, and noted as unread."""
    for name in VERDICTS:
        value = row.value.get(name)
        word = value.strip().lower() if isinstance(value, str) else value
        if word in BAD:
            raise Refused("undesirable", f"{name}: a reply called bad (KTO) is not to be imitated")
        if word in GOOD:
            row.get(name)
            row.notes.add("called_good")
        elif name == "kto_tag" and word is not None:  # which says nothing else
            raise wrong(name, "neither true nor false")


def _head(row: Fields) -> tuple[str, str]:
    """(the tools of a row as a message's text, its system message)."""
    name, tools = row.first("tools", "functions")
    return tools_text(tools, name), row.text("system").strip() and row.text("system")


def _conversation(row: Fields) -> list[Said]:
    shape = _shape(row.value)
    if shape in LISTS:
        return messages_in(row.get(shape), shape, row.notes)
    if shape == "instruction":
        name, answer = row.first("output", *REPLIES)
        if not isinstance(answer, str):
            raise wrong(name, f"{kind_of(answer)} where a text should be")
        return [*_asked(row), reply(answer, name, _thought(row))]
    if shape == "prompt":
        return [*_asked(row), *_completion(row)]
    if shape == "text":
        raise Refused("no_prompt", "text: one text is no question and reply")
    raise Refused("wrong_type", f"none of {', '.join((*LISTS, *ASKED))} is there")


def _asked(row: Fields) -> list[Said]:
    """What a reply that stands beside it answers: read, not learned; nothing where only the
    replies are told."""
    if row.has("instruction"):
        parts = [row.text(name) for name in ("instruction", "input")]
        question = "\n\n".join(part for part in parts if part)
        if not question.strip():
            raise wrong("instruction", "an empty text")
        return [*_history(row), Said(Message(role=USER, content=question), "instruction", False)]
    if row.has("prompt", "question"):
        name, value = row.first("prompt", "question")
        return [*_history(row), *unlearned(messages_in(value, name, row.notes))]
    if name := next((name for name in LISTS if row.has(name)), ""):
        return unlearned(messages_in(row.get(name), name, row.notes))
    return []


def _completion(row: Fields) -> list[Said]:
    name, value = row.first(*REPLIES)
    if value is None:
        raise Refused("no_reply", f"{name}: nothing replies to the prompt")
    if isinstance(value, str) and written(value) is None:
        return [reply(value, name, _thought(row))]
    return messages_in(value, name, row.notes)


def _thought(row: Fields) -> Any:
    """What was thought before the one reply of a row."""
    return row.first("reasoning_content", "reasoning")[1]


def _history(row: Fields) -> list[Said]:
    """Earlier exchanges of a row: `[[user, assistant], ...]`, or messages."""
    value = row.get("history")
    if value is None or value == "":
        return []
    items = json_list(value, "history")
    if items and isinstance(items[0], Mapping):
        return unlearned(messages_in(items, "history", row.notes))
    told = []
    for place, item in enumerate(items):
        path = f"history[{place}]"
        if not isinstance(item, list | tuple) or len(item) != 2:
            raise wrong(path, "no pair of a question and a reply")
        if not all(isinstance(text, str) for text in item):
            raise wrong(path, "a question or a reply that is no text")
        roles = zip((USER, ASSISTANT), item, strict=True)
        told += [Said(Message(role=r, content=t), path, False) for r, t in roles]
    return told


def _side(row: Fields, name: str, common: Sequence[Said]) -> tuple[Talk, str]:
    """(the messages before, the reply) of one side of a pair, which may repeat the prompt."""
    value = row.get(name)
    is_text = isinstance(value, str) and written(value) is None
    talk = [reply(value, name)] if is_text else messages_in(value, name, row.notes)
    before, last = talk[:-1], talk[-1]
    if last.role != ASSISTANT:
        raise wrong(last.path, "a side of a pair that does not end with a reply")
    whole = [*_joined(common, before), last]
    if not _answers(whole[:-1]):
        raise Refused("no_prompt", f"{name}: a reply to nothing")
    check_order(whole)
    return tuple(said.message for said in whole[:-1]), last.content


def _joined(common: Sequence[Said], before: Sequence[Said]) -> list[Said]:
    """The prompt with what a side says before its reply, which may begin with that prompt, with or
    without the tools and the system message of the row."""
    head = [said for said in common if said.role in (TOOLS, SYSTEM)]
    body, own = [s.message for s in common[len(head) :]], [s.message for s in before]
    for start in (0, len(head)):
        known = [said.message for said in common[start:]]
        if known and own[: len(known)] == known:
            return [*common[:start], *before]
    if not body:
        return with_head(before, *(_content(head, role) for role in (TOOLS, SYSTEM)))
    return [*common, *before]


def _content(head: Sequence[Said], role: str) -> str:
    return next((said.content for said in head if said.role == role), "")


def _answers(before: Sequence[Said]) -> bool:
    return any(said.role in (USER, TOOL) for said in before)


def _turns(talk: Sequence[Said]) -> Iterator[Turn]:
    """A turn for each reply that is learned. Raises Refused: `too_large`, since each repeats all
    before it; `empty_reply`."""
    messages = tuple(said.message for said in talk)
    observation, asked, read, size = "", False, 0, 0
    for place, said in enumerate(talk):
        if said.role in (USER, TOOL):
            observation, asked = said.content if said.role == USER else observation, True
        if said.role == ASSISTANT and said.learned and asked:
            size += read
            if size > MOST_REPEATED:
                raise Refused("too_large", f"{said.path}: too many replies in one conversation")
            yield _turn(messages[:place], said, observation)
        read += len(said.content) + OF_MESSAGE


def _turn(prompt: Talk, said: Said, observation: str) -> Turn:
    text = said.content
    if not text.strip():
        raise Refused("empty_reply", f"{said.path}: a reply without words")
    move = Move(-1, text.strip())
    attempt = Attempt(reply=text, found=Found.EXACT, move=move, prompt=prompt)
    return Turn(seat=0, role="", observation=observation, attempts=(attempt,), played=move)
