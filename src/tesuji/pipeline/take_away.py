"""What a run trained, made ready for other programs: whole, as one file, or on the Hub.

trained = find_trained("runs/x")
merge(trained, Path("merged"))
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tesuji.core.checksums import CARD, CHECKSUMS, sealed_folder
from tesuji.core.errors import DataError, RecipeError
from tesuji.core.files import write_text
from tesuji.core.run_folder import find_run
from tesuji.learners.export.gguf_check import compare_gguf, reader_is_here
from tesuji.learners.export.gguf_file import OUTTYPES, refuse_unwritten, write_gguf
from tesuji.learners.export.hub import pushed_files
from tesuji.learners.export.whole import WholeModel, config_of, save_whole, whole_model
from tesuji.learners.model.load import quiet_libraries, refuse_damaged
from tesuji.learners.model.sources import ADAPTER
from tesuji.pipeline.models.in_run import finished
from tesuji.pipeline.plan import MAKES_DATA, outline
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.pairs import RewardStage
from tesuji.recipe.schema.recipe import Recipe
from tesuji.report.card.write import Form, card

DTYPES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}
Say = Callable[[str], None]
Written = tuple[Path, tuple[str, ...]]  # a folder, and in sentences how exact what is in it is


@dataclass(frozen=True, slots=True)
class TrainedStage:
    """A stage that trained a model, done to its end: `final` is the model's folder."""

    run: Path
    recipe: Recipe
    stage: str
    final: Path

    @property
    def is_adapter(self) -> bool:
        """Whether the folder holds an adapter beside the name of its base."""
        return (self.final / ADAPTER).is_file()

    def write_card(self, folder: Path, form: Form) -> None:
        """Write the card of this model into a folder that holds it in another form."""
        write_text(folder / CARD, card(self.run, self.stage, self.final, form))


def find_trained(name: str, stage: str = "") -> TrainedStage:
    """The model that a run's last stage trained, or this stage (a reward model's has to be named).

    Raises DataError where there is no such run, nothing is trained in it yet or the model is
    damaged; RecipeError for a stage that trains nothing.
    """
    quiet_libraries()
    run = find_run(name)
    recipe = load_recipe(run / "recipe.yaml")
    plan = outline(recipe)
    steps = {
        s.name: s for s in plan if s.kind != "evaluate" and not isinstance(s.section, MAKES_DATA)
    }
    if stage and stage not in steps:
        known = ", ".join(steps) or "none: this recipe trains nothing"
        raise RecipeError(f"no stage {stage!r} trained a model", where="--stage", hint=known)
    done = [n for n, s in steps.items() if finished(s, run) and (stage or s.kind != "reward")]
    if not done or (stage and stage not in done):
        what = f"stage {stage} is not finished" if stage else "nothing is trained in this run yet"
        raise DataError(what, where=str(run), hint=f"go on with it: tesuji run {run}/recipe.yaml")
    chosen = stage or done[-1]
    final = steps[chosen].folder(run).path / "final"
    if not final.is_dir():
        hint = f"tesuji run {run}/recipe.yaml makes it again"
        raise DataError(f"the model of stage {chosen} is gone", where=str(final), hint=hint)
    refuse_damaged(str(final))
    return TrainedStage(run, recipe, chosen, final)


def merge(trained: TrainedStage, out: Path | None, outtype: str, say: Say) -> Path:
    """The adapter merged into its base, in a folder for plain transformers. Raises RecipeError
    where nothing is to be merged, and as `export_safetensors` does."""
    return _merged(trained, out, outtype, say)[0]


def _merged(trained: TrainedStage, out: Path | None, outtype: str, say: Say) -> Written:
    if not trained.is_adapter:
        raise RecipeError(
            f"stage {trained.stage} trained all weights: there is no adapter to merge",
            where=str(trained.final),
            hint=f"the folder is whole; a copy: tesuji export {trained.run} --to safetensors",
        )
    return _safetensors(trained, out, outtype, say)


def export_safetensors(trained: TrainedStage, out: Path | None, outtype: str, say: Say) -> Path:
    """The whole model in a folder for plain transformers, with its card; `auto` keeps the type of
    the base's weights. Raises EngineError, DataError; RecipeError for another type."""
    return _safetensors(trained, out, outtype, say)[0]


def _safetensors(trained: TrainedStage, out: Path | None, outtype: str, say: Say) -> Written:
    if outtype not in ("auto", *DTYPES):
        known = ", ".join(("auto", *DTYPES))
        raise RecipeError(f"no {outtype} in safetensors", where="--outtype", hint=known)
    folder = _place(trained, out, "safetensors")
    whole = _whole(trained, say)
    saved = save_whole(whole, folder, DTYPES.get(outtype, whole.dtype))
    for note in saved:
        say(note)
    notes = _sentences(whole.notes + saved)
    trained.write_card(folder, Form(str(folder), notes=notes))
    return folder, notes


def export_gguf(trained: TrainedStage, out: Path | None, outtype: str, say: Say) -> Path:
    """The whole model as one GGUF file (`auto`: f16) in a folder with its card, read by llama.cpp
    where that is here; the tokenizer's files lie beside it for transformers. Raises EngineError,
    DataError; RecipeError for another type and for a reward model."""
    chosen = "f16" if outtype == "auto" else outtype
    if chosen not in OUTTYPES:
        known = ", ".join(("auto", *OUTTYPES))
        raise RecipeError(f"no {outtype} is written", where="--outtype", hint=known)
    if isinstance(trained.recipe.stages[trained.stage], RewardStage):
        hint = "export --to safetensors"
        raise RecipeError("no GGUF is written of a reward model", where=trained.stage, hint=hint)
    source = str(trained.final)
    refuse_unwritten(config_of(trained.recipe.model, source), source)
    folder = _place(trained, out, f"gguf-{chosen}")
    whole, name = _whole(trained, say), f"{trained.recipe.name}-{chosen}.gguf"
    with sealed_folder(folder) as aside:
        write_gguf(whole.model, whole.tokenizer, aside / name, chosen, name=trained.recipe.name)
        whole.tokenizer.save_pretrained(aside)
        note = _read_by_llama_cpp(aside / name, whole)
    say(note)
    config = whole.model.config
    head_dim = config.head_dim if config.model_type == "qwen3" else 0
    form = Form(str(folder), gguf=name, head_dim=head_dim, notes=_sentences((*whole.notes, note)))
    trained.write_card(folder, form)
    return folder / name


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a push will send: `names` of the files in `folder`, and the text of the card."""

    folder: Path
    names: list[str]
    card: str

    def size(self, name: str) -> int:
        """Bytes of this file as it is sent: the card is the one made here, whatever lies there."""
        return len(self.card.encode()) if name == CARD else (self.folder / name).stat().st_size


def pack(trained: TrainedStage, to: str, merged: bool, say: Say) -> Parcel:
    """The model as it goes to `to` on the Hub: as it is, or (`merged`) its adapter merged first.
    Nothing is sent yet. Raises as `merge` does, EngineError for what is of no use elsewhere, and
    DataError where a file holds a secret."""
    folder, notes = _merged(trained, None, "auto", say) if merged else (trained.final, ())
    form = Form(to, adapter=trained.is_adapter and not merged, notes=notes)
    text = card(trained.run, trained.stage, folder, form)
    return Parcel(folder, pushed_files(folder, text), text)


def _read_by_llama_cpp(file: Path, whole: WholeModel) -> str:
    if not reader_is_here():
        return "not checked: with `pip install xllamacpp` llama.cpp would read the file here"
    off = compare_gguf(file, whole.model, whole.tokenizer)
    return f"read by llama.cpp: the likeliest tokens' log-probs are at most {off:.2g} nats off"


def _whole(trained: TrainedStage, say: Say) -> WholeModel:
    whole = whole_model(trained.recipe.model, str(trained.final))
    for note in whole.notes:
        say(note)
    return whole


def _place(trained: TrainedStage, out: Path | None, form: str) -> Path:
    """The folder to write into. Raises DataError where something is in it that is not ours."""
    folder = out or trained.run / "exports" / f"{trained.stage}-{form}"
    others = folder.exists() and not (folder / CHECKSUMS).is_file()
    if others and (not folder.is_dir() or any(folder.iterdir())):
        hint = "choose another with --out"
        raise DataError("there is something else in this place", where=str(folder), hint=hint)
    return folder


def _sentences(notes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(note[0].upper() + note[1:] for note in notes)
