"""RunPod's GPUs: which one a name means, what it costs, where it is in stock."""

from typing import Any

from tesuji.core.errors import ComputeError, did_you_mean

CLOUDS = ("SECURE", "COMMUNITY")
STOCK = ("HIGH", "MEDIUM", "LOW")


def pick(gpus: list[dict[str, Any]], name: str, count: int, cloud: str) -> dict[str, Any]:
    """The GPU of that id or short name. Raises ComputeError where there is none of it, not so many
    of it in one pod, or not in that cloud."""
    if not name:
        hint = f'name one with --gpu, such as "{gpus[0]["id"]}"' if gpus else ""
        raise ComputeError("a pod here has a GPU", where="--gpu", hint=hint)
    plain = name.casefold()
    found = next((g for g in gpus if plain in (g["id"].casefold(), g["name"].casefold())), None)
    if found is None:
        known = [gpu["id"] for gpu in gpus] + [gpu["name"] for gpu in gpus]
        near = did_you_mean(name, known)
        hint = f"{near}there are: {', '.join(gpu['id'] for gpu in gpus)}"
        raise ComputeError(f"RunPod has no GPU {name!r}", where="--gpu", hint=hint)
    if not found[cloud.lower()]:
        other = next(c for c in CLOUDS if c != cloud)
        raise ComputeError(
            f"{found['id']} is not in the {cloud} cloud", where="--cloud", hint=f"--cloud {other}"
        )
    if count > (most := found["maxCount"][cloud.lower()]):
        raise ComputeError(f"a pod has at most {most} x {found['id']}", where="--gpu")
    return found


def dollars(gpu: dict[str, Any], cloud: str, count: int) -> float:
    """What so many cost an hour."""
    return float(gpu["price"][cloud.lower()]) * count


def has_stock(gpu: dict[str, Any], regions: list[str]) -> bool:
    """Whether one is free now, in these data centers (none: anywhere)."""
    if not regions:
        return gpu.get("availability", "NONE") in STOCK
    return any(place in regions for place, _ in _places(gpu))


def no_capacity(
    gpus: list[dict[str, Any]], gpu: dict[str, Any], cloud: str, detail: str = ""
) -> ComputeError:
    """The one message where none is free: which GPUs are, where, and at what price."""
    here = ", ".join(place for place, _ in _places(gpu))
    said = f" ({detail})" if detail else ""
    free = [_offer(other, cloud) for other in gpus if has_stock(other, []) and other[cloud.lower()]]
    hint = "in stock: " + ("; ".join(free) or "nothing in this cloud")
    where = f"; it is in {here}" if here else ""
    return ComputeError(
        f"RunPod has no {gpu['id']} free now{said}{where}", where="--gpu", hint=hint
    )


def _places(gpu: dict[str, Any]) -> list[tuple[str, str]]:
    places = gpu.get("dataCenters") or []
    return [(p["id"], p["availability"]) for p in places if p["availability"] in STOCK]


def _offer(gpu: dict[str, Any], cloud: str) -> str:
    places = ", ".join(f"{place} {level}" for place, level in _places(gpu))
    return f"{gpu['id']} at ${dollars(gpu, cloud, 1):.2f} ({places or gpu['availability']})"
