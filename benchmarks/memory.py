"""What `tesuji estimate` says, beside the memory that processes were seen to take.

    python benchmarks/memory.py                    # all; some 20 minutes on one core, 6 GB at most
    python benchmarks/memory.py --only qwen3_27m   # whatever has this in its name
    python benchmarks/memory.py --table            # of the recipes that need a GPU: docs/scale.md

For each model and strategy `tesuji run` trains two steps of SFT in float32 on a CPU, of rows that
are all as long. `measured` is the most that the last process had resident (the kernel's VmHWM)
above the baseline: the same command with a model of 0.02 million parameters, which has all the
libraries and no weights. The first process is left out where there are several: it also gathers
what is saved. glibc is told to give every block of 128 KB back at once (MALLOC_MMAP_THRESHOLD_).

Prints `name: measured MB, estimated MB, ratio`. What should hold: every ratio within 0.85 and 1.15.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from transformers import AutoConfig, AutoModelForCausalLM

from tesuji.learners.model.load import load_tokenizer
from tesuji.learners.model.sources import KNOWN, resolved
from tesuji.pipeline.memory.advice import fits
from tesuji.pipeline.memory.estimate import estimate_recipe
from tesuji.pipeline.memory.published import GPUS, NO_BFLOAT16
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.reading.shipped import shipped_recipes
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import ModelSection

SHAPE = {"hidden_size": 32, "num_attention_heads": 1, "num_key_value_heads": 1}
MODELS: dict[str, Any] = {
    "nothing": {"tiny": SHAPE},  # libraries
    "qwen3_27m": {
        "tiny": {
            "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6,
            "num_key_value_heads": 6, "intermediate_size": 1536,
        }
    },
    "llama_57m": {
        "tiny": {
            "architecture": "llama", "hidden_size": 640, "num_hidden_layers": 12,
            "num_attention_heads": 10, "num_key_value_heads": 5, "intermediate_size": 1792,
        }
    },
    "smollm2_81m": {"layers": 15},  # its widths and its vocabulary, half of its layers
    "smollm2": {"base": "smollm2"},
}  # fmt: skip
STRATEGIES: dict[str, Any] = {
    "one": None,
    "ddp_2": {"processes": 2, "strategy": "ddp"},
    "fsdp_2": {"processes": 2, "strategy": "fsdp"},
    "zero2_2": {"processes": 2, "strategy": "zero2"},
    "zero3_2": {"processes": 2, "strategy": "zero3"},
}
TOO_LARGE = {"smollm2 ddp_2"}  # 7 GB
GIVEN_BACK = {
    "MALLOC_MMAP_THRESHOLD_": "131072"
}  # bytes of a block, from which on glibc keeps none
OFTEN = 0.02  # seconds between two looks


def recipe_of(model: str, strategy: str, folder: Path) -> dict[str, Any]:
    section = dict(MODELS[model])
    if layers := section.pop("layers", None):
        section["base"] = str(shortened(layers, folder / "shortened"))
    rows = folder / "rows.jsonl"
    lines = [{"prompt": f"{n:03} " + "ab " * 24, "completion": "yes"} for n in range(24)]
    rows.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return {
        "name": f"{model}-{strategy}",
        "game": "tic_tac_toe",
        "model": {"dtype": "float32", "lora": None, "device": "cpu", **section},
        "stages": {
            "sft": {"data": str(rows), "max_steps": 2, "batch_size": 8, "learning_rate": 1e-5}
        },
        "evaluation": {"before": False, "episodes": 2, "positions": 0},
        "sampling": {"max_new_tokens": 4},
        **({"distributed": STRATEGIES[strategy]} if STRATEGIES[strategy] else {}),
    }


def shortened(layers: int, folder: Path) -> Path:
    if not folder.exists():
        config = AutoConfig.from_pretrained(resolved("smollm2"))
        config.num_hidden_layers = layers
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        load_tokenizer(ModelSection(), "smollm2", here=True).save_pretrained(folder)
    return folder


def measured(recipe: dict[str, Any], folder: Path) -> float:
    """Bytes that the last process of `tesuji run` had at most."""
    file = folder / f"{recipe['name']}.yaml"
    file.write_text(json.dumps(recipe))
    many = recipe.get("distributed", {}).get("processes", 1)
    command = [sys.executable, "-m", "tesuji", "run", str(file), "--runs", str(folder / "runs")]
    command += ["--processes", str(many)] if many > 1 else []
    with (folder / f"{recipe['name']}.txt").open("wb") as log:
        running = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, env=os.environ | GIVEN_BACK
        )
    most, family = 0.0, psutil.Process(running.pid)
    try:
        while running.poll() is None:
            most = max([most, *(peak_of(one) for one in of_rank(many - 1, family))])
            time.sleep(OFTEN)
    finally:
        end(running)
    if running.returncode or not most:
        sys.exit(f"{recipe['name']}: {Path(log.name).read_text()[-2000:]}")
    return most


def of_rank(rank: int, family: psutil.Process) -> list[psutil.Process]:
    """The processes that torchrun gave this rank; where there is one, itself."""
    with contextlib.suppress(psutil.Error):
        below = family.children(recursive=True)
        return [one for one in below if one.environ().get("RANK") == str(rank)] or [family][rank:]
    return []


def end(running: subprocess.Popen[bytes]) -> None:
    """It and all that it started, where they are still there."""
    with contextlib.suppress(psutil.Error):
        family = psutil.Process(running.pid)
        for one in [*family.children(recursive=True), family]:
            one.kill()
    running.wait()


def peak_of(one: psutil.Process) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{one.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return 1024.0 * int(line.split()[1])
    return 0.0


def estimated(recipe: dict[str, Any]) -> float:
    _, phases, _ = estimate_recipe(Recipe.model_validate(recipe), Path("nowhere"))
    return max(phase.total for phase in phases)


def table() -> Iterator[str]:
    """The shipped recipes that need a GPU, as a table for docs/scale.md."""
    yield "| recipe | model | GB on one GPU | most | the smallest GPU |"
    yield "|---|---|---|---|---|"
    yield from map(row, large_recipes())


def large_recipes() -> list[str]:
    """The shipped recipes whose model is neither built here nor small."""
    names = [shipped.name for shipped in shipped_recipes()]
    return [name for name in names if load_recipe(name).model.base not in ("tiny", *KNOWN)]


def row(name: str) -> str:
    recipe, phases, _ = estimate_recipe(load_recipe(name), Path("nowhere"), gpu="H100")
    most = max(phases, key=lambda phase: phase.total)
    enough = [gpu for gpu, size in GPUS.items() if gpu not in NO_BFLOAT16]
    gpu = next((gpu for gpu in enough if fits(phases, GPUS[gpu] * 1e9) == "fits"), "none")
    model = recipe.model.base.rpartition("/")[2]
    kind = f"LoRA {recipe.model.adapters.r}" if recipe.model.adapters else "whole"
    kind += ", 4 bits" if recipe.model.load_in_4bit else ""
    part = f"{most.largest} of {most.name}"
    return f"| `{name}` | {model}, {kind} | {most.total / 1e9:.0f} | {part} | {gpu} |"


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--table", action="store_true", help="print the table of docs/scale.md")
    asked = parser.parse_args()
    wanted = asked.only
    if asked.table:
        for line in table():
            print(line, flush=True)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for strategy in STRATEGIES:
            names = [m for m in MODELS if m != "nothing" and wanted in f"{m} {strategy}"]
            names = [m for m in names if f"{m} {strategy}" not in TOO_LARGE]
            if not names:
                continue
            bare = measured(recipe_of("nothing", strategy, folder), folder)
            print(f"baseline_{strategy}: {bare / 1e6:,.0f} MB", flush=True)
            for model in names:
                recipe = recipe_of(model, strategy, folder)
                took, said = measured(recipe, folder) - bare, estimated(recipe)
                ratio = said / took
                name = f"{model}_{strategy}"
                print(
                    f"{name}: {took / 1e6:,.0f} MB, {said / 1e6:,.0f} MB, {ratio:.2f}", flush=True
                )


if __name__ == "__main__":
    main()
