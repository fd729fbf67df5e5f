"""Modal's GPUs, and what they, a core and a GiB cost an hour by its own rates."""

from collections.abc import Mapping

from tesuji.compute.base import Price, Wish
from tesuji.compute.costs.prices import CORES, GIB, READER_CORES, READER_GIB
from tesuji.core.errors import ComputeError, did_you_mean

MOST = 8  # GPUs in a container
RATES = {
    "T4": "t4",
    "L4": "l4",
    "A10": "a10g",
    "L40S": "l40s",
    "A100-40GB": "a100_40gb",
    "A100-80GB": "a100_80gb",
    "RTX-PRO-6000": "rtx6000",
    "H100": "h100",
    "H100!": "h100",
    "H200": "h200",
    "B200": "b200",
}
"""GPU → the end of its key in `Workspace.billing.rates()`. (`H100!`: never an H200 instead.)"""

NONPREEMPTIBLE, REGION = 3.0, 1.75  # times the price; a region costs 1.5 to 1.75 times


def checked(wish: Wish) -> str | None:
    """The GPU as Modal wants it, `A100-40GB:2`, or None for none. Raises ComputeError."""
    if not wish.gpu:
        return None
    name = wish.gpu.upper()
    if name not in RATES:
        raise ComputeError(
            f"Modal has no GPU {wish.gpu!r}",
            where="--gpu",
            hint=f"{did_you_mean(name, RATES)}one of: {', '.join(RATES)}",
        )
    if not 1 <= wish.count <= MOST:
        raise ComputeError(f"{wish.count} GPUs: Modal gives 1 to {MOST}", where="--gpu")
    return f"{name}:{wish.count}"


def cores(wish: Wish) -> float:
    """Cores to ask for: those wished for, or some a GPU."""
    return wish.cpus or CORES * _number(wish)


def memory_mib(wish: Wish) -> int:
    """Memory to ask for: what is wished for, or some a GPU."""
    return int(1024 * (wish.memory_gb or GIB * _number(wish)))


def _number(wish: Wish) -> int:
    return wish.count if wish.gpu else 1


def live_price(wish: Wish, rates: Mapping[str, float]) -> Price:
    """By the workspace's rates. Raises ComputeError where they do not have that GPU."""
    key = f"gpu_hour_cost_{RATES[wish.gpu.upper()]}" if wish.gpu else ""
    try:
        dollars = (cores(wish) + wish.readers * READER_CORES) * rates["cpu_hour_cost"]
        gib = memory_mib(wish) / 1024 + wish.readers * READER_GIB
        dollars += gib * rates["mem_gib_hour_cost"]
        dollars += wish.count * rates[key] if key else 0.0
    except KeyError as error:
        raise ComputeError(f"Modal's rates have no {error}", where="--on modal") from None
    if wish.options.get("nonpreemptible") == "true":
        dollars *= NONPREEMPTIBLE
    return Price(dollars * (REGION if wish.options.get("region") else 1.0), "live")
