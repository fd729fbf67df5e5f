"""The check of a model's code against its own plain forward pass, on a few tokens.

What a token's log-probs may differ by is measured, too: far less than what changing one token of
the text before it does, and no more than rounding where that is larger.

    support = support_of(model)
    support.shared, support.in_words()
"""

import contextlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from tesuji.core.errors import EngineError, first_line
from tesuji.players.sampling.head import layers, own_logits, whole
from tesuji.players.sampling.kv_context import ALL, Context
from tesuji.players.sampling.modes import evaluating, updating
from tesuji.players.sampling.plain_context import PlainContext
from tesuji.players.sampling.prefix_cache import Beginnings
from tesuji.players.sampling.support import (
    OWN_MASKS,
    TREE_ATTENTION,
    Support,
    Way,
    attention_of,
    windows_of,
)
from tesuji.players.sampling.token_tree import plant
from tesuji.players.sampling.tree_attention import tree_inputs, use_tree_attention

PROMPT, REPLY, SHORTER = 14, 3, 5  # tokens
WINDOW = 64  # tokens: a prompt longer than a wider window would cost too much
ROUNDING = 1e-5  # nats, in float32
SHARE = 0.002  # of what one other token changes

OFF = "log-probs are off by"
DECODERS = "use a decoder-only language model, such as Qwen, Llama, Gemma or SmolLM"

Text = tuple[int, ...]

Found = tuple[str, Support]  # the attention after the check, which may have changed it, and more

_known: "WeakKeyDictionary[Any, Found]" = WeakKeyDictionary()
_by_files: dict[Hashable, Found] = {}  # the stages of a run load the same files again and again


def know_copy(copy: Any, model: Any) -> None:
    """`copy` is a model of the same code, whatever its weights: it can do what `model` can."""
    support_of(model)
    _known[whole(copy)] = _known[whole(model)]


def support_of(model: Any, files: Path | None = None) -> Support:
    """What the model can do; found out the first time, with a few tokens, and remembered where it
    was loaded from the folder `files`. An adapter changes nothing about it."""
    base = whole(model)
    kept = _known.get(base)
    if kept is None or kept[0] != attention_of(model):
        kept = _known[base] = _find_out(model, files)
    return kept[1]


def _find_out(model: Any, files: Path | None) -> Found:
    key = _loaded_as(model, files) if files and files.is_dir() else None
    if key not in _by_files:
        support = check(model)
        found = (attention_of(model), support)
        if key is None:
            return found
        _by_files[key] = found
    elif _by_files[key][0] == TREE_ATTENTION:
        use_tree_attention(model)
    return _by_files[key]


def _loaded_as(model: Any, files: Path) -> Hashable:
    """Whatever the check of a model from a folder follows from."""
    base = whole(model)
    facts = sorted((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files.iterdir())
    how = (type(base), model.dtype, model.device, attention_of(model))
    return (files.resolve(), tuple(facts), *how, getattr(base, "is_quantized", False))


def require_support(model: Any, source: str, files: Path | None = None) -> Support:
    """The same. Raises EngineError where the model cannot be run rightly."""
    support = support_of(model, files)
    if support.way == "refused":
        raise EngineError(
            f"{source} ({model.config.model_type}) is refused: {support.reason}",
            where="model.base",
            hint=DECODERS,
        )
    return support


def check(model: Any) -> Support:
    """Find out. Whatever the model raises is taken for a no, with its message as the reason."""
    refusal = _not_a_language_model(model)
    if refusal:
        return Support("refused", refusal)
    with evaluating(model), torch.no_grad(), _quiet():
        return _Check(model).support()


class _Check:
    """Texts, their log-probs by plain forward passes, and what was compared with these so far."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.config = whole(model).config.get_text_config()
        self.windows = windows_of(self.config)
        self.prompt, self.short, self.replies = _texts(self.config, self.windows)
        self.tolerance = self.worst = 0.0
        self.detail = ""
        self.rewarding = type(whole(model)).__name__.endswith("ForSequenceClassification")

    def support(self) -> Support:
        """The best way that gives what the plain forward pass gives."""
        try:
            refusal = self._refusal()
        except Exception as error:
            refusal = f"text alone does not go through it: {first_line(error)[:120]}"
        if refusal:
            return Support("refused", refusal)
        if not bool(torch.isfinite(self.plain[0]).all()):
            return Support("plain", "its logits are not numbers")  # sampling says what to do
        own_head, train_mode = self._of_updates()
        way, reason, cached = self._way(own_head)
        return Support(way, reason, cached, own_head, train_mode, self.worst, self.detail)

    def _way(self, own_head: bool) -> tuple[Way, str, bool]:
        reason = self._why_not_shared(own_head)
        if not reason:
            return "shared", "", False
        fault = "" if self.rewarding else self._fault(lambda: self._padded(masks=False))
        if not fault:
            return "padded", reason, False
        cached = not self._fault(lambda: self._by_itself(cached=True))
        self.detail = fault
        alone = self._fault(lambda: self._by_itself(cached=False))
        if alone:
            return "refused", f"a text depends on those beside it: {alone}", False
        off = fault.startswith(OFF)
        words = "padding before a text is seen" if off else "its cache is of its own kind"
        return "plain", words, cached

    def _of_updates(self) -> tuple[bool, bool]:
        """Whether hidden states and head can be had one after the other, and in train mode."""
        if not self._fault(lambda: self._rows(train_mode=True)):
            return True, True
        if not self._fault(self._rows):
            return True, False
        return False, not self._fault(self._in_train_mode)

    def _in_train_mode(self) -> float:
        with updating(self.model):
            return self._apart(self._plain(self.texts[0]), self.plain[0])

    def _refusal(self) -> str:
        """Why it cannot be run at all; sets what everything else is compared with."""
        self.texts = [self.prompt + reply for reply in self.replies]
        self.texts.append(self.short + self.replies[0])
        self.plain = [self._plain(text) for text in self.texts]
        first, size = self.plain[0], len(self.prompt)
        if not bool(torch.isfinite(first).all()):
            return ""
        changed = (*self.prompt[:-4], self.prompt[-3], *self.prompt[-3:])
        signal = float((self._plain(changed)[-1] - first[size - 1]).abs().max())
        self.tolerance = max(SHARE * signal, ROUNDING, _rounding(first, self.model.dtype))
        if self._apart(self._plain(self.texts[0]), first) > self.tolerance:
            return "the same text gives other log-probs each time"
        if self._apart(self._plain(self.prompt), first[:size]) > self.tolerance:
            return "what it says of a token depends on the tokens after it"
        return ""

    def _plain(self, text: Text) -> Tensor:
        ids = torch.tensor([text], device=self.model.device)
        if self.rewarding:
            states: Tensor = layers(self.model)(input_ids=ids, use_cache=False).last_hidden_state
            return states[0].float()
        out = self.model(input_ids=ids, use_cache=False)
        if out.logits.ndim != 3:
            raise ValueError("it does not give one distribution a token")
        return _logprobs(out.logits[0])

    def _why_not_shared(self, own_head: bool) -> str:
        if not own_head:
            return "its head cannot be called alone"
        if self.windows:
            return f"some layers see a window of {self.windows[0]} tokens only"
        if attention_of(self.model) not in OWN_MASKS:
            return f"{attention_of(self.model)} takes no masks of ours"
        use_tree_attention(self.model)
        fault = self._fault(self._tree)
        if fault and attention_of(self.model) == TREE_ATTENTION:
            use_tree_attention(self.model, on=False)
            fault = self._fault(self._tree)
        if not self.rewarding:
            fault = fault or self._fault(self._kept_beginnings)
            fault = fault or self._fault(self._shared_replies)
            fault = fault or self._fault(lambda: self._padded(masks=True))
        self.detail = fault
        return fault and "a row shared by replies goes wrong"

    def _fault(self, attempt: Callable[[], float]) -> str:
        """What is wrong with this way, in words; nothing where it is right."""
        try:
            apart = attempt()
        except Exception as error:
            return first_line(error)[:120]
        if not apart <= self.tolerance:
            return f"{OFF} {apart:.2g}"
        self.worst = max(self.worst, apart)
        return ""

    def _apart(self, result: Tensor, expected: Tensor) -> float:
        return float((result - expected).abs().nan_to_num(torch.inf).max())

    def _rows(self, *, train_mode: bool = False) -> float:
        """As an update reads a text: hidden states first, the head by itself."""
        ids = torch.tensor([self.texts[0]], device=self.model.device)
        with updating(self.model) if train_mode else contextlib.nullcontext():
            result = self._states({"input_ids": ids})
        return self._apart(result, self.plain[0])

    def _tree(self) -> float:
        """All texts as one tree."""
        tree = plant(self.texts)
        result = self._states(tree_inputs(self.model, tree))
        texts = zip(tree.nodes, self.plain, strict=True)
        return max(self._apart(result[list(nodes)], plain) for nodes, plain in texts)

    def _kept_beginnings(self) -> float:
        """As a sampler reads prompts, and again behind what they had in common."""
        kept, worst = Beginnings(self.model), 0.0
        for _ in range(2):
            for row, plain in zip(kept.read(self.texts)[1], self.plain, strict=True):
                worst = max(worst, self._apart(_logprobs(row), plain[-1]))
        return worst

    def _states(self, inputs: dict[str, Any]) -> Tensor:
        """Hidden states, or log-probs where there is a head for them, of the only row."""
        states: Tensor = layers(self.model)(**inputs, use_cache=False).last_hidden_state[0]
        return states.float() if self.rewarding else _logprobs(own_logits(self.model, states))

    def _shared_replies(self) -> float:
        """As a sampler reads two replies behind one prompt."""
        context, logits = Context.of(self.model, [self.prompt], masks=True)
        size, worst = len(self.prompt), 0.0
        for step in range(REPLY):
            ids = [[reply[step] for reply in self.replies]]
            logits = context.read_shared(ids, [[1, 2]], step)[0]
            for row, expected in zip(logits, self.plain, strict=False):
                worst = max(worst, self._apart(_logprobs(row), expected[size + step]))
        picked = context.pick([(0, 2), (0, ALL)])
        return max(worst, 0.0 if picked.lengths else 1.0)

    def _padded(self, *, masks: bool) -> float:
        """Two prompts of different lengths in one batch, read on, and one of them left out."""
        context, logits = Context.of(self.model, [self.prompt, self.short], masks=masks)
        places, expected = (
            [len(self.prompt) - 1, len(self.short) - 1],
            [self.plain[0], self.plain[2]],
        )
        worst = 0.0
        for step, token in enumerate((*self.replies[0], None)):
            for row, (place, right) in zip(logits, zip(places, expected, strict=True), strict=True):
                worst = max(worst, self._apart(_logprobs(row), right[place + step]))
            if token is None:
                return worst
            if step == REPLY - 1:
                context.keep([1])
                places, expected = places[1:], expected[1:]
            logits = context.advance(torch.tensor([token] * len(places)))
        return worst

    def _by_itself(self, *, cached: bool) -> float:
        """Two rows of one length, read on, and one of them left out."""
        context = PlainContext(self.model, [self.prompt, self.prompt], cached=cached)
        logits, worst, size = context.logits, 0.0, len(self.prompt)
        for step, (one, other) in enumerate(zip(*self.replies, strict=True)):
            for row, right in zip(logits, self.plain, strict=False):
                worst = max(worst, self._apart(_logprobs(row), right[size - 1 + step]))
            logits = context.advance(torch.tensor([one, other]))
        context.keep([1])
        last = context.advance(torch.tensor([self.replies[1][-1]]))[0]
        right = self._plain((*self.texts[1], self.replies[1][-1]))[-1]
        return max(worst, self._apart(_logprobs(last), right))


def _texts(config: Any, windows: Sequence[int]) -> tuple[Text, Text, tuple[Text, Text]]:
    """A prompt longer than any window that is not too wide, a shorter one, and two replies; of
    ordinary tokens."""
    seen = max((width for width in windows if width <= WINDOW), default=0)
    longest = getattr(config, "max_position_embeddings", None) or 1 << 20
    size = max(SHORTER + 1, min(PROMPT + seen, longest - REPLY - 1))
    special = {v for k, v in config.to_dict().items() if "token" in k and isinstance(v, int)}
    ordinary = [t for t in range(3, int(config.vocab_size)) if t not in special]
    tokens = tuple(ordinary[7 * n * n % len(ordinary)] for n in range(1, size + 2 * REPLY + 1))
    replies = (tokens[size : size + REPLY], tokens[size + REPLY :])
    return tokens[:size], tokens[SHORTER:size], replies


def _not_a_language_model(model: Any) -> str:
    config = whole(model).config
    if config.is_encoder_decoder or _made_for_an_encoder(config):
        return "it is the decoder of an encoder-decoder model"
    if not isinstance(getattr(config.get_text_config(), "vocab_size", None), int):
        return "it has no vocabulary of text"
    return ""


def _made_for_an_encoder(config: Any) -> bool:
    return bool(type(config).__dict__.get("is_encoder_decoder", False))


def _rounding(logprobs: Tensor, dtype: torch.dtype) -> float:
    """What rounding in this type may change of log-probs, in nats. It grows with what is rounded:
    SmolLM2 in bfloat16 says -44 of a token, with another number of rows 0.8 nats off."""
    return 6 * torch.finfo(dtype).eps * max(2.5, float(logprobs.abs().max()))


def _logprobs(logits: Tensor) -> Tensor:
    return logits.float().log_softmax(-1)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What libraries warn of while something is tried is nobody's concern."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
