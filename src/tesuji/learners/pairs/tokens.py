"""Pairs to token rows: the very ids the sampler will see, cut and dropped where we can count it.

A prompt that is too long loses its *beginning*, so much that the longer of its two replies fits:
both are judged after the same words. Replies are never cut, and end with the end token, once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.types import Pair
from tesuji.players.prompting.chat_template import render_prompt, render_reply
from tesuji.recipe.schema.sections import PromptSection

SAME, EMPTY, TOO_LONG = "same_replies", "empty_reply", "reply_too_long"
IN_WORDS = {
    SAME: "with two equal replies",
    EMPTY: "with an empty reply",
    TOO_LONG: "with a reply as long as max_length",
}


@dataclass(frozen=True, slots=True)
class PairRow:
    """A pair as token ids; each reply ends with the token that ends a reply."""

    pair: Pair
    prompt_ids: tuple[int, ...]
    chosen_ids: tuple[int, ...]
    rejected_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PairTokens:
    """Pairs ready for a trainer. `cut` prompts lost their beginning; `dropped` counts the pairs
    left out by reason; `tokens` are those of both sequences of every pair."""

    rows: tuple[PairRow, ...]
    cut: int
    dropped: Mapping[str, int]
    tokens: int

    def warnings(self) -> tuple[str, ...]:
        """What happened to pairs, a few words each."""
        said = [f"pairs left out: {n:,} {IN_WORDS[why]}" for why, n in self.dropped.items()]
        cut = f"prompts that lost their beginning: {self.cut:,}"
        return (*said, cut) if self.cut else tuple(said)


def tokenize_pairs(
    pairs: Sequence[Pair], tokenizer: Any, prompt: PromptSection, max_length: int
) -> PairTokens:
    """Render every pair into at most `max_length` tokens a sequence."""
    dropped: Counter[str] = Counter()
    rows, cut = [], 0
    for pair in pairs:
        chosen, rejected = (tuple(render_reply(tokenizer, r)) for r in (pair.chosen, pair.rejected))
        longest = max(len(chosen), len(rejected))
        if why := _unfit(pair, longest, max_length):
            dropped[why] += 1
            continue
        ids = render_prompt(tokenizer, pair.prompt, enable_thinking=prompt.enable_thinking)
        room = min(max_length - longest, prompt.max_length or max_length)
        cut += len(ids) > room
        rows.append(PairRow(pair, tuple(ids[-room:]), chosen, rejected))
    tokens = sum(2 * len(r.prompt_ids) + len(r.chosen_ids) + len(r.rejected_ids) for r in rows)
    return PairTokens(tuple(rows), cut, dict(sorted(dropped.items())), tokens)


def _unfit(pair: Pair, longest: int, max_length: int) -> str:
    """Why a pair teaches nothing or cannot be shown; "" if it can."""
    chosen, rejected = pair.chosen.strip(), pair.rejected.strip()
    if not chosen or not rejected:
        return EMPTY
    if chosen == rejected:
        return SAME
    return TOO_LONG if longest >= max_length else ""


def training_pairs(
    pairs: Sequence[Pair], tokenizer: Any, prompt: PromptSection, max_length: int, name: str
) -> PairTokens:
    """`tokenize_pairs` for stage `name`. Raises DataError when no pair is left to learn from."""
    found = tokenize_pairs(pairs, tokenizer, prompt, max_length)
    if not found.rows:
        why = "; ".join(found.warnings()) or "there are none"
        raise DataError(
            f"no pair to learn from: {why}",
            where=f"stages.{name}.max_length" if TOO_LONG in found.dropped else f"stages.{name}",
            hint="raise max_length, or give pairs whose replies differ",
        )
    return found
