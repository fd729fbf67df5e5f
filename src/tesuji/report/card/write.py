"""The card of a trained model: README.md beside the weights, as the Hugging Face Hub shows it.

    write_card(Path("runs/tictactoe-tiny"), "sft", Path("runs/tictactoe-tiny/stages/02-sft/final"))

Every stage that trains writes one into its `final/`, and the evaluation after it writes it anew,
with its figures. The lines of Python on it need transformers (and peft, for an adapter), no Tesuji.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from tesuji.core.checksums import CARD
from tesuji.core.files import write_text
from tesuji.core.json_dataclass import json_safe
from tesuji.core.redact import redact, redact_all, safe_all
from tesuji.evaluation.results import Evaluation
from tesuji.learners.model.load import load_tokenizer
from tesuji.learners.model.sources import ADAPTER
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.data import DataStage, LogsStage
from tesuji.recipe.schema.pairs import RewardStage
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import ModelSection
from tesuji.report.card.base import BaseModel, describe_base
from tesuji.report.card.example import CardExample, find_example
from tesuji.report.card.snippet import play_snippet, score_snippet
from tesuji.report.collect import RunSummary, collect
from tesuji.report.headline import headline
from tesuji.report.page import markdown_template
from tesuji.report.tables.held_out import rows_of, rows_view
from tesuji.report.tables.questions import tasks_view
from tesuji.report.views.pairs import pairs_view
from tesuji.report.views.run import facts, judged
from tesuji.report.words import totals

METHODS = {
    "sft": "supervised fine-tuning (SFT)",
    "dpo": "direct preference optimisation (DPO)",
    "reward": "learning which of two replies is better (a reward model)",
    "grpo": "reinforcement learning by play (GRPO)",
    "ppo": "reinforcement learning by play (PPO)",
    "reinforce++": "reinforcement learning by play (REINFORCE++)",
}


@dataclass(frozen=True, slots=True)
class Form:
    """The form in which a model lies in its folder: `name` is what the card's code calls it (a
    folder, or its place on the Hub), `gguf` the file's name where it is one, `head_dim` what
    transformers does not read out of such a file (0: it does); `notes` are sentences on how it was
    made of the run's own."""

    name: str
    adapter: bool = False
    gguf: str = ""
    head_dim: int = 0
    notes: tuple[str, ...] = ()


def write_card(run: Path, stage: str, folder: Path) -> Path:
    """Write the card of what `stage` of `run` trained and saved in `folder`; return its path.
    Raises DataError, EngineError."""
    form = Form(str(folder), adapter=(folder / ADAPTER).is_file())
    write_text(folder / CARD, card(run, stage, folder, form))
    return folder / CARD


def card(run: Path, stage: str, tokenizer: Path, form: Form) -> str:
    """The text of the card of what `stage` of `run` trained, with the tokenizer of that folder."""
    summary, recipe = collect(run), load_recipe(run / "recipe.yaml")
    base, example = describe_base(recipe.model), find_example(summary, recipe, stage)
    page = safe_all(json_safe(_page(summary, recipe, stage, base, example)))
    page |= {"adapter": form.adapter, "gguf": form.gguf, "place": form.name, "notes": form.notes}
    page["snippet"] = redact(_snippet(tokenizer, recipe, stage, example, form))
    front = redact_all(front_of(recipe, stage, base, form))
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n{markdown_template('model_card.md.j2').render(page)}\n"


def front_of(recipe: Recipe, stage: str, base: BaseModel, form: Form) -> dict[str, Any]:
    """What the Hub reads at the head of a card."""
    kind = recipe.stages[stage].kind
    reward = kind == "reward"
    known = {"license": base.license, "base_model": base.hub_id}
    return {
        **{key: value for key, value in known.items() if value},
        "library_name": "peft" if form.adapter else "gguf" if form.gguf else "transformers",
        "pipeline_tag": "text-classification" if reward else "text-generation",
        "tags": ["tesuji", "games", game_of(recipe), kind, *(["lora"] if form.adapter else [])],
    }


def game_of(recipe: Recipe) -> str:
    """The name of the game that was learned: of a recipe that learns from logs, the table's."""
    return (recipe.evaluation.game or recipe.game).name


def _page(
    run: RunSummary, recipe: Recipe, stage: str, base: BaseModel, example: CardExample | None
) -> dict[str, Any]:
    looks = _looks(run, stage)
    trained = [s for s in run.stages if s.name.partition("-")[2] == stage]
    after = looks[-1] if looks and looks[-1].label != "before" else None
    return {
        "name": run.name,
        "stage": stage,
        "reward": isinstance(recipe.stages[stage], RewardStage),
        "base": asdict(base),
        "methods": [METHODS[recipe.stages[name].kind] for name in _line(recipe, stage)],
        "headline": headline(after, looks[0] if len(looks) > 1 else None).sentence,
        **judged(looks),
        "game": game_of(recipe),
        "tasks": tasks_view(looks),
        "held_out": rows_view(rows_of(looks)),
        "pairs": pairs_view(trained),
        "example": asdict(example) if example else {},
        "training": [pair for s in trained for pair in facts(s.training)],
        "limits": _limits(run, recipe, stage, after),
        **_origin(run, recipe),
    }


def _looks(run: RunSummary, stage: str) -> list[Evaluation]:
    """The evaluation of this stage's model, and of the model before training beside it."""
    own = [look for look in run.looks if look.label == f"after {stage}"]
    return [look for look in run.looks if look.label == "before"] + own if own else []


def _line(recipe: Recipe, stage: str) -> list[str]:
    """The stages whose training is in this model, its own last: policies go on from each other, a
    reward model begins with the policy of its day."""
    names = list(recipe.stages)
    before = names[: names.index(stage)]
    aside = (DataStage, LogsStage, RewardStage)
    return [*(n for n in before if not isinstance(recipe.stages[n], aside)), stage]


def _limits(run: RunSummary, recipe: Recipe, stage: str, after: Evaluation | None) -> list[str]:
    reward = isinstance(recipe.stages[stage], RewardStage)
    if reward:
        return [
            "Its scores compare replies to one prompt; by themselves they say nothing.",
            "It was trained on pairs in the prompt format above; on others it was not tried.",
            f"One run, seed {recipe.seed}: another seed may come out otherwise.",
        ]
    silent = "It was not evaluated: how well it plays is not known."
    illegal = sum(row.illegal for row in totals(after)) if after else 0
    known = (
        "" if after else silent,
        "It may reply what is no legal move: limit its replies, or ask again." if illegal else "",
        f"It was trained on {game_of(recipe)} in the prompt format above; other games, other words"
        " and longer talk were not tried"
        + ("." if recipe.model.base == "tiny" else ", and what its base could do may be lost."),
        f"One run, seed {recipe.seed}: another seed may come out otherwise.",
    )
    return [sentence for sentence in known if sentence]


def _origin(run: RunSummary, recipe: Recipe) -> dict[str, Any]:
    """How to make it again. The folder of whoever made it is nobody's business."""
    home = str(Path.home())
    command = str(run.manifest.get("command") or "")
    by_command = command.startswith("tesuji run ")
    versions = run.manifest.get("versions")
    return {
        "command": (command if by_command else "tesuji run recipe.yaml").replace(home, "~"),
        "versions": facts(versions if isinstance(versions, Mapping) else {}),
        "seed": recipe.seed,
        "recipe": run.recipe.replace(home, "~"),
    }


def _snippet(
    tokenizer: Path, recipe: Recipe, stage: str, example: CardExample | None, form: Form
) -> str:
    if example is None:
        return ""
    loaded = load_tokenizer(ModelSection(base=str(tokenizer)), str(tokenizer), here=True)
    if isinstance(recipe.stages[stage], RewardStage):
        return score_snippet(loaded, example, name=form.name, adapter=form.adapter)
    return play_snippet(
        loaded,
        example,
        name=form.name,
        adapter=form.adapter,
        gguf=form.gguf,
        head_dim=form.head_dim,
        enable_thinking=recipe.prompt.enable_thinking,
        max_new_tokens=recipe.sampling.max_new_tokens,
    )
