"""What a run says before it begins: the model, the device, the stages, the folder, how long."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tesuji.core.errors import TesujiError
from tesuji.learners.model.dtype import dtype_of
from tesuji.learners.model.inspect import ModelFacts, inspect_model
from tesuji.learners.model.load import device_of
from tesuji.learners.model.sources import in_words
from tesuji.pipeline.earlier_runs import estimate
from tesuji.pipeline.plan import Step
from tesuji.pipeline.settings import remarks
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import ModelSection
from tesuji.recipe.schema.training import Training


def heading(recipe: Recipe, plan: Sequence[Step], run: Path) -> str:
    """Lines of a name and what there is to say of it."""
    model = _facts(recipe.model)
    lines = [
        ("run", recipe.name),
        ("model", _model(recipe.model, model)),
        ("device", ", ".join([_device(recipe.model, model), *_processes(recipe)])),
        ("stages", " → ".join(map(_stage, plan))),
        ("rates", _rates(recipe)),
        *(("beware", words) for words in remarks(recipe, model)),
        ("folder", str(run)),
        ("time", _time(recipe, plan, run)),
    ]
    return "\n".join(f"{name:<6}  {words}" for name, words in lines if words)


def _facts(section: ModelSection) -> ModelFacts | None:
    with suppress(TesujiError):  # it was looked at before; what cannot be known is not said
        return inspect_model(section, section.base)
    return None


def _model(section: ModelSection, facts: ModelFacts | None) -> str:
    size = f"{in_millions(facts.parameters)} parameters" if facts else "to be downloaded"
    adapter = f", LoRA of rank {section.adapters.r}" if section.adapters else ""
    return f"{in_words(section.base)}, {size}{adapter}"


def _rates(recipe: Recipe) -> str:
    """The learning rate of every stage that has one; of what AdamW trains beside Muon, too."""
    rates = []
    for name, stage in recipe.stages.items():
        if isinstance(stage, Training):
            both = (stage.learning_rate, stage.adamw_learning_rate)
            rates.append(f"{name} {' and '.join(f'{one:g}' for one in both if _is_rate(one))}")
    return ", ".join(rates)


def _is_rate(value: object) -> bool:
    return isinstance(value, float)


def in_millions(count: int) -> str:
    """0.15M, 12M, 4.0B."""
    millions = count / 1e6
    if millions >= 1000:
        return f"{millions / 1000:.1f}B"
    return f"{millions:.2f}M" if millions < 10 else f"{millions:,.0f}M"


def _device(section: ModelSection, facts: ModelFacts | None) -> str:
    import torch

    device = device_of(section)
    dtype = dtype_of(section, device, facts.parameters if facts else None)
    words = [device, str(dtype).removeprefix("torch.")]
    if device == "cuda":
        words[0] = f"cuda ({torch.cuda.get_device_name()})"
    if device == "cpu":
        words.insert(1, _many(torch.get_num_threads(), "thread"))
    return ", ".join(words)


def _processes(recipe: Recipe) -> list[str]:
    section = recipe.distributed
    many = section is not None and section.processes > 1
    return [f"{section.processes} processes ({section.strategy})"] if many and section else []


def _stage(step: Step) -> str:
    """Its name, with how far it is or how long it will be."""
    if step.decision == "skip":
        return f"{step.name} (done)"
    begun = ["goes on"] if step.decision == "resume" else []
    words = ", ".join([*begun, *_length(step)])
    return f"{step.name} ({words})" if words else step.name


def _length(step: Step) -> list[str]:
    stage = step.section
    if not isinstance(stage, Training):
        return []
    steps, epochs = getattr(stage, "max_steps", -1), getattr(stage, "epochs", 0)
    early = getattr(stage, "stop_when", "never") != "never"
    early = early or getattr(stage, "early_stopping_patience", None) is not None
    length = _many(steps, "step") if steps > 0 else _many(epochs, "epoch")
    return [f"{length} at most" if early else length]


def _many(count: float, noun: str) -> str:
    return f"{count:,g} {noun}{'' if count == 1 else 's'}"


def _time(recipe: Recipe, plan: Sequence[Step], run: Path) -> str:
    left = [step for step in plan if step.decision != "skip"]
    if not left:
        return "nothing is left to do"
    known = estimate(recipe, plan, run.parent)
    if known is None:
        return f"not known yet: no run like it has ended in {run.parent} on this machine"
    seconds, name = known
    most = " at most" if any(step.decision == "resume" for step in left) else ""
    return f"{in_minutes(seconds)}{most}, by what {name} took"


def in_minutes(seconds: float) -> str:
    """`less than a minute`, `about 25 minutes`, `about 3.5 hours`."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    hours = round(minutes / 60, 1)
    return f"about {_many(minutes, 'minute') if minutes < 120 else _many(hours, 'hour')}"
