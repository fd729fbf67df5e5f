"""How much memory every stage of a recipe takes in each of its processes (on each GPU), without
weights: of its update where it learns, of its sampling where it plays.

    recipe, phases, _ = estimate_recipe(recipe, Path("runs"), gpu="H100")
    for phase in phases: print(phase.name, phase.total)

What a stage holds is summed (`held.py`), what its largest pass makes is counted (`passes.py`) on
the longest rows or the matches that a forecast counts too; where there are none, on the longest
that the recipe allows. What it simplifies: rows are told from a sample; the sampler is taken to
keep every prompt apart, and each other model of a stage to be as large as the policy; saving,
loading, the CUDA context and evaluations are left out.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import ComputeError, RecipeError
from tesuji.episodes.rewards.total import section_of
from tesuji.learners.model.inspect import ModelFacts
from tesuji.pipeline.checks.distributed import check_distributed
from tesuji.pipeline.forecast.forecast import works_of
from tesuji.pipeline.forecast.measure import take_trees
from tesuji.pipeline.forecast.sample import SampledContext, samples_of
from tesuji.pipeline.forecast.work import Work
from tesuji.pipeline.memory.batches import Batches, batches_of, kv_bytes
from tesuji.pipeline.memory.held import Sizes, held, sizes_of
from tesuji.pipeline.memory.kinds import Machine, kind_of, machine_of
from tesuji.pipeline.memory.moment import moment
from tesuji.pipeline.memory.passes import Kind, learning, reading, shaped
from tesuji.pipeline.memory.published import facts_of
from tesuji.pipeline.plan import Step, steps_of
from tesuji.pipeline.settings import settled
from tesuji.recipe.schema.pairs import DpoStage
from tesuji.recipe.schema.play import SNAPSHOT
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import PpoStage, RLStage
from tesuji.recipe.schema.sections import DistributedSection
from tesuji.recipe.schema.training import Training

Parts = dict[str, float]
PATIENCE = 60.0  # seconds of play at most: the same matches on a slow machine


@dataclass(frozen=True, slots=True)
class Phase:
    """Bytes of each part where a stage takes most, while it learns or while it samples. `tokens`
    are those of its largest pass; `a_step` those of an optimizer step's rows, where that is known;
    `seen`: rows or matches were looked at, else the pass is as large as the recipe allows."""

    stage: str
    sampling: bool
    parts: Mapping[str, float]
    tokens: int
    a_step: float | None
    seen: bool

    @property
    def name(self) -> str:
        """`ppo`, and `ppo samples`."""
        return f"{self.stage} samples" if self.sampling else self.stage

    @property
    def total(self) -> float:
        """Bytes of all parts."""
        return sum(self.parts.values())

    @property
    def largest(self) -> str:
        """The part that takes most."""
        return max(self.parts, key=lambda part: self.parts[part])


def estimate_recipe(
    recipe: Recipe, runs: Path, *, gpu: str | None = None, config: Path | None = None
) -> tuple[Recipe, list[Phase], str]:
    """The recipe with every `auto` settled, its estimate on this machine or on a GPU of this name,
    and where its model's shape was known from ("": the model is here). Raises EngineError where it
    is not known, and RecipeError where no stage learns."""
    facts, words = facts_of(recipe.model, config)
    recipe = settled(recipe, facts)
    with suppress(ComputeError):  # an engine that is not installed here may be elsewhere
        check_distributed(recipe)
    phases = estimate(recipe, facts, runs / recipe.name, machine_of(recipe.model, facts, gpu))
    if not phases:
        raise RecipeError("no stage learns, so that nothing is to be estimated", where="stages")
    return recipe, phases, words


def estimate(recipe: Recipe, facts: ModelFacts, run: Path, machine: Machine) -> list[Phase]:
    """Every stage that learns, in order. Nothing on disk changes."""
    plan = steps_of(recipe)
    learners = [step for step in plan if isinstance(step.section, Training)]
    trees = recipe.model.attn_implementation == "sdpa" and take_trees(facts, machine.dtype, "cpu")
    with samples_of(recipe, plan) as samples:
        context = SampledContext(recipe, run, plan, samples)
        works = works_of(  # a curriculum may come to play its largest game alone
            recipe, facts, context, learners, trees=trees, seconds=PATIENCE, every_game=False
        )
    phases: list[Phase] = []
    for step in learners:
        phases += _phases(step, recipe, facts, machine, works[step.name], trees)
    return phases


def _phases(
    step: Step, recipe: Recipe, facts: ModelFacts, machine: Machine, work: Work | None, trees: bool
) -> Iterator[Phase]:
    stage = step.section
    assert isinstance(stage, Training)
    kind = kind_of(stage, recipe.model, machine, trees=trees)
    batches = batches_of(stage, recipe, facts, work, trees=trees)
    four = recipe.model.load_in_4bit
    sizes = sizes_of(shaped(facts.config, kind), optimizer=stage.optimizer, four_bits=four)
    constant = dict(held(sizes, recipe.distributed)) | _beside(stage, sizes)
    made = _update(stage, facts, kind, batches, sizes, recipe.distributed, machine)
    a_step = work.tokens if work else None
    yield Phase(step.name, False, constant | made, batches.learned.tokens, a_step, batches.seen)
    if isinstance(stage, RLStage):
        kept = {part: size for part, size in constant.items() if part != "gradients"}
        made = _sampling(facts, kind, batches)
        yield Phase(step.name, True, kept | made, batches.asked.tokens, None, batches.seen)


def _update(
    stage: Training,
    facts: ModelFacts,
    kind: Kind,
    batches: Batches,
    sizes: Sizes,
    section: DistributedSection | None,
    machine: Machine,
) -> Parts:
    """Gradients, activations and logits where they are most; with a critic's own among them."""
    made = learning(facts.config, batches.learned, kind)
    on_gpu = machine.device != "cpu"
    parts = moment(made, sizes, section, again=batches.several, reserved=on_gpu)
    if isinstance(stage, PpoStage) and stage.critic:
        judged = learning(facts.config, batches.learned, kind.judging())
        parts["activations"] += judged.activations
        parts["gradients"] += held(sizes, section)["gradients"]
    return parts


def _sampling(facts: ModelFacts, kind: Kind, batches: Batches) -> Parts:
    width = 2 if kind.autocast else kind.dtype.itemsize
    made = reading(facts.config, batches.asked, kind)
    return {"activations": made, "KV cache": batches.columns * kv_bytes(facts.config, width)}


def _beside(stage: Training, sizes: Sizes) -> Parts:
    """What a stage keeps beside the model that learns."""
    parts: Parts = {}
    adapted = sizes.trained < sizes.weights
    if isinstance(stage, DpoStage):
        parts["reference"] = sizes.trained if adapted else sizes.weights
    if not isinstance(stage, RLStage):
        return parts
    if stage.beta:
        parts["reference"] = sizes.trained
    if stage.ema_decay:
        parts["average"] = sizes.trained
    if isinstance(stage, PpoStage) and stage.critic:
        parts["critic"] = sizes.weights + sizes.optimizer
    if section_of(stage.rewards, "reward_model"):
        parts["reward model"] = sizes.weights
    if _plays_snapshots(stage):
        parts["snapshots"] = stage.play.snapshots * sizes.trained
    return parts


def _plays_snapshots(stage: RLStage) -> bool:
    play = stage.play
    everybody = [*play.opponents, *(one for phase in play.curriculum for one in phase.opponents)]
    return any(one.player == SNAPSHOT for one in everybody)
