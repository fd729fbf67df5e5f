"""Examples to token rows: the very ids the sampler will see, and where the reply begins.

With `soft_targets`, a token of a reply is taught as what it is when several replies to a prompt
are equally right: one of several. At each token the target is the distribution over next tokens
among all replies that begin alike; a row follows one reply, so the mean over a prompt's rows is
the exact cross-entropy to "any of these replies", with less noise than one reply at a time.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.types import Example
from tesuji.players.prompting.chat_template import render_prompt, render_reply

Target = dict[int, float]


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One training row. `targets[i]` is the distribution taught at `reply_ids[i]`."""

    prompt_ids: tuple[int, ...]
    reply_ids: tuple[int, ...]
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Tokenized:
    """Rows ready for training, and what the length limit did to them. `longest` is what the longest
    row had before, in tokens."""

    rows: tuple[TokenRow, ...]
    cut: int
    dropped: int
    tokens: int
    longest: int


def cut_prompt(
    ids: Sequence[int], reply: int, max_length: int, longest: int | None = None
) -> Sequence[int] | None:
    """The end of a prompt, so much that `reply` tokens fit behind it into `max_length`, and at most
    `longest` tokens of it; None where the reply alone is too long. This is how rows are cut,
    whether they are learned from or judged."""
    room = min(max_length - reply, longest or max_length)
    return ids[-room:] if room > 0 else None


def refuse_all_cut(
    prompts: Sequence[tuple[int, int]], shown: int | None, name: str, max_length: int
) -> None:
    """Raise DataError where every prompt (its length, and what is left of it) is shorter in
    training than it is in play, where `shown` tokens of it are read (None: all)."""
    if not prompts or any(left >= min(whole, shown or whole) for whole, left in prompts):
        return
    longest = max(min(whole, shown or whole) for whole, _ in prompts)
    raise DataError(
        f"every one of the {len(prompts):,} prompts loses its beginning: with their replies they "
        f"do not fit into {max_length:,} tokens",
        where=f"stages.{name}.max_length",
        hint=f"the longest prompt has {longest:,}: raise max_length, or shorten the prompts "
        "(prompt.style: compact, prompt.max_length)",
    )


def tokenize(
    examples: Sequence[Example],
    tokenizer: Any,
    *,
    max_length: int,
    name: str = "sft",
    shown: int | None = None,
    enable_thinking: bool = False,
    soft_targets: bool = False,
) -> Tokenized:
    """Render every example of stage `name`; raise DataError when none is left, or every prompt is
    cut further than to the `shown` tokens that play shows of it.

    A prompt that is too long loses its *beginning* (`cut`), as it does in play: the reply, and the
    question it answers, stay whole. A row whose reply alone exceeds `max_length` is left out
    (`dropped`).
    """
    rendered: dict[tuple[Any, ...], tuple[int, ...]] = {}
    pairs, lengths, dropped, longest = [], [], 0, 0
    for example in examples:
        key = tuple((message["role"], message["content"]) for message in example.prompt)
        if key not in rendered:
            ids = render_prompt(tokenizer, example.prompt, enable_thinking=enable_thinking)
            rendered[key] = tuple(ids)
        prompt, reply = rendered[key], tuple(render_reply(tokenizer, example.reply))
        longest = max(longest, len(prompt) + len(reply))
        fitted = cut_prompt(prompt, len(reply), max_length, shown)
        if fitted is None:
            dropped += 1
            continue
        lengths.append((len(prompt), len(fitted)))
        pairs.append((tuple(fitted), reply))
    if not pairs:
        raise DataError(
            f"no training row fits into {max_length} tokens",
            where=f"stages.{name}.max_length",
            hint="write max_length: auto, or shorten the prompts (prompt.style: compact)",
        )
    refuse_all_cut(lengths, shown, name, max_length)
    cut = sum(left < whole for whole, left in lengths)
    rows = _with_targets(pairs, soft_targets)
    tokens = sum(len(p) + len(r) for p, r in pairs)
    return Tokenized(rows, cut, dropped, tokens, longest)


def _with_targets(
    pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]], soft: bool
) -> tuple[TokenRow, ...]:
    if not soft:
        hard = [tuple({token: 1.0} for token in reply) for _, reply in pairs]
        return tuple(TokenRow(p, r, t) for (p, r), t in zip(pairs, hard, strict=True))
    replies: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
    for prompt, reply in pairs:
        replies[prompt].append(reply)
    return tuple(
        TokenRow(prompt, reply, tuple(_shares(replies[prompt], reply))) for prompt, reply in pairs
    )


def _shares(replies: Sequence[tuple[int, ...]], reply: tuple[int, ...]) -> Iterable[Target]:
    """At each token of `reply`: how often each next token follows, among replies alike so far."""
    alike = list(replies)
    for index, token in enumerate(reply):
        counts: dict[int, int] = defaultdict(int)
        for other in alike:
            counts[other[index]] += 1
        yield {token_: count / len(alike) for token_, count in counts.items()}
        alike = [other for other in alike if other[index] == token]
