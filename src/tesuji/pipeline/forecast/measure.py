"""How fast a model reads and learns on this machine, measured for a few seconds.

What it simplifies: passes of random tokens in rows of one length, logits of the last tokens only; a
pass of another size takes what a straight line through two sizes says. The model's own weights are
not needed for that, so a large one is measured as two of its layers.
"""

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
from tesuji.learners.model.tiny import build_model
from tesuji.players.sampling.support_check import require_support
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.training import Training

WHOLE = 300_000_000  # parameters; a larger model is measured by two layers
MOST = 1_000_000_000  # parameters of what is measured
BUDGET = 2.0  # seconds that one kind of pass may take at its largest size
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
    what the model takes with what its optimizer keeps, and the activations of a token."""

    load: float
    read: Line
    learn: Line
    optimizer: float
    resident: float
    per_token: float


def measure(recipe: Recipe, facts: ModelFacts, stage: Training, length: int) -> tuple[Speed, str]:
    """The speed of the recipe's model in rows of `length` tokens, and how it was measured."""
    started = time.perf_counter()
    model, scale, how = _made(recipe, facts)
    load = time.perf_counter() - started
    model.train()
    length = max(8, min(length, facts.context or length))
    learn, per_token = _line(model, length, lambda ids: _learn(model, ids))
    optimizer = _timed(_optimizer(stage, model).step, model)
    model.zero_grad(set_to_none=True)
    model.eval()
    read, _ = _line(model, length, lambda ids: _read(model, ids))
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return Speed(
        load,
        _times(read, scale),
        _times(learn, scale),
        optimizer * scale,
        scale * (weights + 12 * trained),  # a gradient and AdamW's two means, in float32
        scale * per_token,
    ), how


def _made(recipe: Recipe, facts: ModelFacts) -> tuple[Any, float, str]:
    """(the model as it is trained, how many times its work the real one has, how it was made)."""
    section = recipe.model
    if facts.source == "tiny":
        model, scale, how = build_model(section.tiny, recipe.seed), 1.0, "measured"
        require_support(model, facts.source)  # as loading does
    elif facts.parameters <= WHOLE:
        return _adapted(recipe, load_policy(section, facts.source)), 1.0, "measured"
    else:
        model, scale = _two_layers(recipe, facts)
        how = "measured on two of its layers"
    fit_threads(model)
    return _adapted(recipe, Policy(model, facts.tokenizer, facts.source)), scale, how


def _two_layers(recipe: Recipe, facts: ModelFacts) -> tuple[Any, float]:
    import copy

    import torch
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(facts.config)
    text = config.get_text_config()
    text.num_hidden_layers = 2
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:2]
    if parameters_of(config) > MOST:
        raise EngineError(f"{facts.source} is too large for that", where="model.base")
    device = device_of(recipe.model)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            config, dtype=dtype_of(recipe.model, device, facts.parameters)
        )
    model = model.to_empty(device=device)
    model.tie_weights()
    for parameter in (*model.parameters(), *model.buffers()):
        parameter.data.fill_(0.01)
    return model, facts.parameters / parameters_of(config)


def _adapted(recipe: Recipe, policy: Policy) -> Any:
    adapters = recipe.model.adapters
    return with_adapter(policy, adapters).model if adapters else policy.model


def _line(model: Any, length: int, run: Callable[[Any], None]) -> tuple[Line, float]:
    """The line through two sizes, the larger as large as time allows, and bytes a token."""
    import torch

    draw = torch.Generator().manual_seed(1)
    most = model.get_input_embeddings().weight.shape[0]
    points: list[tuple[int, float, float]] = []
    rows, seconds, warm = 1, 0.0, False
    while rows <= 32 and (not points or 2.5 * seconds < BUDGET):
        ids = torch.randint(most, (rows, length), generator=draw).to(model.device)
        _forget_peak()
        before, started = _peak(), time.perf_counter()
        run(ids)
        seconds = time.perf_counter() - started
        if warm or seconds > BUDGET / 2:  # the first pass allocates
            points.append((rows * length, seconds, max(0.0, _peak() - before)))
            rows *= 2
        warm = True
    (few, fast, _), (many, slow, memory) = points[0], points[-1]
    if many == few:
        return Line(0.0, slow / many), memory / many
    slope = max(0.0, (slow - fast) / (many - few))
    return Line(max(0.0, fast - slope * few), slope), memory / many


def _learn(model: Any, ids: Any) -> None:
    logits = model(input_ids=ids, logits_to_keep=LOGITS, use_cache=False).logits
    logits.float().logsumexp(-1).mean().backward()
    _wait(model)


def _read(model: Any, ids: Any) -> None:
    import torch

    with torch.no_grad():
        model(input_ids=ids, logits_to_keep=1, use_cache=False)
    _wait(model)


def _wait(model: Any) -> None:
    import torch

    if model.device.type == "cuda":
        torch.cuda.synchronize()


def _optimizer(stage: Training, model: Any) -> Any:
    import torch

    from tesuji.learners.trainer.muon import muon

    if stage.optimizer == "muon":
        return muon(stage, model)
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-9)


def _timed(step: Callable[[], Any], model: Any) -> float:
    step()  # the first one allocates
    started = time.perf_counter()
    step()
    _wait(model)
    return time.perf_counter() - started


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
