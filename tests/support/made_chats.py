"""Rows of chats and preferences as the tools that write them do, for tests.

The shapes are those of LLaMA-Factory's data README (Alpaca, ShareGPT, preferences, `kto_tag`), of
OpenAI's fine-tuning files (`tool_calls`, `weight`, `tools`) and of TRL's data set formats.
"""

import json
from typing import Any

Row = dict[str, Any]

LOOK_UP = {
    "name": "look_up",
    "description": "Looks an opening up.",
    "parameters": {"type": "object", "properties": {"name": {"type": "string"}}},
}


def user(text: str) -> Row:
    return {"role": "user", "content": text}


def assistant(text: str | None, **more: Any) -> Row:
    return {"role": "assistant", "content": text, **more}


def human(text: str) -> Row:
    return {"from": "human", "value": text}


def gpt(text: str) -> Row:
    return {"from": "gpt", "value": text}


def call(arguments: Any, name: str = "look_up", id: str = "call_1") -> Row:
    """A call as OpenAI writes it, its arguments a JSON text."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


ALPACA: Row = {
    "instruction": "And as Black?",
    "input": "After e4.",
    "output": "Play c5.",
    "system": "You teach chess.",
    "history": [["A first move?", "Play e4."], ["Why?", "It takes the centre."]],
}
SHAREGPT: Row = {
    "conversations": [
        human("What is the Petrov?"),
        {"from": "function_call", "value": '{"name": "look_up", "arguments": {"name": "Petrov"}}'},
        {"from": "observation", "value": "e4 e5 Nf3 Nf6"},
        gpt("It is e4 e5 Nf3 Nf6."),
    ],
    "system": "You teach chess.",
    "tools": json.dumps([LOOK_UP]),
}
OPENAI: Row = {
    "messages": [
        {"role": "system", "content": "You teach chess."},
        user("What is the Petrov?"),
        assistant(None, tool_calls=[call('{"name": "Petrov"}')]),
        {"role": "tool", "tool_call_id": "call_1", "content": "e4 e5 Nf3 Nf6"},
        assistant("It is e4 e5 Nf3 Nf6.", reasoning_content="The tool said so.", weight=1),
    ],
    "tools": [{"type": "function", "function": LOOK_UP}],
}
CHATS: dict[str, Row] = {
    "alpaca": ALPACA,
    "alpaca, empty history": {**ALPACA, "history": [], "system": "", "input": ""},
    "alpaca, history null": {**ALPACA, "history": None, "system": None},
    "alpaca with a reward": {**ALPACA, "history": [], "reward": 0.5},
    "alpaca about poker": {**ALPACA, "instruction": "Poker. You hold As Ks. Your position?"},
    "sharegpt": SHAREGPT,
    "sharegpt with roles": {"conversations": [user("Why?"), assistant("So.")], "outcome": "win"},
    "openai": OPENAI,
    "openai in parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Why?"}]},
            assistant("So."),
        ]
    },
    "prompt and text": {"prompt": "Why?", "completion": "So."},
    "prompt and messages": {"prompt": [user("Why?")], "completion": [assistant("So.")]},
    "columns of several shapes": {
        "messages": "",
        "prompt": None,
        "instruction": "a",
        "output": "b",
    },
    "kto": {"messages": [user("Why?"), assistant("So.")], "label": False},
    "kto, trl": {"prompt": "Why?", "completion": "So.", "label": True},
    "kto, alpaca": {"instruction": "Why?", "input": "", "output": "So.", "kto_tag": True},
    "text": {"text": "Once upon a time."},
}
PAIRS: dict[str, Row] = {
    "texts": {"prompt": "Why?", "chosen": "So.", "rejected": "No."},
    "messages": {
        "prompt": [user("Why?")],
        "chosen": [assistant("So.")],
        "rejected": [assistant("No.")],
    },
    "whole conversations": {
        "chosen": [user("Why?"), assistant("So.")],
        "rejected": [user("Why?"), assistant("No.")],
    },
    "prompt told twice": {
        "prompt": "Why?",
        "chosen": [user("Why?"), assistant("So.")],
        "rejected": [user("Why?"), assistant("No.")],
    },
    "alpaca": {"instruction": "Why?", "input": "", "chosen": "So.", "rejected": "No."},
    "sharegpt": {
        "conversations": [human("Why?")],
        "chosen": gpt("So."),
        "rejected": gpt("No."),
    },
    "openai": {
        "messages": [user("Why?")],
        "chosen": assistant("So."),
        "rejected": assistant("No."),
    },
}
