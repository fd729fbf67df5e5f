"""What was read before, so that it is not read again until the weights change.

*Beginnings*: what the prompts of a call had in common, such as rules and notation, is kept as a
tree of at most MOST_TOKENS tokens, and later prompts are read behind it. *Conversations*: whatever
a row has read and replied is kept too if it is put here; a prompt that goes on from there is read
from its end, in the row that it stands in. Both are found by their tokens.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from tesuji.core.tensors import on_device
from tesuji.players.sampling.kv_buffer import roomy_cache
from tesuji.players.sampling.kv_context import ALL, Context, columns_of, joined, read_once
from tesuji.players.sampling.token_tree import TokenTree, alike, forest, plant
from tesuji.players.sampling.tree_attention import tree_inputs, widest_tree

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOST_CONTEXTS = 8  # the oldest is dropped
WASTE = 1.25  # columns for each token of the longest row, before holes are closed
MOST_TOKENS, MOST_TEXTS = 2048, 32  # of beginnings; the oldest are dropped
MOST_NODES = 8192  # read in one forward pass
SAVING = 0.9  # a tree is read where it has at most this share of the tokens of padded rows
Text = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A tree as it is read behind what is kept: node n stands in column `columns[n]` of the cache,
    and if it is read now, at `columns[n] - before` of what the model puts out."""

    tree: TokenTree
    columns: list[int]
    before: int
    inputs: dict[str, Any]


class Beginnings:
    """Keys and values of what texts began with, in one row. The model takes masks of ours."""

    def __init__(self, model: "PreTrainedModel") -> None:
        self.model = model
        self.most = min(MOST_NODES, widest_tree(model))
        self.forget()

    def forget(self) -> None:
        """Keep nothing."""
        self._texts: list[Text] = []  # the latest first
        self._below: dict[tuple[int, int], int] = {}  # (column or -1, next token): its column
        self._cache: Any = roomy_cache()

    def save(self, texts: Sequence[Text]) -> bool:
        """Whether `read` has much less to read than rows of these texts, padded, would have."""
        tree = plant(texts)
        count = len(tree) - len(self._held(tree, texts))
        return len(texts) == 1 or count <= SAVING * len(texts) * max(map(len, texts))

    def read(self, texts: Sequence[Text]) -> tuple[Context, Tensor]:
        """A plain context with a row a text, and the logits [R, V] after each. What several begin
        with is read once, and what is kept is not read."""
        parts, logits, order = [], [], []
        for part in forest(texts, self.most):
            numbers = sorted(part)
            context, some = self._read([texts[number] for number in numbers])
            parts.append(context)
            logits.append(some)
            order += numbers
        return _in_order(joined(parts), torch.cat(logits), order)

    def _read(self, texts: Sequence[Text]) -> tuple[Context, Tensor]:
        reading = self.plan(texts, [len(text) - 1 for text in texts])
        ends = [reading.columns[nodes[-1]] - reading.before for nodes in reading.tree.nodes]
        distinct = torch.unique(torch.tensor(ends), return_inverse=True)
        last, rows = (on_device(each, self.model.device) for each in distinct)
        out = self.model(**reading.inputs, logits_to_keep=last)
        columns = [[reading.columns[node] for node in nodes] for nodes in reading.tree.nodes]
        context = Context.of_columns(self.model, out.past_key_values, columns)
        self.keep(reading, out.past_key_values)
        return context, out.logits[0, rows]

    def plan(self, texts: Sequence[Text], since: Sequence[int]) -> Reading:
        """How a tree of these texts is read; all of text t from its token `since[t]` on is read
        anew, so that the model says what comes after it."""
        tree = plant(texts)
        asked = {node for some, at in zip(tree.nodes, since, strict=True) for node in some[at:]}
        before = len(self._below)
        held = {node: at for node, at in self._held(tree, texts).items() if node not in asked}
        kept = [len(tree)] * before
        for node, column in held.items():
            kept[column] = node
        fresh = itertools.count(before)
        columns = [held[node] if node in held else next(fresh) for node in range(len(tree))]
        inputs = tree_inputs(self.model, tree, kept)
        inputs |= {"past_key_values": _shallow(self._cache), "use_cache": True}
        return Reading(tree, columns, before, inputs)

    def keep(self, reading: Reading, cache: Any) -> None:
        """Keep what the texts that were read had in common, and of older beginnings what there is
        room for. `cache` holds all columns."""
        tree = reading.tree
        paths = [
            (tuple(tree.ids[n] for n in nodes), [reading.columns[n] for n in nodes])
            for nodes in _in_common(tree.nodes)
        ]
        paths += [(text, list(self._columns(text))) for text in self._texts]
        self._texts, self._below = [], {}
        chosen: list[int] = []
        for text, columns in paths[:MOST_TEXTS]:
            size = self._add(text, columns, chosen)
            if size:
                self._texts.append(text[:size])
        if chosen != list(range(reading.before)):
            index = on_device([chosen], self.model.device)
            self._cache = columns_of(cache, index)

    def _add(self, text: Text, columns: Sequence[int], chosen: list[int]) -> int:
        """Choose the columns of a text that are not among the chosen, while there is room; returns
        how far the text goes then, 0 if nothing was added."""
        at, size = -1, len(chosen)
        for place, (token, column) in enumerate(zip(text, columns, strict=True)):
            if (at, token) not in self._below:
                if len(chosen) == MOST_TOKENS:
                    return place if len(chosen) > size else 0
                self._below[at, token] = len(chosen)
                chosen.append(column)
            at = self._below[at, token]
        return len(text) if len(chosen) > size else 0

    def _held(self, tree: TokenTree, texts: Sequence[Text]) -> dict[int, int]:
        """The columns of those nodes that are kept."""
        held: dict[int, int] = {}
        for text, nodes in zip(texts, tree.nodes, strict=True):
            held.update(zip(nodes, self._columns(text), strict=False))
        return held

    def _columns(self, text: Text) -> Iterator[int]:
        """The columns of as many tokens of a text as are kept."""
        at = -1
        for token in text:
            following = self._below.get((at, token))
            if following is None:
                return
            yield following
            at = following


class KeptContexts:
    """What earlier calls have read: beginnings, and whole contexts by the texts they have read.
    The model takes masks of ours."""

    def __init__(self, model: "PreTrainedModel") -> None:
        self.model = model
        self.beginnings = Beginnings(model)
        self._contexts: list[Context] = []
        self._places: dict[Text, tuple[Context, int]] = {}
        self._state: object = None

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
        self.forget_if_changed()
        kept = [self._longest(text) for text in texts]
        fresh = [index for index, at in enumerate(kept) if at is None]
        if len(fresh) == len(texts) or any(len(texts[index]) == 1 for index in fresh):
            return self._fresh(texts)
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
            parts.append(self._fresh([texts[index][:-1] for index in fresh])[0])
            order += fresh
        return self._read_rest(texts, joined(parts), order)

    def _fresh(self, texts: Sequence[Text]) -> tuple[Context, Tensor]:
        if self.beginnings.save(list(dict.fromkeys(texts))):
            return self.beginnings.read(texts)
        return read_once(self.model, texts, masks=True)

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
        return _in_order(context, context.read(rest), order)

    def _longest(self, text: Text) -> Text | None:
        """The longest kept text that `text` goes on from by at least one token."""
        lengths = sorted({len(kept) for kept in self._places}, reverse=True)
        beginnings = (text[:length] for length in lengths if length < len(text))
        return next((some for some in beginnings if some in self._places), None)

    def _drop(self, context: Context) -> None:
        self._contexts = [kept for kept in self._contexts if kept is not context]
        self._places = {t: at for t, at in self._places.items() if at[0] is not context}

    def forget_if_changed(self) -> None:
        """Keep nothing that another state of the model has read."""
        now = _state(self.model)
        if now != self._state:
            self._contexts, self._places, self._state = [], {}, now
            self.beginnings.forget()


def _in_common(nodes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """What texts, given as nodes of a tree, share with others, the shortest first; of one text by
    itself all of it."""
    texts = sorted(set(nodes))
    if len(texts) == 1:
        return texts
    shared = {one[: alike(one, other)] for one, other in itertools.pairwise(texts)}
    return sorted(shared, key=len)


def _in_order(context: Context, logits: Tensor, order: Sequence[int]) -> tuple[Context, Tensor]:
    """Rows that stand in this order, and what was said of them, put back."""
    back = sorted(range(len(order)), key=order.__getitem__)
    if back == list(range(len(order))):
        return context, logits
    context.keep(back)
    return context, logits[on_device(back, logits.device)]


def _shallow(cache: Any) -> Any:
    """A cache that begins with the same tensors and grows by itself."""
    fresh: Any = roomy_cache()
    for number, layer in enumerate(cache.layers):
        fresh.update(layer.keys, layer.values, number)
    return fresh


def _rows(context: Context, rows: Sequence[int]) -> Context:
    """These rows of a plain context: of the context itself, the others being given up, where most
    rows go on in their order and hardly a column is a hole; else of a copy without the holes."""
    most = 2 * len(rows) >= len(context.lengths) and list(rows) == sorted(rows)
    if most and context.width <= WASTE * max(context.lengths[row] for row in rows):
        if len(rows) < len(context.lengths):
            context.keep(rows)
        return context
    return context.pick([(row, ALL) for row in rows])


class _Steps:
    """Optimizer steps taken in this process: a fused one does not mark the weights as written."""

    count = 0

    @classmethod
    def note(cls, *_: Any) -> None:
        """What torch calls after each."""
        cls.count += 1


register_optimizer_step_post_hook(_Steps.note)


def _state(model: Any) -> object:
    """Changes whenever a weight is written to or put in another's place, and with whatever else
    decides what the model computes: the adapters in use, autocast. No optimizer writes to a model
    of which nothing is trained, whatever another thread takes steps of."""
    weights = tuple((p.data_ptr(), p._version) for p in model.parameters())
    names = ("_disable_adapters", "_active_adapter", "merged_adapters")
    switches = [vars(m).get(name) for m in model.modules() for name in names if name in vars(m)]
    device = model.device.type
    autocast = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
    steps = _Steps.count if any(p.requires_grad for p in model.parameters()) else 0
    return weights, steps, repr(switches), autocast
