"""What the parts of one run share in the outputs volume, so that each finds what the ones before it
have left:

    data/raw_logs/...       the logs as they were uploaded; raw_logs.json, written last, says which
    data/processed, final   links to what the run has made of them
    models/RUN/             the run folder: sft/final, dpo/final, training_summary_sft.json, ...
"""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import modal

from tesuji.compute.launch import Say, Shared
from tesuji.compute.modal.errors import speaking
from tesuji.compute.modal.volumes import OUTPUTS, read
from tesuji.core.errors import ComputeError
from tesuji.pipeline.parts import Part, part_of
from tesuji.pipeline.plan import Step, outline
from tesuji.recipe.schema.data import LogsStage
from tesuji.recipe.schema.recipe import Recipe

DATA, MODELS, RAW = "data", "models", "raw_logs"
UPLOADED = f"{DATA}/{RAW}.json"
READERS = 8  # containers that read logs at once, at most
OF_LOGS = ("processed", "final")  # folders of the stage that reads logs


def logs_stage(recipe: Recipe) -> str:
    """The name of the stage that reads logs. Raises ComputeError where there is none."""
    for name, stage in recipe.stages.items():
        if isinstance(stage, LogsStage):
            return name
    hint = "a recipe such as mafia/sft-dpo; others are launched without --only and --all"
    raise ComputeError("no stage of this recipe reads logs", where="--only", hint=hint)


def place_of(logs: Path) -> str:
    """Where logs of that path are for a container. They keep their name, by which rows and refusals
    call them; a folder called `raw_logs` is that folder."""
    name = logs.resolve().name
    return f"{OUTPUTS}/{DATA}/{RAW}" + ("" if name == RAW and logs.is_dir() else f"/{name}")


def upload(logs: Path, outputs: modal.Volume, say: Say) -> None:
    """Put the logs into the volume in place of what was uploaded before; nothing is done where the
    same are there. A half upload is none: what says that they are there comes last."""
    found = list(_files(logs))
    told = json.dumps(_told(logs, found), indent=2).encode()
    if read(outputs, UPLOADED) == told:
        say(f"upload: the same {len(found):,} files are there already")
        return
    with speaking("uploading"):
        for old in (UPLOADED, f"{DATA}/{RAW}"):
            with suppress(FileNotFoundError, modal.exception.NotFoundError):
                outputs.remove_file(old, recursive=True)
        with outputs.batch_upload(force=True) as batch:
            for path, name in found:
                batch.put_file(path, name)
        with outputs.batch_upload(force=True) as batch:
            batch.put_file(io.BytesIO(told), f"/{UPLOADED}")
    size = sum(path.stat().st_size for path, _ in found)
    say(f"upload: {len(found):,} files, {size / 1e6:,.1f} MB")


def uploaded(outputs: modal.Volume) -> str | None:
    """Where a container finds the logs; None where none were uploaded."""
    told = read(outputs, UPLOADED)
    return None if told is None else str(json.loads(told)["place"])


def shared(recipe: Recipe, part: Part, readers: int) -> Shared:
    """What a job of this part is told: whose run folder, which steps, which links, and how many
    containers read logs for it."""
    name = logs_stage(recipe)
    step = next(step for step in outline(recipe) if step.name == name)
    run = f"../{MODELS}/{recipe.name}/{_folder(step)}"
    links = {f"{OUTPUTS}/{DATA}/{made}": f"{run}/{made}" for made in OF_LOGS}
    words = ["--only", part]
    words += [f"stages.{name}.engine=modal"] if readers else []
    return Shared(f"{OUTPUTS}/{MODELS}", words, links, readers)


def refuse_missing(recipe: Recipe, part: Part, outputs: modal.Volume) -> None:
    """Raise ComputeError where the volume lacks what this part reads."""
    if part == "preprocess" and uploaded(outputs) is None:
        raise ComputeError(
            "no logs were uploaded", where=f"--only {part}", hint="--only upload --logs DIR"
        )
    for step in _read_by(outline(recipe), part):
        if read(outputs, f"{MODELS}/{recipe.name}/{_folder(step)}/done.json") is None:
            first = part_of(step.kind)
            raise ComputeError(
                f"what {step.name} makes is not in the volume",
                where=f"--only {part}",
                hint=f"--only {first} comes first, or --all",
            )


def _read_by(plan: Sequence[Step], part: Part) -> list[Step]:
    """The steps of other parts that this one reads."""
    steps = {step.name: step for step in plan}
    ours = [step for step in plan if part_of(step.kind) == part]
    names = [(s.data_from, s.model_from, s.reward_from) for s in ours]
    read_ones = {name for three in names for name in three if name}
    return [steps[n] for n in steps if n in read_ones and part_of(steps[n].kind) != part]


def _folder(step: Step) -> str:
    return step.folder(Path()).path.as_posix()


def _files(logs: Path) -> Iterator[tuple[Path, str]]:
    """Each file, and its name in the volume."""
    root = place_of(logs).removeprefix(OUTPUTS)
    for path in [logs] if logs.is_file() else sorted(logs.rglob("*")):
        if path.is_file():
            inside = path.relative_to(logs).as_posix()
            yield path, root if path == logs else f"{root}/{inside}"


def _told(logs: Path, found: Sequence[tuple[Path, str]]) -> dict[str, object]:
    """Which logs they are, by names and contents."""
    whole = hashlib.sha256()
    for path, name in found:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{digest} {name}\n".encode())
    return {"place": place_of(logs), "files": len(found), "sha256": whole.hexdigest()}
