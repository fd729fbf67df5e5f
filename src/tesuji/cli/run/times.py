"""What `tesuji estimate` says of time and money: here, or on a rented machine."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from tesuji.cli.console import console, note
from tesuji.cli.progress import Bar
from tesuji.core.errors import ComputeError, TesujiError

if TYPE_CHECKING:
    from tesuji.compute.base import Price, Wish
    from tesuji.compute.costs.hours import Bill
    from tesuji.pipeline.forecast.forecast import Forecast
    from tesuji.recipe.schema.recipe import Recipe

HERE = "here"
BUSY = 1.5  # programs a processor that want to run, from which on it is said
KEPT = ("eval_steps", "early_stopping_patience", "stop_check_steps")  # not made fewer


def calibrate(
    load: "Callable[[Sequence[str]], Recipe]", recipe: "Recipe", runs: Path, steps: int
) -> None:
    """Run the recipe with so many steps of each stage that learns, into `runs`/NAME-calibration,
    where the estimate then finds what they took. Raises TesujiErrors."""
    from tesuji.pipeline.run import run_recipe
    from tesuji.recipe.schema.training import Training

    changes = [f"name={recipe.name[:66]}-calibration", "report_to=none"]
    for name, stage in recipe.stages.items():
        if isinstance(stage, Training):
            most = getattr(stage, "max_steps", -1)
            least = max(steps, getattr(stage, "eval_steps", None) or 0)  # one look at the least
            wanted = min(least, most) if most > 0 else least
            changes += [f"stages.{name}.max_steps={wanted}", f"stages.{name}.logging_steps=1"]
            kept = {key: getattr(stage, key, None) for key in KEPT}
            changes += [f"stages.{name}.{key}={v}" for key, v in kept.items() if v is not None]
    with Bar() as bar:
        run_recipe(load(changes), runs, progress=bar)


def times_here(recipe: "Recipe", runs: Path) -> "list[Forecast]":
    """Every step of a run that begins anew on this machine."""
    from tesuji.pipeline.forecast.forecast import forecast
    from tesuji.pipeline.plan import steps_of
    from tesuji.pipeline.run import prepare

    with Bar() as bar:
        settled, run, _ = prepare(recipe, runs, bar)
        return forecast(settled, steps_of(settled), run.path)


def print_times(forecasts: "list[Forecast]") -> None:
    """A row a step, and the minutes of all that are known."""
    table = Table("step", "time", "by", title="Time on this machine")
    for one in forecasts:
        table.add_row(one.step.name, one.time, one.by)
    console.print(table)
    known = [one.seconds for one in forecasts if one.seconds is not None]
    unknown = [one.step.name for one in forecasts if one.seconds is None]
    beside = f", without {', '.join(unknown)}" if unknown else ""
    note(f"In all {sum(known) / 60:.1f} minutes{beside}.")
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > BUSY * cores:
        words = f"This machine is busy (load {load:.1f} on {cores} processors)"
        note(f"{words}: what was measured now is slower than on an idle one.")


def plain_times(forecasts: "list[Forecast]") -> list[dict[str, Any]]:
    """For other programs."""
    return [
        {"step": one.step.name, "seconds": one.seconds, "factor": one.factor, "by": one.by}
        for one in forecasts
    ]


def wish_of(on: str, gpu: str, count: int, cloud: str, recipe: "Recipe") -> "Wish":
    """What is asked the price of; where nothing is said, as the recipe's `modal` section has it.
    Raises ComputeError without a GPU, and for one that Modal does not have."""
    from tesuji.compute.base import Wish
    from tesuji.compute.modal.defaults import by_recipe
    from tesuji.compute.modal.gpus import checked

    asked = Wish(on, gpu, count, options={"cloud": cloud} if cloud else {})
    wish = by_recipe(asked, recipe, timeout=None)
    if not wish.gpu:
        hint = "--gpu A100-40GB, or A100-40GB:2 for two"
        raise ComputeError("which GPU there?", where="--on", hint=hint)
    if on == "modal":
        checked(wish)
    return wish


def price_now(wish: "Wish") -> "Price":
    """As the machine's owner says now, where a key for it is here; else the table's."""
    from tesuji.compute.costs.prices import price_of
    from tesuji.compute.registry import machine_for

    try:
        machine = machine_for(wish.on)
    except TesujiError:
        return price_of(wish)
    return price_of(wish, machine.price)


def bill(recipe: "Recipe", wish: "Wish | None", runs: Path, config: Path | None) -> "Bill | None":
    """What the recipe will take and cost there. Raises TesujiErrors."""
    if wish is None:
        return None
    from tesuji.compute.costs.hours import bill_of

    return bill_of(recipe, wish, price_now(wish), runs, config)


def print_bill(bill: "Bill", wish: "Wish") -> None:
    """Hours, GPUs and dollars of each step, the sum, and how far it may be off."""
    from tesuji.compute.costs.prices import words_of
    from tesuji.pipeline.forecast.elsewhere import FORMULA, IN_WORDS

    gpus = f"{wish.gpu} x {wish.count}" if wish.count > 1 else wish.gpu
    table = Table("step", "hours", "GPUs", "dollars", "by", title=f"On {wish.on}, {gpus}")
    for column in table.columns[1:4]:
        column.justify = "right"
    for step in bill.steps:
        known = step.seconds is not None
        hours = f"{(step.seconds or 0) / 3600:.2f}" if known else "-"
        dollars = f"{bill.price.cost(step.seconds or 0):.2f}" if known else "-"
        table.add_row(step.name, hours, str(bill.count), dollars, step.by)
    low, high = (bill.price.cost(seconds) for seconds in bill.bounds)
    table.add_section()
    total = f"{bill.seconds / 3600:.2f}", "", f"{bill.price.cost(bill.seconds):.2f}"
    words = "in all, known" if bill.unknown else "in all"
    table.add_row(words, *total, f"${low:.2f} to ${high:.2f}")
    console.print(table)
    note(f"The machine costs {words_of(bill.price)}.")
    beside = ["search players", "the certificate"]
    note(f"Not counted: {', '.join([*bill.unknown, *beside])}.")
    if bill.seconds > 3600 * wish.timeout_hours:
        note(f"It is stopped before its end, after {wish.timeout_hours:.3g} hours: --timeout.")
    if any(step.by == FORMULA for step in bill.steps):
        note(IN_WORDS)
        note(f"A short run there tells more: tesuji launch RECIPE --on {wish.on}, max_steps=20.")
