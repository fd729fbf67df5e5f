"""For people used to Modal's own command line: the same jobs as `tesuji launch --on modal`.

    modal run -m tesuji.compute.modal_app::train --env wordle --steps 200 --gpu-type A100-40GB
    modal run -m tesuji.compute.modal_app::train_with_config --config-path FILE --overrides seed=2
    modal run -m tesuji.compute.modal_app::evaluate --env wordle --model ID --num-examples 50

The job is an app of its own (`compute/modal/machine.py`), so it goes on when this command is gone;
Ctrl-C stops it, with `--leave` it does not.
"""

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import modal

from tesuji.compute.base import Wish
from tesuji.compute.costs.prices import words_of
from tesuji.compute.follow import follow
from tesuji.compute.job.environment import load_own_keys, secrets_for
from tesuji.compute.launch import Folders, prepare, start
from tesuji.compute.modal.defaults import by_recipe
from tesuji.compute.modal.machine import ModalMachine
from tesuji.compute.sweep import settle
from tesuji.core.errors import ComputeError, TesujiError
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe

app = modal.App("tesuji", include_source=False)
JOBS, RUNS = Path("jobs"), Path("runs")
HOURS = 23.75  # a call's 24 hours by Modal's rule, and the time for a checkpoint
T = TypeVar("T")


@app.local_entrypoint()
def train(
    env: str = "",
    steps: int = 0,
    model: str = "",
    config_path: str = "",
    overrides: str = "",
    gpu_type: str = "",
    gpu_count: int = 1,
    timeout_hours: float = 0.0,
    retries: int = 0,
    max_cost: float = 0.0,
    leave: bool = False,
) -> None:
    """Train the recipe of `env` (`wordle`: wordle/grpo), or that of `config_path`, with `overrides`
    (key=value, separated by blanks) and `steps` for its last training."""
    given = shlex.split(overrides) + ([f"model.base={model}"] if model else [])
    recipe = _said(lambda: load_recipe(_source(env, config_path), given))
    if steps:
        more = f"stages.{_said(lambda: _last_training(recipe))}.max_steps={steps}"
        recipe = _said(lambda: load_recipe(_source(env, config_path), [*given, more]))
    hours = timeout_hours or HOURS
    wish = Wish("modal", gpu_type, gpu_count, timeout_hours=hours, retries=retries)
    _launch(recipe, _limited(wish, max_cost), leave, timeout_hours or None)


@app.local_entrypoint()
def train_with_config(
    config_path: str,
    overrides: str = "",
    gpu_type: str = "",
    gpu_count: int = 1,
    leave: bool = False,
) -> None:
    """Train as a recipe's file says."""
    recipe = _said(lambda: load_recipe(config_path, shlex.split(overrides)))
    _launch(recipe, Wish("modal", gpu_type, gpu_count, timeout_hours=HOURS), leave)


@app.local_entrypoint()
def evaluate(
    env: str, model: str, num_examples: int = 50, gpu_type: str = "", leave: bool = False
) -> None:
    """Judge a model as the recipe of `env` judges, on so many episodes; nothing is trained."""
    given = [f"model.base={model}", "stages={}", "evaluation.before=true", f"name={_plain(model)}"]
    given.append(f"evaluation.episodes={num_examples}")
    recipe = _said(lambda: load_recipe(_source(env, ""), given))
    _launch(recipe, Wish("modal", gpu_type, timeout_hours=HOURS), leave)


def _launch(recipe: Recipe, wish: Wish, leave: bool, timeout: float | None = None) -> None:
    """As `tesuji launch`: checked, priced, started, followed; exits with 1 where it ends badly."""
    wish = by_recipe(wish, recipe, timeout=timeout)
    load_own_keys(Path())
    machine, folders = ModalMachine(), Folders(JOBS, RUNS, Path())

    def go() -> str:
        secrets = secrets_for(recipe, [], Path())
        settle(JOBS, machine, "modal", print)
        job = prepare(recipe, wish, machine, folders, command=shlex.join(sys.argv))
        print(f"job {job.id}: {words_of(job.job.price)}")
        start(job, machine, secrets)
        return follow(job, machine, print, leave=leave).phase

    if _said(go) not in ("done", "running"):
        sys.exit(1)


def _source(env: str, config_path: str) -> str:
    if bool(env) == bool(config_path):
        raise ComputeError("one of --env and --config-path", hint="--env wordle")
    return config_path or (env if "/" in env else f"{env}/grpo")


def _last_training(recipe: Recipe) -> str:
    counted = [name for name, stage in recipe.stages.items() if hasattr(stage, "max_steps")]
    if not counted:
        raise ComputeError("no stage of this recipe counts steps", where="--steps")
    return counted[-1]


def _limited(wish: Wish, max_cost: float) -> Wish:
    return replace(wish, max_cost=max_cost) if max_cost else wish


def _plain(model: str) -> str:
    return "eval-" + "".join(c if c.isalnum() else "-" for c in model.lower()).strip("-")[-40:]


def _said(call: Callable[[], T]) -> T:
    """What `call` gives; a TesujiError is one message on the terminal."""
    try:
        return call()
    except TesujiError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
