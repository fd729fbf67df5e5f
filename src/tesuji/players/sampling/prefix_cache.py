"""What was read and replied before, so that a conversation is read on, not read again.

Texts are found by their tokens: a prompt that begins with a kept text is read from its end. As
soon as the weights change everything is forgotten.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from tesuji.players.sampling.kv_context import ALL, Context, joined, read_once

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOST_CONTEXTS = 8  # the oldest is dropped
WASTE = 1.25  # columns for each token of the longest row, before holes are closed
Text = tuple[int, ...]


class KeptContexts:
    """Contexts of earlier calls by the texts they have read. The model takes masks of ours."""

    def __init__(self, model: "PreTrainedModel") -> None:
        self.model = model
        self._contexts: list[Context] = []
        self._places: dict[Text, tuple[Context, int]] = {}
        self._weights: object = None

    def put(self, context: Context, texts: Sequence[Text]) -> None:
        """Remember that row r of a plain context has read the beginning of texts[r], as far as
        its length says."""
        self._contexts = [*(kept for kept in self._contexts if kept is not context), context]
        for row, (text, length) in enumerate(zip(texts, context.lengths, strict=True)):
            self._places[text[:length]] = (context, row)
        if len(self._contexts) > MOST_CONTEXTS:
            self._drop(self._contexts[0])

    def read(self, texts: Sequence[Text]) -> tuple[Context, Tensor]:
        """A plain context that has read the texts, going on from what is kept; the logits [B, V]
        after each."""
        self._forget_if_changed()
        kept = [self._longest(text) for text in texts]
        fresh = [index for index, at in enumerate(kept) if at is None]
        if len(fresh) == len(texts) or any(len(texts[index]) == 1 for index in fresh):
            return read_once(self.model, texts, masks=True)
        return self._go_on(texts, kept, fresh)

    def _go_on(
        self, texts: Sequence[Text], kept: Sequence[Text | None], fresh: Sequence[int]
    ) -> tuple[Context, Tensor]:
        """Pick kept rows context by context; fresh texts join with all but their last token."""
        parts: list[Context] = []
        order: list[int] = []
        by_context: dict[int, list[int]] = {}
        for index, text in enumerate(kept):
            if text is not None:
                by_context.setdefault(id(self._places[text][0]), []).append(index)
        for indices in by_context.values():
            parts.append(self._take([kept[index] for index in indices]))  # type: ignore[misc]
            order += indices
        if fresh:
            parts.append(self._fresh([texts[index][:-1] for index in fresh]))
            order += fresh
        return self._read_rest(texts, joined(parts), order)

    def _fresh(self, texts: Sequence[Text]) -> Context:
        return read_once(self.model, texts, masks=True)[0]

    def _take(self, texts: Sequence[Text]) -> Context:
        """The rows of one kept context that have read these texts; they are kept no longer, and
        where the context itself is handed out, none of its rows is."""
        places = [self._places[text] for text in texts]
        context = places[0][0]
        part = _rows(context, [row for _, row in places])
        if part is context:
            self._drop(context)
        for text in set(texts):
            self._places.pop(text, None)
        return part

    def _read_rest(
        self, texts: Sequence[Text], context: Context, order: Sequence[int]
    ) -> tuple[Context, Tensor]:
        rest = [texts[i][at:] for i, at in zip(order, context.lengths, strict=True)]
        logits = context.read(rest)
        back = sorted(range(len(order)), key=order.__getitem__)
        if back != list(range(len(order))):
            context.keep(back)
            logits = logits[back]
        return context, logits

    def _longest(self, text: Text) -> Text | None:
        """The longest kept text that `text` goes on from by at least one token."""
        lengths = sorted({len(kept) for kept in self._places}, reverse=True)
        beginnings = (text[:length] for length in lengths if length < len(text))
        return next((some for some in beginnings if some in self._places), None)

    def _drop(self, context: Context) -> None:
        self._contexts = [kept for kept in self._contexts if kept is not context]
        self._places = {t: at for t, at in self._places.items() if at[0] is not context}

    def _forget_if_changed(self) -> None:
        now = _fingerprint(self.model)
        if now != self._weights:
            self._contexts, self._places, self._weights = [], {}, now


def _rows(context: Context, rows: Sequence[int]) -> Context:
    """These rows of a plain context: of the context itself, the others being given up, where most
    rows go on in their order and hardly a column is a hole; else of a copy without the holes."""
    most = 2 * len(rows) >= len(context.lengths) and list(rows) == sorted(rows)
    if most and context.width <= WASTE * max(context.lengths[row] for row in rows):
        if len(rows) < len(context.lengths):
            context.keep(rows)
        return context
    return context.pick([(row, ALL) for row in rows])


def _fingerprint(model: Any) -> object:
    """Changes whenever a weight is written to, or put in another's place."""
    return tuple((p.data_ptr(), p._version) for p in model.parameters())
