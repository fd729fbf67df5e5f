"""A GGUF file read by somebody else: llama.cpp, from the package xllamacpp, where it is installed.

What it expects after a few prompts is compared with what the model in memory expects. The prompts
are given as text, so that the tokens are compared, too.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tesuji.core.errors import EngineError
from tesuji.core.types import Message
from tesuji.players.prompting.chat_template import render_prompt

READER = "xllamacpp"
LIKELIEST = 5  # tokens compared after a prompt
MOST_OFF = 1.0  # nats; rounding to 8 bits moves log-probs by some tenths
QUESTIONS = (
    "What is the capital of France?",
    "Count from 7 to 51,  then name a colour.",
    "...\n.x.\n..o\nx",
)


def reader_is_here() -> bool:
    """Whether a file can be read by llama.cpp on this machine."""
    return importlib.util.find_spec(READER) is not None


def compare_gguf(file: Path, model: Any, tokenizer: Any) -> float:
    """The largest difference, in nats, between llama.cpp's log-probs of the tokens that it finds
    likeliest and the model's. Raises EngineError where it cannot read the file, or reads another
    model."""
    import torch

    worst = 0.0
    for ids, theirs in _read(file, tokenizer):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1].float()
        ours = logits.log_softmax(-1)
        worst = max(worst, *(abs(float(ours[token]) - value) for token, value in theirs.items()))
    if not worst <= MOST_OFF:
        raise EngineError(
            f"llama.cpp reads another model out of this file: log-probs are {worst:.2g} nats off",
            where=str(file),
            hint="this is a fault of Tesuji's: tell it",
        )
    return worst


def _read(file: Path, tokenizer: Any) -> Iterator[tuple[list[int], dict[int, float]]]:
    """A prompt's ids, and llama.cpp's log-probs of the likeliest next tokens."""
    server, letter = (
        _server(file),
        tokenizer.convert_tokens_to_ids("a"),
    )  # half a character: silence
    for question in QUESTIONS:
        ids = render_prompt(tokenizer, [Message(role="user", content=question)])
        asked = {
            "prompt": tokenizer.decode(ids, clean_up_tokenization_spaces=False),
            "n_predict": 1,
            "n_probs": LIKELIEST,
            "temperature": 0,
            "logit_bias": [[letter, 1000]],  # what is told are the chances before it
            "cache_prompt": False,
        }
        reply = server.handle_completions(asked)
        [first] = reply["choices"][0]["logprobs"]["content"]
        count = reply["usage"]["prompt_tokens"]
        if count != len(ids):
            what = f"llama.cpp makes {count} tokens of a prompt that has {len(ids)}"
            raise EngineError(what, where=str(file), hint="export --to safetensors")
        yield ids, {one["id"]: one["logprob"] for one in first["top_logprobs"]}


def _server(file: Path) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel, params.warmup, params.verbosity = 512, 1, False, -1
    try:
        return xllamacpp.Server(params)
    except Exception as error:  # whatever llama.cpp stumbles over
        raise EngineError(f"llama.cpp cannot read this file: {error}", where=str(file)) from error
