"""What a vLLM server is sent and what it answers, at `/inference/v1/generate`: tokens in, tokens
out.

Every parameter is sent: a server's own defaults come from the model's generation_config.json, and
a `top_k` or a penalty from there would make it sample from another distribution.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

MOST_IDS = 128  # vLLM gives the log-probs of at most so many tokens a request
SEEDS = 2**53  # what JSON's numbers hold exactly
PLAIN = {
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "min_tokens": 0,
    "ignore_eos": True,  # what ends a reply is in stop_token_ids
    "detokenize": False,
}


def next_token_body(
    ids: Sequence[int], tokens: Sequence[int], temperature: float = 1.0
) -> dict[str, Any]:
    """Asks for the log-probs of `tokens`, at most MOST_IDS - 1, as the next token after `ids`.

    One more is asked for than is needed: of all log-probs the server counts that of the token it
    has drawn, which nobody wants here, among the number asked for, and cuts off what is beyond.
    """
    asked = [*tokens, tokens[0]]
    params = {
        "max_tokens": 1,
        "temperature": temperature,
        "top_p": 1.0,
        "logprobs": len(asked),
        "logprob_token_ids": asked,
    }
    return {"token_ids": list(ids), "sampling_params": PLAIN | params}


def next_token_logprobs(answer: Any, tokens: Sequence[int]) -> list[float]:
    """The log-probs asked for, in the order of `tokens`. Raises LookupError, TypeError or
    ValueError where they are not there."""
    [place] = _choice(answer)["logprobs"]["content"]
    known = {int(one["token_id"]): one["logprob"] for one in place["top_logprobs"]}
    return [_logprob(known[token]) for token in tokens]


def reply_body(
    ids: Sequence[int],
    *,
    temperature: float,
    top_p: float,
    max_new_tokens: int,
    seed: int,
    stop_ids: Collection[int],
) -> dict[str, Any]:
    """Asks for a reply to `ids`."""
    params = {
        "max_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed % SEEDS,
        "stop_token_ids": sorted(stop_ids),
        "logprobs": 0,
    }
    return {"token_ids": list(ids), "sampling_params": PLAIN | params}


def reply_in(
    answer: Any, *, max_new_tokens: int, stop_ids: Collection[int]
) -> tuple[list[int], list[float]]:
    """The tokens of a reply and their log-probs. Raises LookupError, TypeError or ValueError where
    they are not one: too long, ended too early, gone on after its end, log-probs of others."""
    choice = _choice(answer)
    ids = [_token(token) for token in choice["token_ids"]]
    places = choice["logprobs"]["content"]
    if [place["token_id"] for place in places] != ids:
        raise ValueError("the log-probs are of other tokens than the reply's")
    ended = [place for place, token in enumerate(ids) if token in stop_ids]
    if len(ids) > max_new_tokens or (ended or [max_new_tokens - 1])[0] != len(ids) - 1:
        raise ValueError(f"a reply of {len(ids)} tokens, of at most {max_new_tokens}")
    return ids, [_logprob(place["logprob"]) for place in places]


def _choice(answer: Any) -> Mapping[str, Any]:
    [choice] = answer["choices"]
    if not isinstance(choice, dict):
        raise TypeError("a choice that is none")
    return choice


def _token(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"no token: {value!r}")
    return value


def _logprob(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or value > 1e-3:
        raise ValueError(f"no log-prob: {value!r}")
    return float(value)
