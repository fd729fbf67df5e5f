"""The lines of Python on a model's card: transformers alone, no Tesuji.

Where the game lists its legal moves, the reply is limited to them, token by token, as
`sampling.legal_only` does. A greedy reply that is legal anyway stays the same.
"""

from collections.abc import Sequence
from typing import Any

from tesuji.core.types import Message
from tesuji.players.prompting.chat_template import end_of_reply, render_prompt
from tesuji.report.card.example import CardExample

CHAT = (
    "tokenizer.apply_chat_template(messages, {thinking}add_generation_prompt=True, "
    'return_dict=True, return_tensors="pt")'
)
PLAIN = 'tokenizer(text, add_special_tokens=False, return_tensors="pt")'
SHOW = "print(tokenizer.decode(output[0, start:], skip_special_tokens=True))"


def play_snippet(
    tokenizer: Any,
    example: CardExample,
    *,
    name: str,
    adapter: bool,
    gguf: str = "",
    head_dim: int = 0,
    enable_thinking: bool = False,
    max_new_tokens: int = 32,
) -> str:
    """Code that loads the model called `name` (`gguf`: from that file of the folder, with heads of
    `head_dim` where the file does not tell transformers) and prints its move in the example."""
    end = tokenizer.convert_ids_to_tokens(end_of_reply(tokenizer))
    given, prompt = _prompt(tokenizer, example.messages, enable_thinking)
    lines = [
        *_loading("CausalLM", name, adapter, _options(gguf, head_dim)),
        given,
        f"prompt = {prompt}",
    ]
    lines += [
        f'start, end = prompt["input_ids"].shape[1], tokenizer.convert_tokens_to_ids({end!r})'
    ]
    options = f"do_sample=False, max_new_tokens={max_new_tokens}, eos_token_id=end"
    if example.replies:
        lines += [
            f"moves = {list(example.replies)!r}  # the legal ones",
            "replies = [tokenizer.encode(m, add_special_tokens=False) + [end] for m in moves]",
            "allowed = lambda _, ids: [r[len(ids) - start] for r in replies"
            " if r[: len(ids) - start] == ids[start:].tolist()] or [end]",
        ]
        options += ", prefix_allowed_tokens_fn=allowed"
    return "\n".join([*lines, f"output = model.generate(**prompt, {options})", SHOW])


def score_snippet(tokenizer: Any, example: CardExample, *, name: str, adapter: bool) -> str:
    """Code that loads the reward model called `name` and prints a score a reply."""
    end = tokenizer.convert_ids_to_tokens(end_of_reply(tokenizer))
    replies = list(example.replies[:2]) or [example.reply]
    return "\n".join(
        [
            *_loading("SequenceClassification", name, adapter),
            f"text = {_text(tokenizer, example.messages, False)!r}",
            f"for reply in {replies!r}:",
            f"    row = tokenizer(text + reply + {end!r}, add_special_tokens=False,"
            ' return_tensors="pt")',
            "    print(reply, float(model(**row).logits))",
        ]
    )


def _options(gguf: str, head_dim: int) -> str:
    file = f", gguf_file={gguf!r}" if gguf else ""
    return file + (f", head_dim={head_dim}" if head_dim else "")


def _loading(task: str, name: str, adapter: bool, options: str = "") -> list[str]:
    auto = f"Auto{'Peft' if adapter else ''}ModelFor{task}"
    options += ", num_labels=1" if task != "CausalLM" and adapter else ""
    first = (
        [f"from peft import {auto}", "from transformers import AutoTokenizer"]
        if adapter
        else [f"from transformers import {auto}, AutoTokenizer"]
    )
    return [
        *first,
        f"name = {name!r}",
        "tokenizer = AutoTokenizer.from_pretrained(name)",
        f'model = {auto}.from_pretrained(name{options}, dtype="auto")',
    ]


def _prompt(tokenizer: Any, messages: Sequence[Message], thinking: bool) -> tuple[str, str]:
    """Two lines of code that come to the ids that the sampler shows: by the chat template where it
    gives the same by itself, else from the text of the whole prompt."""
    template = str(tokenizer.chat_template or "")
    asked = {"enable_thinking": thinking} if "enable_thinking" in template else {}
    try:
        encoded = tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, **asked)
        same = list(encoded["input_ids"]) == render_prompt(
            tokenizer, messages, enable_thinking=thinking
        )
    except Exception:  # a foreign template: whatever it raises, it does not take these messages
        same = False
    if not same:
        return f"text = {_text(tokenizer, messages, thinking)!r}", PLAIN
    words = f"enable_thinking={thinking}, " if asked else ""
    return f"messages = {[dict(m) for m in messages]!r}", CHAT.format(thinking=words)


def _text(tokenizer: Any, messages: Sequence[Message], thinking: bool) -> str:
    ids = render_prompt(tokenizer, messages, enable_thinking=thinking)
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))
