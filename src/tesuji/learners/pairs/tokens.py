"""Pairs to token rows: the very ids the sampler will see, cut and dropped where we can count it.

A prompt that is too long loses its *beginning*, so much that the longer of its two replies fits:
both are judged after the same words. Replies are never cut, and end with the end token, once.
Training and evaluation read held-out pairs alike, by this module.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.types import Pair
from tesuji.learners.sft.tokens import cut_prompt, refuse_all_cut
from tesuji.learners.trainer.summary import cut_words
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
    """Pairs ready for a trainer. `lengths` are what each prompt had and what is left of it; `cut`
    prompts lost their beginning; `dropped` counts the pairs left out by reason; `tokens` are those
    of both sequences of every pair; `longest` is what the longest sequence had before."""

    rows: tuple[PairRow, ...]
    lengths: tuple[tuple[int, int], ...]
    cut: int
    dropped: Mapping[str, int]
    tokens: int
    longest: int = 0

    def warnings(self) -> tuple[str, ...]:
        """What happened to pairs, a few words each."""
        dropped = [f"pairs left out: {n:,} {IN_WORDS[why]}" for why, n in self.dropped.items()]
        return (*dropped, *cut_words(self.cut, len(self.rows)))


def tokenize_pairs(
    pairs: Sequence[Pair], tokenizer: Any, prompt: PromptSection, max_length: int
) -> PairTokens:
    """Render every pair into at most `max_length` tokens a sequence."""
    dropped: Counter[str] = Counter()
    rows, lengths, most = [], [], 0
    for pair in pairs:
        chosen, rejected = (tuple(render_reply(tokenizer, r)) for r in (pair.chosen, pair.rejected))
        ids = render_prompt(tokenizer, pair.prompt, enable_thinking=prompt.enable_thinking)
        longest = max(len(chosen), len(rejected))
        most = max(most, len(ids) + longest)
        fitted = cut_prompt(ids, longest, max_length, prompt.max_length)
        if (why := _teaches_nothing(pair)) or fitted is None:
            dropped[why or TOO_LONG] += 1
            continue
        lengths.append((len(ids), len(fitted)))
        rows.append(PairRow(pair, tuple(fitted), chosen, rejected))
    tokens = sum(2 * len(r.prompt_ids) + len(r.chosen_ids) + len(r.rejected_ids) for r in rows)
    cut = sum(left < whole for whole, left in lengths)
    left_out = dict(sorted(dropped.items()))
    return PairTokens(tuple(rows), tuple(lengths), cut, left_out, tokens, most)


def _teaches_nothing(pair: Pair) -> str:
    """Why nothing is to be learned from a pair; "" if there is."""
    chosen, rejected = pair.chosen.strip(), pair.rejected.strip()
    if not chosen or not rejected:
        return EMPTY
    return SAME if chosen == rejected else ""


def training_pairs(
    pairs: Sequence[Pair], tokenizer: Any, prompt: PromptSection, max_length: int, name: str
) -> PairTokens:
    """`tokenize_pairs` for stage `name`. Raises DataError when no pair is left to learn from, or
    every prompt loses something that play shows of it."""
    tokens = tokenize_pairs(pairs, tokenizer, prompt, max_length)
    if not tokens.rows:
        why = "; ".join(tokens.warnings()) or "there are none"
        raise DataError(
            f"no pair to learn from: {why}",
            where=f"stages.{name}.max_length" if TOO_LONG in tokens.dropped else f"stages.{name}",
            hint="raise max_length, or give pairs whose replies differ",
        )
    refuse_all_cut(tokens.lengths, prompt.max_length, name, max_length)
    return tokens
