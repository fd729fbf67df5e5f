"""Rows of chats down to the tokens that SFT and DPO learn: what is masked, what is not."""

from pathlib import Path

import pytest
from chat_templates import BARE_CALLS, PLAIN_TEMPLATE, qwen_template, tokenizer
from made_chats import ALPACA, LOOK_UP, OPENAI, SHAREGPT, assistant, gpt, user
from made_logs import write_lines
from made_rows import built

from tesuji.datasets.files import read_pairs, read_rows
from tesuji.learners.pairs.tokens import tokenize_pairs
from tesuji.learners.sft.collate import SoftCollator, to_columns
from tesuji.learners.sft.tokens import tokenize
from tesuji.recipe.schema.sections import PromptSection

CALL = '<tool_call>\n{"name": "look_up", "arguments": {"name": "Petrov"}}\n</tool_call>'


def read_and_learned(folder: Path, row, template: str) -> list[tuple[str, str]]:
    """(what is only read, what is learned) of each training row, as the loss sees it."""
    logs = write_lines(folder / "logs" / "a.jsonl", [row])
    built(folder / "out", [logs], select={"seats": "all"})
    made = tokenizer(template)
    examples = list(read_rows(folder / "out" / "train.jsonl"))
    assert examples == [
        type(e)(e.prompt, e.reply, o.position, o.about)
        for e, o in zip(read_rows(logs), examples, strict=True)
    ]
    texts = []
    for tokens in tokenize(examples, made, max_length=4000).rows:
        batch = SoftCollator(0, trees=False)([to_columns(tokens)])
        learned = batch["target_ids"].tolist()
        ids = [*batch["input_ids"][0].tolist(), learned[-1]]
        assert ids[-len(learned) :] == learned
        both = (ids[: -len(learned)], learned)
        texts.append(tuple(made.decode(part, skip_special_tokens=False) for part in both))
    return texts


def test_a_reply_of_weight_zero_is_masked_and_the_other_is_learned(tmp_path: Path) -> None:
    talk = [user("Move?"), assistant("I resign.", weight=0), user("No."), assistant("e4", weight=1)]
    [(read, learned)] = read_and_learned(tmp_path, {"messages": talk}, PLAIN_TEMPLATE)
    assert learned == "e4<|im_end|>"
    assert "<|im_start|>assistant\nI resign.<|im_end|>" in read
    both = [{**message, "weight": None} for message in talk]
    found = read_and_learned(tmp_path / "both", {"messages": both}, PLAIN_TEMPLATE)
    assert [learned for _, learned in found] == ["I resign.<|im_end|>", "e4<|im_end|>"]


def test_system_and_history_are_read(tmp_path: Path) -> None:
    [(read, learned)] = read_and_learned(tmp_path, ALPACA, PLAIN_TEMPLATE)
    texts = ["You teach chess.", *ALPACA["history"][0], *ALPACA["history"][1], "After e4."]
    places = [read.index(text) for text in texts]
    assert places == sorted(places) and learned == "Play c5.<|im_end|>"


@pytest.mark.parametrize("row", [OPENAI, SHAREGPT], ids=["openai", "sharegpt"])
def test_tools_and_calls_are_written_by_the_models_own_template(tmp_path: Path, row) -> None:
    (first, call), (second, answer) = read_and_learned(tmp_path, row, qwen_template())
    made = tokenizer(qwen_template())
    asked = [{"role": "system", "content": "You teach chess."}, user("What is the Petrov?")]
    called = {"function": {"name": "look_up", "arguments": {"name": "Petrov"}}}
    talk = [
        *asked,
        assistant("", tool_calls=[called]),
        {"role": "tool", "content": "e4 e5 Nf3 Nf6"},
    ]
    options = {
        "tools": [{"type": "function", "function": LOOK_UP}],
        "add_generation_prompt": True,
        "enable_thinking": False,
        "tokenize": False,
    }
    assert first == made.apply_chat_template(asked, **options)
    assert second == made.apply_chat_template(talk, **options)
    assert call == f"{CALL}<|im_end|>"
    assert answer.endswith("It is e4 e5 Nf3 Nf6.<|im_end|>")
    assert ("The tool said so." in answer) == (row is OPENAI)
    (_, bare), _ = read_and_learned(tmp_path / "bare", row, BARE_CALLS)
    assert bare == '{"name": "look_up", "parameters": {"name": "Petrov"}}<|im_end|>'


def test_a_pair_prefers_a_reply_after_system_tools_and_history(tmp_path: Path) -> None:
    row = {key: ALPACA[key] for key in ("instruction", "input", "system", "history")}
    row |= {"tools": SHAREGPT["tools"], "chosen": gpt("c5"), "rejected": "a6"}
    pairs = list(read_pairs(write_lines(tmp_path / "a.jsonl", [row, {**row, "chosen": "a6"}])))
    made = tokenizer(qwen_template())
    found = tokenize_pairs(pairs, made, PromptSection(), 4000)
    [tokens] = found.rows
    assert found.dropped == {"same_replies": 1}
    assert made.decode(list(tokens.chosen_ids)) == "c5<|im_end|>"
    read = made.decode(list(tokens.prompt_ids))
    places = [read.index(text) for text in ("You teach", "<tools>", "Play e4.", "After e4.")]
    assert places == sorted(places)
