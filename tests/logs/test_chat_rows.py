"""Rows of chats and preferences: which shape a row has, what becomes of each of its fields."""

import csv
import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from made_chats import (
    ALPACA,
    CHATS,
    LOOK_UP,
    OPENAI,
    PAIRS,
    SHAREGPT,
    assistant,
    call,
    gpt,
    human,
    user,
)
from made_logs import game, older, row, write, write_lines

from tesuji.core.types import Pair, Turn
from tesuji.datasets.files import read_pairs
from tesuji.episodes.store import episode_to_row, read_episodes
from tesuji.logs.base import Record, Refused
from tesuji.logs.importing import import_logs
from tesuji.logs.registry import KINDS, importer, importer_for

CALL = '<tool_call>\n{"name": "look_up", "arguments": {"name": "Petrov"}}\n</tool_call>'
TOOLS = {"role": "tools", "content": json.dumps([{"type": "function", "function": LOOK_UP}])}


def turns(value: Any) -> tuple[Turn, ...]:
    """The replies that are learned from a row, read without the net of the import."""
    return importer("chat").read(Record(value, "a.jsonl", 1)).turns


def learned(value: Any) -> list[tuple[list[dict[str, Any]], str]]:
    """(prompt, reply) of each."""
    attempts = [turn.attempts[0] for turn in turns(value)]
    return [([dict(message) for message in a.prompt], a.reply) for a in attempts]


def pair(value: Any) -> Pair:
    found = importer("pairs").read(Record(value, "a.jsonl", 1))
    assert isinstance(found, Pair)
    return found


def notes(value: Any) -> list[str]:
    return importer("chat").read(Record(value, "a.jsonl", 1)).provenance.get("notes", [])


def refusal(value: Any, kind: str = "chat") -> str:
    with pytest.raises(Refused) as refused:
        importer(kind).read(Record(value, "a.jsonl", 1))
    return str(refused.value)


def own_episode() -> dict[str, Any]:
    return episode_to_row(importer("mafia").read(Record(game(), "a.json")))


OTHERS = {
    "mafia": [game(), older(), older(history=[])],
    "mgc": [row()],
    "textarena": [{"env_id": "x", "logs": [[-1, "x"]], "rewards": {"0": 1}, "history": []}],
    "episodes": [own_episode()],
    "pokerbench": [
        {"instruction": "Poker. You hold As Ks. Decide.", "output": "fold"},
        {"prev_line": "", "hero_pos": "BTN", "hero_holding": "AsKs", "correct_decision": "fold"},
    ],
    "chat": list(CHATS.values()),
    "pairs": [*PAIRS.values(), {**ALPACA, **PAIRS["texts"]}],
}


@pytest.mark.parametrize("kind", sorted(OTHERS))
def test_every_row_is_claimed_by_one_format(kind: str) -> None:
    for value in OTHERS[kind]:
        claims = [k for k in KINDS if importer(k).reads == "value" and importer(k).fits(value)]
        assert claims == [kind], value
        found = importer_for(value, "value", likely=("mafia",))
        assert found is not None and found.kind == kind


@pytest.mark.parametrize(
    "more",
    [{"system": "s"}, {"history": [["a", "b"]]}, {"kto_tag": False}, {"label": True}],
    ids=lambda more: next(iter(more)),
)
def test_more_than_a_decision_is_no_row_of_pokerbench(more) -> None:
    value = {"instruction": "Poker. You hold As Ks. Decide.", "output": "fold", **more}
    found = importer_for(value, "value")
    assert found is not None and found.kind == "chat"


def test_the_history_and_system_of_alpaca_are_read_and_only_its_output_is_learned() -> None:
    [(prompt, reply)] = learned(ALPACA)
    assert [message["role"] for message in prompt] == ["system", *["user", "assistant"] * 2, "user"]
    assert [message["content"] for message in prompt[1:5]] == [
        text for exchange in ALPACA["history"] for text in exchange
    ]
    assert prompt[0]["content"] == "You teach chess."
    assert (prompt[-1]["content"], reply) == ("And as Black?\n\nAfter e4.", "Play c5.")
    for name in ("alpaca, empty history", "alpaca, history null"):
        [(prompt, reply)] = learned(CHATS[name])
        assert [message["role"] for message in prompt] == ["user"] and reply == "Play c5."
    asked = {**ALPACA, "history": [user("A first move?"), assistant("Play e4.")]}
    assert [m["role"] for m in learned(asked)[0][0]] == ["system", "user", "assistant", "user"]


def test_system_tools_and_calls_of_sharegpt() -> None:
    (first, calling), (second, answer) = learned(SHAREGPT)
    system, question = (
        {"role": "system", "content": "You teach chess."},
        user("What is the Petrov?"),
    )
    assert first == [TOOLS, system, question] and calling == CALL
    tool = {"role": "tool", "content": "e4 e5 Nf3 Nf6"}
    assert second == [*first, assistant(CALL), tool] and answer == "It is e4 e5 Nf3 Nf6."
    several = json.dumps([{"name": "a", "arguments": {}}, {"name": "b", "arguments": "{}"}])
    share = {"conversations": [human("?"), {"from": "function_call", "value": several}]}
    assert learned(share)[0][1].count("<tool_call>") == 2


@pytest.mark.parametrize("tools", [{"name": "f"}, '{"name": "f"}', ['{"name": "f"}']])
def test_tools_are_read_as_objects_and_as_texts_of_them(tools: Any) -> None:
    [(prompt, _)] = learned({**chat(user("?"), assistant("!")), "tools": tools})
    wrapped = [{"type": "function", "function": {"name": "f"}}]
    assert prompt[0]["role"] == "tools" and json.loads(prompt[0]["content"]) == wrapped


def test_the_answer_of_a_tool_may_be_an_object() -> None:
    called = assistant(None, tool_calls=[call("{}")])
    value = chat(user("?"), called, {"role": "tool", "content": {"best": "e5"}}, assistant("!"))
    assert learned(value)[1][0][-1] == {"role": "tool", "content": '{"best": "e5"}'}


@pytest.mark.parametrize(
    "more",
    [
        {"history": [], "outcome": "win", "reward": 1, "game_id": "g"},
        {"history": [{"observation": "o", "response": "r"}]},
    ],
)
def test_a_history_does_not_make_a_log_of_a_row(more: dict[str, Any]) -> None:
    found = importer_for({"instruction": "Why?", "output": "So.", **more}, "value")
    assert found is not None and found.kind == "chat"


def test_calls_and_reasoning_of_openai_stand_in_the_replies() -> None:
    (first, calling), (_, answer) = learned(OPENAI)
    assert learned(SHAREGPT)[0] == (first, calling)
    assert answer == "<think>\nThe tool said so.\n</think>\n\nIt is e4 e5 Nf3 Nf6."
    assert notes(OPENAI) == []
    beside = [user("?"), assistant("I look.", tool_calls=[call({"name": "Petrov"})])]
    assert learned({"messages": beside})[0][1] == f"I look.\n{CALL}"
    older_shape = [user("?"), assistant("", function_call=call("{}")["function"])]
    functions = {"messages": older_shape, "functions": [LOOK_UP]}
    assert learned(functions)[0][0][0] == TOOLS
    assert learned({**CHATS["prompt and text"], "reasoning_content": "Hm."})[0][1].startswith(
        "<think>\nHm.\n</think>\n\n"
    )


def test_answers_of_several_calls_stand_in_the_order_of_the_calls() -> None:
    talk = [
        user("?"),
        assistant(None, tool_calls=[call("{}", "a", "x"), call("{}", "b", "y")]),
        {"role": "tool", "tool_call_id": "y", "content": "of b"},
        {"role": "tool", "tool_call_id": "x", "content": "of a"},
        assistant("Done."),
    ]
    prompt = learned({"messages": talk})[1][0]
    assert [m["content"] for m in prompt if m["role"] == "tool"] == ["of a", "of b"]


@pytest.mark.parametrize("flag", ["weight", "train", "loss"])
def test_replies_of_weight_zero_are_read_and_not_learned(flag: str) -> None:
    first, second = assistant("Resign.", **{flag: 0}), assistant("e4", **{flag: True})
    talk = [user("Move?"), first, user("No."), second]
    [(prompt, reply)] = learned({"messages": talk})
    assert reply == "e4" and [m["content"] for m in prompt] == ["Move?", "Resign.", "No."]
    assert notes({"messages": talk}) == ["weight_0"]
    nothing = {"messages": [user("Move?"), assistant("Resign.", weight=False)]}
    assert refusal(nothing).startswith("no_reply")
    half = {"messages": [user("Move?"), assistant("Resign.", weight=0.5)]}
    assert refusal(half) == "wrong_type: messages[1].weight: neither 0 nor 1"


def test_only_the_completion_of_a_prompt_is_learned() -> None:
    asked = [user("Move?"), assistant("a3"), user("Better?")]
    told = [
        assistant("e4", tool_calls=[call("{}")]),
        {"role": "tool", "content": "+0.3"},
        assistant("e4"),
    ]
    assert [len(prompt) for prompt, _ in learned({"prompt": asked, "completion": told})] == [3, 5]


def test_system_messages_of_row_and_conversation_both_stand() -> None:
    talk = [{"role": "developer", "content": "Be brief."}, user("?"), assistant("!")]
    [(prompt, _)] = learned({"messages": talk, "system": "You teach."})
    assert prompt == [{"role": "system", "content": "You teach.\n\nBe brief."}, user("?")]


def test_fields_that_nobody_reads_are_counted(tmp_path: Path) -> None:
    rows = [
        {**CHATS["openai in parts"], "id": 7, "source": "x", "extra": None},
        {**CHATS["openai in parts"], "id": 8, "label": "openings"},
        {"messages": [{**user("?"), "name": "bo"}, assistant("!", refusal=None, audio={"id": 1})]},
        {**PAIRS["prompt told twice"], "score_chosen": 8.0, "messages": [user("?")]},
    ]
    write_lines(tmp_path / "logs" / "a.jsonl", rows)
    summary = import_logs([tmp_path / "logs"], tmp_path / "out")
    assert summary.accepted == 4
    assert summary.notes == {
        "unread id": 2,
        "unread source": 1,
        "unread label": 1,
        "unread messages[].name": 1,
        "unread messages[].audio": 1,
        "unread score_chosen": 1,
        "unread messages": 1,
    }


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_pairs_of_every_shape(name: str) -> None:
    found = pair(PAIRS[name])
    assert ([dict(m) for m in found.prompt], found.chosen, found.rejected) == (
        [user("Why?")], "So.", "No."
    )  # fmt: skip
    assert refusal({**PAIRS[name], "rejected": PAIRS[name]["chosen"]}, "pairs").startswith("equal_")


def test_the_prompt_of_a_pair_has_system_history_and_tools() -> None:
    head = {key: ALPACA[key] for key in ("instruction", "input", "system", "history")}
    found = pair({**head, "tools": SHAREGPT["tools"], "chosen": "c5", "rejected": gpt("a6")})
    assert [dict(m) for m in found.prompt] == [TOOLS, *learned(ALPACA)[0][0]]
    share = {**SHAREGPT, "conversations": SHAREGPT["conversations"][:3]}
    found = pair({**share, "chosen": gpt("So."), "rejected": SHAREGPT["conversations"][1]})
    assert [dict(m) for m in found.prompt] == learned(SHAREGPT)[1][0] and found.rejected == CALL
    whole = {**PAIRS["whole conversations"], "system": "Be brief."}
    assert [m["role"] for m in pair(whole).prompt] == ["system", "user"]
    twice = {**PAIRS["prompt told twice"], "system": "Be brief."}
    assert pair(twice).prompt == pair(whole).prompt


@pytest.mark.parametrize("label", [False, 0, 0.0, -1, "false", "False", "0", "bad", "Undesirable"])
@pytest.mark.parametrize("field", ["label", "kto_tag"])
@pytest.mark.parametrize("name", ["kto", "kto, trl", "kto, alpaca", "sharegpt", "alpaca"])
def test_a_reply_called_bad_is_never_one_to_imitate(name: str, field: str, label) -> None:
    value = {k: v for k, v in CHATS[name].items() if k not in ("label", "kto_tag")}
    assert refusal({**value, field: label}).startswith(f"undesirable: {field}")


@pytest.mark.parametrize("label", [True, 1, 1.0, "true", "good"])
def test_a_reply_called_good_is_a_row_like_another(label) -> None:
    value = {**CHATS["kto"], "label": label}
    assert learned(value) == [([user("Why?")], "So.")] and notes(value) == ["called_good"]


@pytest.mark.parametrize("name", ["output", "response", "completion"])
def test_the_reply_to_an_instruction_has_several_names(name: str) -> None:
    value = {"instruction": "Which square?", "input": "An empty board.", name: "e5"}
    asked = [{"role": "user", "content": "Which square?\n\nAn empty board."}]
    assert learned(value) == [(asked, "e5")]
    assert notes({**value, "context": "of another"}) == ["unread context"]


def chat(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (chat(), "no_reply: messages: no messages"),
        ({"messages": None}, "wrong_type: messages: nothing where a list should be"),
        ({"messages": 3}, "wrong_type: messages: a number where a list should be"),
        (chat("hi"), "wrong_type: messages[0]: a text where a message should be"),
        (chat(user("?"), assistant(None)), "wrong_type: messages[1].content: nothing where a text"),
        (chat(user("?"), assistant(4)), "wrong_type: messages[1].content: a number where a text"),
        (chat(user("?"), assistant(" ")), "empty_reply"),
        (chat({"content": "?"}), "wrong_type: messages[0].role: nobody is named"),
        (chat({"role": 5, "content": "?"}), "wrong_type: messages[0].role: a number is no speaker"),
        (
            {"conversations": [human("?"), {"from": "narrator", "value": "!"}]},
            "wrong_type: conversations[1].from: 'narrator' is no speaker",
        ),
        ({"conversations": [human("?"), {"from": "gpt"}]}, "wrong_type: conversations[1].value"),
        (chat(user("?"), user("?"), assistant("!")), "wrong_order: messages[1]: user after user"),
        (chat(user("?"), assistant("!"), assistant("!")), "wrong_order: messages[2]: assistant"),
        (chat(user("?"), {"role": "tool", "content": "x"}, assistant("!")), "wrong_order: mess"),
        (chat(user("?"), assistant("!"), user("?")), "no_reply: messages[2]: the last message"),
        (chat(assistant("Hello.")), "no_reply"),
        (chat({"role": "system", "content": "S"}), "no_reply: system: the last message"),
        (chat(user("?"), assistant("!", tool_calls=3)), "wrong_type: messages[1].tool_calls"),
        (chat(user("?"), assistant("!", tool_calls=[{}])), "wrong_type: messages[1].tool_calls[0]"),
        (
            chat(user("?"), assistant("!", tool_calls=[call("{")])),
            "wrong_type: messages[1].tool_calls[0].arguments: no JSON",
        ),
        (
            chat(user("?"), assistant("!", tool_calls=[call("[1]")])),
            "wrong_type: messages[1].tool_calls[0].arguments: a list where an object",
        ),
        (
            chat(user([{"type": "image_url", "image_url": {}}]), assistant("!")),
            "wrong_type: messages[0].content[0]: 'image_url' is no text",
        ),
        ({**OPENAI, "tools": "none"}, "wrong_type: tools: a text that is no JSON"),
        ({**OPENAI, "tools": [3]}, "wrong_type: tools[0]: a number where a function"),
        ({**OPENAI, "system": 3}, "wrong_type: system: a number where a text"),
        ({**ALPACA, "output": None}, "wrong_type: output: nothing where a text"),
        ({**ALPACA, "instruction": "", "input": ""}, "wrong_type: instruction: an empty text"),
        ({**ALPACA, "history": "x"}, "wrong_type: history: a text that is no JSON"),
        ({**ALPACA, "history": [["a"]]}, "wrong_type: history[0]: no pair"),
        ({**ALPACA, "history": [["a", None]]}, "wrong_type: history[0]: a question or a reply"),
        ({**ALPACA, "kto_tag": "so-so"}, "wrong_type: kto_tag: neither true nor false"),
        ({**ALPACA, "history": [{"user": "a"}]}, "wrong_type: history[0].role: nobody is named"),
        ({"prompt": "Why?"}, "no_reply: completion: nothing replies to the prompt"),
        ({"prompt": " ", "completion": "!"}, "wrong_type: prompt: an empty text"),
        ({"prompt": 3, "completion": "!"}, "wrong_type: prompt: a number where a list"),
        (CHATS["text"], "no_prompt: text"),
        ([], "wrong_type: a list where a row"),
    ],
)
def test_a_refusal_names_the_field(value, words: str) -> None:
    assert refusal(value).startswith(words)


def test_what_a_table_holds_and_json_does_not_is_refused() -> None:
    for value in (b"x", datetime.date(2025, 1, 2)):
        assert refusal({**OPENAI, "tools": [{"name": value}]}).startswith("wrong_type: tools: no J")
        talk = chat(user("?"), assistant("", tool_calls=[call({"day": value})]))
        assert refusal(talk).startswith("wrong_type: messages[1].tool_calls: no JSON")


def test_a_conversation_whose_rows_would_fill_the_disk_is_refused() -> None:
    exchange = [user("a" * 40), assistant("b" * 40)]
    assert len(turns(chat(*exchange * 500))) == 500
    assert refusal(chat(*exchange * 5000)).startswith("too_large: messages[")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"chosen": "a", "rejected": "b"}, "no_prompt: chosen: a reply to nothing"),
        ({"prompt": "?", "chosen": None, "rejected": "b"}, "wrong_type: chosen: nothing where"),
        (
            {"prompt": "?", "chosen": "a", "rejected": [user("b")]},
            "wrong_type: rejected[0]: a side",
        ),
        ({"prompt": "?", "chosen": "a", "rejected": []}, "no_reply: rejected: no messages"),
        ({"prompt": "?", "chosen": "a", "rejected": " "}, "empty_reply"),
        (
            {"prompt": [user("?"), assistant("!")], "chosen": "a", "rejected": "b"},
            "wrong_order: chosen: assistant after assistant",
        ),
    ],
)
def test_a_refused_pair_names_the_field(value, words: str) -> None:
    assert refusal(value, "pairs").startswith(words)


def as_file(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, sorted({name for row in rows for name in row}))
            table.writeheader()
            for line in rows:
                cells = {k: v if isinstance(v, str) else json.dumps(v) for k, v in line.items()}
                table.writerow(cells)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        write_lines(path, rows)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet", "csv"])
def test_the_same_rows_from_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    rows = [ALPACA, {**ALPACA, "history": []}, OPENAI, SHAREGPT]
    for number, value in enumerate(rows):
        as_file(tmp_path / f"{number}.{suffix}", [value])
    as_file(tmp_path / f"pair.{suffix}", [PAIRS["sharegpt"]])
    out = tmp_path / "out"
    summary = import_logs([tmp_path], out)
    assert (summary.by_kind, summary.rejected) == ({"chat": 4, "pairs": 1}, 0)
    found = [episode.turns for episode in read_episodes(out / "episodes.jsonl")]
    assert found == [turns(value) for value in rows]
    assert [p.chosen for p in read_pairs(out / "pairs.jsonl")] == ["So."]


def test_games_in_envelopes_and_lists_in_lists(tmp_path: Path) -> None:
    games = [game(game_id=f"g{n}") for n in range(3)]
    write(tmp_path / "logs" / "a.json", {"games": games[:2], "written_by": "a script"})
    write(tmp_path / "logs" / "b.json", [[games[0]], [games[1], [games[2]]]])
    write_lines(tmp_path / "logs" / "c.jsonl", [games[:2], {"games": games[:1]}, [], {"games": []}])
    write(tmp_path / "logs" / "d.json", [[[]]])
    out = tmp_path / "out"
    summary = import_logs([tmp_path / "logs"], out)
    found = [episode.provenance for episode in read_episodes(out / "episodes.jsonl")]
    assert [(Path(p["file"]).stem, p["match"], p["line"]) for p in found] == [
        ("a", "g0", 1), ("a", "g1", 2), ("b", "g0", 1), ("b", "g1", 2), ("b", "g2", 3),
        ("c", "g0", 1), ("c", "g1", 1), ("c", "g0", 2),
    ]  # fmt: skip
    assert summary.rejected_by_reason == {"unknown_kind": 3}
