"""A model by whatever name a person gives it: a run, a stage of one, a folder, a file, a Hub id."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from tesuji.core.errors import DataError, RecipeError
from tesuji.core.progress import SILENT, Progress
from tesuji.core.run_folder import find_run
from tesuji.learners.model.load import Policy, load_policy, quiet_libraries
from tesuji.learners.model.sources import KNOWN, gguf_of
from tesuji.pipeline.models.in_run import base_model, beware, finished, learners, newest_model
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import ModelSection, PromptSection, SamplingSection

Device = Literal["auto", "cpu", "cuda", "mps"]
BASE = "base"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class Opened:
    """A model that is found and not loaded yet, with how its recipe shows prompts and samples
    (the defaults, where there is none), and what to know before it is used."""

    source: str
    section: ModelSection
    prompt: PromptSection = field(default_factory=PromptSection)
    sampling: SamplingSection = field(default_factory=lambda: SamplingSection(max_new_tokens=256))
    seed: int = 1
    beware: str = ""

    def load(self, progress: Progress = SILENT) -> Policy:
        """Load it. Raises EngineError."""
        return load_policy(self.section, self.source, progress)


def open_model(name: str, *, stage: str | None = None, device: str | None = None) -> Opened:
    """Find the model: a run's last (or that of `stage`; "base" is what it began with), a model's
    folder, a GGUF file, a known name (`smollm2`), or a Hub id. Raises DataError when there is no
    such thing, RecipeError for a wrong stage or device."""
    quiet_libraries()
    opened = _open(name, stage)
    if device is None:
        return opened
    if device not in get_args(Device):
        known = ", ".join(get_args(Device))
        raise RecipeError(f"there is no device {device!r}", where="--device", hint=known)
    section = opened.section.model_copy(update={"device": device})
    return replace(opened, section=section)


def _open(name: str, stage: str | None) -> Opened:
    if any((path / "manifest.json").is_file() for path in (Path(name), Path("runs") / name)):
        return _of_run(find_run(name), stage)
    if stage is not None:
        hint = "only runs have stages; `tesuji runs` lists them"
        raise RecipeError(f"{name} is not a run", where="--stage", hint=hint)
    for folder in (Path(name), Path(name) / "final"):
        if any((folder / file).is_file() for file in ("config.json", "adapter_config.json")):
            return Opened(str(folder), ModelSection(base=str(folder)))
    if name in KNOWN or gguf_of(name) is not None:
        return Opened(name, ModelSection(base=name))
    if Path(name).exists():
        hint = "name a run, a folder with config.json and *.safetensors, a GGUF file, or a Hub id"
        raise DataError("this is neither a run nor a model", where=name, hint=hint)
    if _HUB_ID.fullmatch(name) and not Path(name).parent.is_dir():
        return Opened(name, ModelSection(base=name))
    return _of_run(find_run(name), stage)  # raises, and says which runs there are


def _of_run(run: Path, stage: str | None) -> Opened:
    recipe = load_recipe(run / "recipe.yaml")
    source = _source(run, recipe, stage)
    words = "" if stage else beware(run, recipe)  # who names a stage knows which model it is
    return Opened(source, recipe.model, recipe.prompt, recipe.sampling, recipe.seed, words)


def _source(run: Path, recipe: Recipe, stage: str | None) -> str:
    if stage is None:
        return newest_model(run, recipe)
    if stage == BASE:
        return base_model(run, recipe)
    steps = learners(run, recipe)
    step = next((step for step in steps if step.name == stage), None)
    if step is None:
        names = ", ".join([BASE, *(step.name for step in steps)])
        raise RecipeError(f"no stage {stage!r} trained a policy", where="--stage", hint=names)
    if not finished(step, run):
        hint = f"go on with it: tesuji run {run}/recipe.yaml"
        raise DataError(f"stage {stage} is not finished", where=str(run), hint=hint)
    return str(step.folder(run).path / "final")
