"""Folders of many runs, in every state, without training."""

import json
import shutil
from pathlib import Path

from made_run import make_run

from tesuji.core.files import write_json, write_text
from tesuji.recipe.reading.load import dump_recipe, load_recipe


def make_runs(root: Path, count: int) -> Path:
    """So many finished runs with resolved recipes and evaluations."""
    first = make_run(root / "run-000")
    recipe = load_recipe(first / "recipe.yaml")
    for number in range(count):
        run = root / f"run-{number:03}"
        if number:
            shutil.copytree(first, run)
        named = recipe.model_copy(update={"name": run.name, "seed": number})
        write_text(run / "recipe.yaml", dump_recipe(named))
        manifest = json.loads((run / "manifest.json").read_text())
        write_json(run / "manifest.json", {**manifest, "name": run.name})
    return root


def interrupt(run: Path, stage: str = "sft") -> None:
    """Make a finished run one that was stopped in this stage."""
    manifest = json.loads((run / "manifest.json").read_text())
    later = list(manifest["stages"])[list(manifest["stages"]).index(stage) :]
    for name in later:
        shutil.rmtree(next((run / "stages").glob(f"*-{name}")) / "nothing", ignore_errors=True)
        next((run / "stages").glob(f"*-{name}/done.json")).unlink()
        if name != stage:
            del manifest["stages"][name]
            shutil.rmtree(next((run / "stages").glob(f"*-{name}")))
    manifest["stages"][stage] = {"status": "running"}
    write_json(next((run / "stages").glob(f"*-{stage}")) / "started.json", {"key": "abc"})
    write_json(run / "manifest.json", manifest)
