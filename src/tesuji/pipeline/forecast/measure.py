"""How fast a model reads and learns on this machine, measured for a few seconds.

What it simplifies: passes of random tokens, as trees where a batch is one, logits of the last few
only; a pass of another size takes what a straight line through two sizes says. The model's own
weights are not needed for that, so one that would take too long here is measured as two of its
layers, and those not either where even one pass of them would.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.errors import EngineError
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.dtype import dtype_of, parameters_of
from tesuji.learners.model.inspect import ModelFacts
from tesuji.learners.model.load import Policy, device_of, fit_threads, load_policy
from tesuji.learners.model.rules import context_of
from tesuji.learners.model.tiny import build_model
from tesuji.learners.model.tree_states import tree_states
from tesuji.learners.sft.collate import reads_trees
from tesuji.players.sampling.head import own_logits
from tesuji.players.sampling.support_check import require_support
from tesuji.players.sampling.tree_attention import use_tree_attention
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import ModelSection
from tesuji.recipe.schema.training import Training

LENGTH = 64  # tokens of a row to measure with, at most
WHOLE = 5.0  # seconds that loading the model and its first passes may be expected to take
LOADING = 2e-8  # seconds a parameter, of a slow disk
CHECKING = 250  # tokens that the check of a model's code reads
MOST = 1_000_000_000  # parameters of what is measured
STEPPED = 30_000_000  # parameters that an optimizer is measured with
BUDGET = 2.0  # seconds that one kind of pass may take at its largest size
FURTHER = 8  # times as many tokens as one row has, for which it tells the memory
LOGITS = 4  # tokens of a row whose logits are computed, as of a short reply


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds of a pass over some tokens: a share of its own, and one a token."""

    constant: float
    per_token: float

    def __call__(self, tokens: float) -> float:
        """Seconds for so many tokens."""
        return self.constant + self.per_token * tokens


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds: to load the model, of passes that read and that learn, of an optimizer step. Bytes:
    what the model takes with what its optimizer keeps, and the activations of a token, in a pass of
    at most `tokens`."""

    load: float
    read: Line
    learn: Line
    optimizer: float
    resident: float
    per_token: float
    tokens: int = 0

    def memory(self, tokens: float) -> float:
        """Bytes of a pass over so many tokens; 0, not known, where there was time for one short row
        only: most of what that takes does not grow with the tokens."""
        alone = self.tokens <= LENGTH and tokens > FURTHER * self.tokens
        return 0.0 if alone else self.resident + self.per_token * tokens


@dataclass(frozen=True, slots=True)
class Made:
    """A model to measure, on which adapters are. The real one has `times` as many layers; a token
    takes it `pace` seconds a parameter, as far as multiplying goes. `trees`: it reads a batch as
    one tree."""

    model: Any
    times: float
    parameters: int
    load: float
    pace: float
    trees: bool


def made(recipe: Recipe, facts: ModelFacts) -> Made:
    """The recipe's model, or two of its layers. Raises EngineError where those are too large."""
    section, started = recipe.model, time.perf_counter()
    pace, times, size = _pace(section, facts), 1.0, facts.parameters
    load = size * (LOADING + CHECKING * pace)
    if load + size * 8 * LENGTH * pace < WHOLE:  # 8: two passes that learn, two that read
        tiny = facts.source == "tiny"
        model = build_model(section.tiny, recipe.seed) if tiny else None
        model = model or load_policy(section, facts.source).model
        require_support(model, facts.source)
        fit_threads(model)
        trees, load = reads_trees(model), time.perf_counter() - started
    else:
        config, device = _two_layers(facts), device_of(section)
        dtype = dtype_of(section, device, size)
        times = facts.config.get_text_config().num_hidden_layers / 2
        trees = take_trees(facts, dtype, device)
        model = _empty(config, dtype, device)
        if trees:
            use_tree_attention(model)
    return Made(_adapted(recipe, facts, model), times, size, load, pace, trees)


def measure(made: Made, stage: Training, length: int, ends: float) -> tuple[Speed, str]:
    """The model's speed in texts of `length` tokens, and how it was measured. No pass begins of
    which it is known that it would not be done at `ends` (monotonic seconds); what is not measured
    for that is guessed, and said to be. Raises EngineError where there is no time for any."""
    model, times = made.model, made.times
    size = sum(p.numel() for p in model.parameters())
    pass_of_one = 3 * size * made.pace  # token
    length = min(length, int((ends - time.monotonic()) / 6 / pass_of_one))
    length = max(8, min(length, context_of(model.config) or length))
    if 2 * length * pass_of_one > ends - time.monotonic():
        raise EngineError("one pass of it would take too long here", where="model.base")
    model.train()
    learn, per_token, tokens = _line(model, length, lambda ids: _learn(made, ids), ends)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    trained = int(trained * times) if trained < size else made.parameters
    optimizer = _optimizer_step(stage, made, ends) * trained
    model.zero_grad(set_to_none=True)
    model.eval()
    how = "measured" if times == 1 else "measured on two of its layers"
    if not optimizer or time.monotonic() + learn(length) > ends:
        read, how = _times(learn, 1 / 3), f"{how}, in part: its time was up"
    else:
        read, _, _ = _line(model, length, lambda ids: _read(made, ids), ends)
    weights = sum(p.numel() * p.element_size() for p in model.parameters()) / size
    return Speed(
        made.load,
        _times(read, times),
        _times(learn, times),
        optimizer,
        made.parameters * weights + 12 * trained,  # a gradient and AdamW's two means, in float32
        times * per_token,
        tokens,
    ), how


def guess(made: Made) -> Speed:
    """The model's speed as this machine multiplies matrices, where no pass was timed: attention,
    optimizer and memory are not in it."""
    read = Line(0.0, made.pace * made.parameters)
    return Speed(made.load, read, _times(read, 3), 0.0, 0.0, 0.0)


def _pace(section: ModelSection, facts: ModelFacts) -> float:
    """Seconds that this machine takes for a token and a parameter, in a product of matrices."""
    import torch

    device = device_of(section)
    dtype = dtype_of(section, device, facts.parameters)
    tokens, weights = (torch.ones(rows, 1024, device=device, dtype=dtype) for rows in (64, 1024))
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        float((tokens @ weights)[0, 0])  # waits for a GPU
        seconds.append(time.perf_counter() - started)
    return min(seconds) / (64 * 1024 * 1024)


def _two_layers(facts: ModelFacts) -> Any:
    """The configuration of two layers, with a small vocabulary."""
    config = copy.deepcopy(facts.config)
    text = config.get_text_config()
    text.num_hidden_layers = 2
    text.vocab_size = min(text.vocab_size, 1024)
    text.pad_token_id = None
    if getattr(text, "layer_types", None):
        text.layer_types = (2 * text.layer_types)[:2]  # a model may have one layer
    if parameters_of(config) > MOST:
        raise EngineError(f"{facts.source} is too large for that", where="model.base")
    return config


def _empty(config: Any, dtype: Any, device: str) -> Any:
    """A model whose weights are any, for none are drawn."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model = model.to_empty(device=device)
    model.tie_weights()
    for parameter in (*model.parameters(), *model.buffers()):
        parameter.data.fill_(0.01)
    return model


def take_trees(facts: ModelFacts, dtype: Any, device: str) -> bool:
    """Whether models of this kind read trees: a narrower one is drawn, and its code checked. Raises
    EngineError where that code cannot be run rightly."""
    import torch
    from transformers import AutoModelForCausalLM

    narrow = _two_layers(facts)
    narrow.get_text_config().intermediate_size = 256
    with torch.random.fork_rng():
        model = AutoModelForCausalLM.from_config(narrow, dtype=dtype).to(device)
    require_support(model, facts.source)
    return reads_trees(model)


def _adapted(recipe: Recipe, facts: ModelFacts, model: Any) -> Any:
    policy, adapters = Policy(model, facts.tokenizer, facts.source), recipe.model.adapters
    return with_adapter(policy, adapters).model if adapters else model


def _line(
    model: Any, length: int, run: Callable[[Any], None], ends: float
) -> tuple[Line, float, int]:
    """The line through two sizes, the larger as large as time allows; its bytes a token, and its
    tokens."""
    import torch

    draw = torch.Generator().manual_seed(1)
    most = model.get_input_embeddings().weight.shape[0]
    points: list[tuple[int, float, float]] = []
    rows, seconds, warm = 1, 0.0, False
    while rows <= 32 and (not points or 2.5 * seconds < min(BUDGET, ends - time.monotonic())):
        ids = torch.randint(most, (rows, length), generator=draw).to(model.device)
        _forget_peak()
        before, started = _peak() - _gradients(model), time.perf_counter()
        run(ids)
        seconds = time.perf_counter() - started
        if warm or seconds > BUDGET / 2:  # the first pass allocates
            points.append((rows * length, seconds, max(0.0, _peak() - _gradients(model) - before)))
            rows *= 2
        warm = True
    (few, fast, _), (many, slow, memory) = points[0], points[-1]
    if many == few:
        return Line(0.0, slow / many), memory / many, many
    slope = max(0.0, (slow - fast) / (many - few))
    return Line(max(0.0, fast - slope * few), slope), memory / many, many


def _gradients(model: Any) -> float:
    """Bytes, which the first pass takes for all others."""
    return float(sum(p.grad.nbytes for p in model.parameters() if p.grad is not None))


def _learn(made: Made, ids: Any) -> None:
    _logits(made, ids, LOGITS).float().logsumexp(-1).mean().backward()
    _wait(made.model)


def _read(made: Made, ids: Any) -> None:
    import torch

    with torch.no_grad():
        _logits(made, ids, 1)
    _wait(made.model)


def _logits(made: Made, ids: Any, most: int) -> Any:
    """Of so many tokens of a row, of rows as a tree where the model reads one."""
    if not made.trees:
        return made.model(input_ids=ids, logits_to_keep=most, use_cache=False).logits
    states, _ = tree_states(made.model, ids.tolist())
    return own_logits(made.model, states[-most * len(ids) :])


def _wait(model: Any) -> None:
    import torch

    if model.device.type == "cuda":
        torch.cuda.synchronize()


def _optimizer_step(stage: Training, made: Made, ends: float) -> float:
    """Seconds a trained parameter, of a step with the smaller ones; 0 where there is no time."""
    import torch

    from tesuji.learners.trainer.muon import muon

    with_gradient = [p for p in made.model.parameters() if p.grad is not None]
    stepped = 0
    for parameter in sorted(with_gradient, key=lambda p: p.numel()):
        if stepped + parameter.numel() > STEPPED and stepped:
            parameter.grad = None
        else:
            stepped += parameter.numel()
    work = 15 * 1024 * stepped * made.pace if stage.optimizer == "muon" else 0.0
    if time.monotonic() + 2 * work > ends:
        return 0.0
    if stage.optimizer == "muon":
        optimizer: Any = muon(stage, made.model)
    else:
        optimizer = torch.optim.AdamW([p for p in with_gradient if p.grad is not None], lr=1e-9)
    optimizer.step()  # the first one allocates
    started = time.perf_counter()
    optimizer.step()
    _wait(made.model)
    return (time.perf_counter() - started) / stepped


def _times(line: Line, scale: float) -> Line:
    return Line(line.constant * scale, line.per_token * scale)


def _forget_peak() -> None:
    """Let the most memory used be counted from now on."""
    import contextlib

    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float:
    """The most memory used since, in bytes: of the GPU, or of this process (Linux; else 0)."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(1024.0 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
