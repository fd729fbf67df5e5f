"""GPU types, prices and stock, with the fields that RunPod's catalogue has."""

from typing import Any

# id → (name, GB, $/h secure, $/h community, stock, stock by data center)
TYPES: dict[str, tuple[str, int, float, float, str, dict[str, str]]] = {
    "NVIDIA A40": ("A40", 48, 0.44, 0.35, "HIGH", {"EU-SE-1": "HIGH", "CA-MTL-1": "LOW"}),
    "NVIDIA GeForce RTX 4090": ("RTX 4090", 24, 0.69, 0.34, "LOW", {"EU-RO-1": "LOW"}),
    "NVIDIA H100 80GB HBM3": ("H100 SXM", 80, 3.99, 2.69, "NONE", {"US-TX-3": "NONE"}),
    "NVIDIA A100 80GB PCIe": ("A100 PCIe", 80, 1.64, 1.19, "MEDIUM", {"US-KS-2": "MEDIUM"}),
}
ONLY_SECURE = {"NVIDIA H100 80GB HBM3"}


def gpu(kind: str, *, stock: bool) -> dict[str, Any]:
    """A `GpuType`; its availability only where that was asked for."""
    name, memory, secure, community, level, places = TYPES[kind]
    found = {
        "id": kind,
        "name": name,
        "pool": None,
        "manufacturer": "NVIDIA",
        "memory": memory,
        "secure": True,
        "community": kind not in ONLY_SECURE,
        "price": {"secure": secure, "community": community},
        "maxCount": {"secure": 8, "community": 4},
    }
    if stock:
        found["availability"] = level
        found["dataCenters"] = [
            {"id": place, "name": place, "availability": here} for place, here in places.items()
        ]
    return found
