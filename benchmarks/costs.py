"""What the shipped recipes that need a GPU would cost on rented machines, by the formula.

    python benchmarks/costs.py                    # the table of docs/rented-machines.md; minutes

Of each recipe: the cheapest GPU of Modal and of RunPod (secure cloud) that it fits on, the hours
there, the dollars, and between which they may lie. What is not counted is named.
"""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path

from tesuji.compute.base import Wish
from tesuji.compute.costs.hours import Bill, bill_by, work_of
from tesuji.compute.costs.prices import table_price
from tesuji.core.errors import ComputeError, TesujiError, first_line
from tesuji.learners.model.load import quiet_libraries
from tesuji.learners.model.sources import KNOWN
from tesuji.pipeline.forecast.elsewhere import Counted
from tesuji.pipeline.memory.advice import fits
from tesuji.pipeline.memory.estimate import estimate_recipe
from tesuji.pipeline.memory.published import GPUS, NO_BFLOAT16
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.reading.shipped import shipped_recipes

NOWHERE = Path("nowhere")
LENDERS = ("modal", "runpod")


def table(only: str = "") -> Iterator[str]:
    yield "| recipe | on Modal | on RunPod | not counted |"
    yield "|---|---|---|---|"
    for name in large_recipes():
        if only in name:
            yield row(name)


def large_recipes() -> list[str]:
    """The shipped recipes whose model is neither built here nor small."""
    names = [shipped.name for shipped in shipped_recipes()]
    return [name for name in names if load_recipe(name).model.base not in ("tiny", *KNOWN)]


def row(name: str) -> str:
    recipe = load_recipe(name)
    _, phases, _ = estimate_recipe(recipe, NOWHERE, gpu="H100")
    enough = [g for g in GPUS if g not in NO_BFLOAT16 and fits(phases, GPUS[g] * 1e9) == "fits"]
    cells, missing, work = [], "", work_of(recipe, NOWHERE)
    for on in LENDERS:
        try:
            bill, gpu = cheapest(work, on, enough)
        except TesujiError as error:
            cells.append(first_line(error))
            continue
        cells.append(words(bill, gpu))
        missing = ", ".join(bill.unknown)
    return f"| `{name}` | {' | '.join(cells)} | {missing or '-'} |"


def cheapest(work: Counted, on: str, enough: list[str]) -> tuple[Bill, str]:
    """The bill that is smallest, of all GPUs that are large enough and have a price."""
    bills = []
    for gpu in enough:
        wish = Wish(on, gpu)
        try:
            price = table_price(wish)
        except ComputeError:
            continue
        bill = bill_by(work, wish, price)
        bills.append((price.cost(bill.seconds), gpu, bill))
    if not bills:
        raise ComputeError("nothing large enough")
    _, gpu, bill = min(bills, key=lambda one: one[0])
    return bill, gpu


def words(bill: Bill, gpu: str) -> str:
    if len(bill.unknown) == len(bill.steps) - 1:  # all but setting up
        return f"{gpu}, not counted"
    low, high = (bill.price.cost(seconds) for seconds in bill.bounds)
    hours = (
        f"{bill.seconds / 3600:.1f} h" if bill.seconds > 3600 else f"{bill.seconds / 60:.0f} min"
    )
    return f"{gpu}, {hours}, ${bill.price.cost(bill.seconds):.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    quiet_libraries()
    for line in table(parser.parse_args().only):
        print(line, flush=True)


if __name__ == "__main__":
    main()
