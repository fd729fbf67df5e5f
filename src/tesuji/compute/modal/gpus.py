"""Modal's GPUs, and what they, a core and a GiB cost an hour."""

from collections.abc import Mapping

from tesuji.compute.base import Price, Wish
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

DATE = "2026-07-01"
TABLE = {
    "gpu_hour_cost_t4": 0.59,
    "gpu_hour_cost_l4": 0.80,
    "gpu_hour_cost_a10g": 1.10,
    "gpu_hour_cost_l40s": 1.95,
    "gpu_hour_cost_a100_40gb": 2.10,
    "gpu_hour_cost_a100_80gb": 2.50,
    "gpu_hour_cost_rtx6000": 3.03,
    "gpu_hour_cost_h100": 3.95,
    "gpu_hour_cost_h200": 4.54,
    "gpu_hour_cost_b200": 6.25,
    "cpu_hour_cost": 0.0473,
    "mem_gib_hour_cost": 0.008,
}
"""Dollars, from modal.com/pricing, for when the rates cannot be asked for."""

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
    """Cores to ask for: those wished for, or four a GPU; two without one."""
    return wish.cpus or (4.0 * wish.count if wish.gpu else 2.0)


def memory_mib(wish: Wish) -> int:
    """Memory to ask for: what is wished for, or 32 GB a GPU; 8 without one."""
    return int(1024 * (wish.memory_gb or (32 * wish.count if wish.gpu else 8)))


def price(wish: Wish, live: Mapping[str, float] | None) -> Price:
    """By the live rates, or by the table where they were not to be had."""
    rates = live or TABLE
    dollars = cores(wish) * rates["cpu_hour_cost"]
    dollars += memory_mib(wish) / 1024 * rates["mem_gib_hour_cost"]
    if wish.gpu:
        dollars += wish.count * rates[f"gpu_hour_cost_{RATES[wish.gpu.upper()]}"]
    if wish.options.get("nonpreemptible") == "true":
        dollars *= NONPREEMPTIBLE
    if wish.options.get("region"):
        dollars *= REGION
    return Price(dollars, "live") if live else Price(dollars, "table", DATE)
