"""From a recipe to the ordered steps of a run, and what is left to do of each.

A step's key is a hash of all it depends on: its own section, the game, the prompt, the seed and
the keys of the steps it reads from. Finished with the same key: skipped. Half done: resumed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tesuji.core.errors import DataError
from tesuji.core.plugins import OURS
from tesuji.core.run_folder import StageFolder, key_of
from tesuji.evaluation.results import load_evaluation
from tesuji.learners.model.sources import content_of
from tesuji.recipe.schema.data import DataStage, LogsStage
from tesuji.recipe.schema.endpoint import answers_only
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.sections import Section, replies_only
from tesuji.recipe.schema.stages import SftStage

MAKES_DATA = (DataStage, LogsStage)
WHO_READS = ("engine", "address", "processes")  # of logs: what changes nothing in the rows
Decision = Literal["run", "resume", "skip"]
WHY: Mapping[str, tuple[Decision, str]] = {
    "absent": ("run", "not done yet"),
    "changed": ("run", "the recipe changed; the old results are kept beside it"),
    "lost": ("run", "its files are damaged; they are kept beside it"),
    "half-done": ("resume", "was interrupted"),
    "unsure": ("resume", "its done.json is damaged"),
    "done": ("skip", "done, and nothing it depends on has changed"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: `kind` is a stage's kind, or "evaluate".

    `section` is its part of the recipe; `model_from`, `data_from` and `reward_from` name the steps
    whose results it reads ("" for the base model, no data, no reward model).
    """

    index: int
    name: str
    kind: str
    section: Section
    key: str
    model_from: str = ""
    data_from: str = ""
    reward_from: str = ""
    decision: Decision = "run"
    why: str = ""

    def folder(self, run: Path) -> StageFolder:
        """Where this step's results are."""
        return StageFolder(run, self.index, self.name)


def make_plan(recipe: Recipe, run: Path) -> list[Step]:
    """The steps in order, each with its decision against what is in `run`.

    Raises DataError when the run folder holds something unreadable.
    """
    return decide(steps_of(recipe), run)


def steps_of(recipe: Recipe) -> list[Step]:
    """The steps in order, whatever is done of them already."""
    return _with_keys(recipe, outline(recipe))


def decide(plan: Sequence[Step], run: Path) -> list[Step]:
    """The steps, each with its decision against what is in `run` now. Raises DataError.

    A step that is done is gone on with where its evaluation cannot be read, or a step that is still
    to be done reads a file of it that is gone, or the run's model is.
    """
    steps: list[Step] = []
    needed = {step.model_from for step in plan[-1:]}  # what the run is for
    for step in reversed([_decided(step, run) for step in plan]):
        if step.decision == "skip" and (why := _lost(step, run, step.name in needed)):
            step = replace(step, decision="resume", why=why)
        if step.decision != "skip":
            needed |= {step.model_from, step.data_from, step.reward_from}
        steps.append(step)
    return steps[::-1]


def _lost(step: Step, run: Path, needed: bool) -> str:
    """What of a finished step's results is no longer there, in words; "" where nothing is."""
    folder = step.folder(run).path
    if step.kind == "evaluate":
        try:
            load_evaluation(folder / "evaluation.json")
        except DataError:
            return "its evaluation.json cannot be read"
        return ""
    result = "train.jsonl" if isinstance(step.section, MAKES_DATA) else "final"
    return f"its {result} is gone" if needed and not (folder / result).exists() else ""


def outline(recipe: Recipe) -> list[Step]:
    """The steps without their keys: enough to find their results, without the files they were made
    from. Stages in recipe order; "before" stands in front of the first learner, "after" at the end.
    A reward stage learns from the policy and leaves it as it was."""
    steps: list[Step] = []
    looks = recipe.evaluation
    reads: dict[str, Any] = {"model_from": "", "data_from": "", "reward_from": ""}

    def add(name: str, kind: str, section: Section) -> None:
        steps.append(replace(Step(len(steps), name, kind, section, ""), **reads))

    learners = [n for n, section in recipe.stages.items() if not isinstance(section, MAKES_DATA)]
    last = next((n for n in learners[::-1] if recipe.stages[n].kind != "reward"), "")
    for name, section in recipe.stages.items():
        if learners and name == learners[0] and looks.before:
            add("before", "evaluate", looks)
        add(name, section.kind, section)
        if isinstance(section, MAKES_DATA):
            reads["data_from"] = name
        elif section.kind == "reward":
            reads["reward_from"] = name
        else:
            reads["model_from"] = name
            if looks.each_stage and name != last:
                add(f"after-{name}", "evaluate", looks)
    if last or not (learners and looks.before):
        add("after" if last else "before", "evaluate", looks)
    return steps


def _with_keys(recipe: Recipe, steps: list[Step]) -> list[Step]:
    keys: dict[str, str] = {"": ""}
    keyed = []
    for step in steps:
        needs = _needs(step) | {"game", "prompt", "seed"}
        shared = answers_only(recipe.model_dump(mode="json", include=needs))
        if "sampling" in shared:
            shared["sampling"] = replies_only(shared["sampling"])
        if "model" in shared:
            del shared["model"]["overrides"]  # settled
            shared["model"]["base"] = content_of(recipe.model.base)
        shared["game"]["name"] = shared["game"]["name"].removeprefix(f"{OURS}:")  # the same game
        own = answers_only(step.section.model_dump(mode="json"))
        if isinstance(step.section, LogsStage):
            own = {key: own[key] for key in own if key not in WHO_READS} | {"processes": None}
        reads = [keys[step.model_from], keys[step.data_from], _files(step)]
        reads += [keys[step.reward_from]] if step.reward_from else []
        keys[step.name] = key_of(step.kind, own, shared, reads)
        keyed.append(replace(step, key=keys[step.name]))
    return keyed


def _needs(step: Step) -> set[str]:
    """The recipe's sections, beside its own, that a step's results depend on."""
    if isinstance(step.section, RLStage):
        return {"model", "sampling"} | ({"evaluation"} if step.section.eval_steps else set())
    if isinstance(step.section, MAKES_DATA):
        return set()
    return {"model", "sampling"} if step.kind == "evaluate" else {"model"}


def _files(step: Step) -> str:
    """What tells the user's own files from edited ones: the content of a data file, names, sizes
    and times of logs."""
    section = step.section
    if isinstance(section, LogsStage):
        return key_of(*(_fingerprint(Path(path)) for path in section.paths))
    if not isinstance(section, SftStage | PairTraining) or section.data is None:
        return ""
    try:
        return hashlib.sha256(Path(section.data).read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(
            f"cannot read {section.data}: {error.strerror or error}",
            where=f"stages.{step.name}.data",
            hint="name a JSONL file of rows",
        ) from error


def _fingerprint(path: Path) -> list[tuple[str, int, int]]:
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return [(str(f.relative_to(path)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]


def _decided(step: Step, run: Path) -> Step:
    decision, why = WHY[step.folder(run).status(step.key)]
    return replace(step, decision=decision, why=why)
