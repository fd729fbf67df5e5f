"""A tokenizer as GGUF knows it: byte-level BPE (GPT-2's kind), with the name of its way to split.

llama.cpp has the ways to split a text before the merges built in, each under a name
(`tokenizer.ggml.pre`): one that it has no name for cannot be written.
"""

import json
from typing import Any

from tesuji.core.errors import EngineError
from tesuji.core.files import read_beside
from tesuji.players.prompting.chat_template import end_of_reply

NO_MERGE = "ÿ ÿ"  # no file is read without merges; no text in UTF-8 has this byte


def add_tokens(writer: Any, tokenizer: Any, size: int) -> None:
    """Write the vocabulary, `size` tokens long, merges, special tokens and the template. Raises
    EngineError for a tokenizer of another kind."""
    core = json.loads(tokenizer.backend_tokenizer.to_str())
    pre = way_to_split(core, str(tokenizer.name_or_path))
    tokens, kinds = _vocabulary(tokenizer, size)
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in core["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges or [NO_MERGE])
    writer.add_add_bos_token(tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id])
    writer.add_add_space_prefix(False)
    writer.add_eot_token_id(end_of_reply(tokenizer))
    for name, number in (("bos", tokenizer.bos_token_id), ("eos", tokenizer.eos_token_id),
                         ("pad", tokenizer.pad_token_id)):  # fmt: skip
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(number)
    if tokenizer.chat_template:
        writer.add_chat_template(str(tokenizer.chat_template))


def way_to_split(core: dict[str, Any], source: str) -> str:
    """llama.cpp's name for the way in which this tokenizer.json splits a text."""
    model, split = core["model"], core.get("pre_tokenizer")
    if model["type"] == "BPE" and not model.get("byte_fallback"):
        for name, known in read_beside(__file__, "splits.yaml").items():
            if _plain(split) == known:
                return str(name)
        if _plain(split) == [{"ByteLevel": False}] and not model["merges"]:
            return "gpt-2"  # every byte is a token: there is nothing to split for
    raise EngineError(
        f"its tokenizer ({model['type']}) splits texts in a way that llama.cpp has no name for",
        where=source,
        hint="export --to safetensors; llama.cpp's own convert_hf_to_gguf.py knows more kinds",
    )


def _plain(split: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The steps of a pre-tokenizer, each as its name and what it depends on."""
    steps = split.get("pretokenizers", [split]) if split else []
    what = {"ByteLevel": "use_regex", "Digits": "individual_digits"}
    return [
        {step["type"]: step["pattern"].get("Regex")}
        if step["type"] == "Split"
        else {step["type"]: step.get(what.get(step["type"], ""))}
        for step in steps
    ]


def _vocabulary(tokenizer: Any, size: int) -> tuple[list[str], list[int]]:
    """Token and kind by id; ids of the model that no token has are filled up."""
    from gguf import TokenType

    names = {number: token for token, number in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    tokens = [names.get(number, f"[PAD{number}]") for number in range(size)]
    kinds = [TokenType.NORMAL if number in names else TokenType.UNUSED for number in range(size)]
    for number, token in added.items():
        kinds[number] = TokenType.CONTROL if token.special else TokenType.USER_DEFINED
    return tokens, kinds
