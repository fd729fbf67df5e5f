"""GPUs by the names their lenders and drivers give them, and what their data sheets say.

Written down on 2026-11-30 from NVIDIA's data sheets: dense arithmetic without sparsity, and memory
bandwidth.
"""

from dataclasses import dataclass

from tesuji.core.errors import EngineError, did_you_mean


@dataclass(frozen=True, slots=True)
class Gpu:
    """`teraflops`: 10^12 operations a second in the type that models compute in there (bfloat16; a
    T4 has none, and computes in float32). `bandwidth` in 10^9 bytes a second. `devices`: how
    drivers and lenders call it, beside `name`."""

    name: str
    teraflops: float
    bandwidth: float
    devices: tuple[str, ...] = ()


GPUS = (
    Gpu("T4", 8.1, 320, ("Tesla T4", "NVIDIA T4")),
    Gpu("L4", 121, 300, ("NVIDIA L4",)),
    Gpu("A10", 125, 600, ("NVIDIA A10", "NVIDIA A10G", "A10G")),
    Gpu("RTX-4090", 165, 1008, ("NVIDIA GeForce RTX 4090",)),
    Gpu("RTX-5090", 210, 1792, ("NVIDIA GeForce RTX 5090",)),
    Gpu("A100-40GB", 312, 1555, ("NVIDIA A100-SXM4-40GB", "NVIDIA A100-PCIE-40GB", "A100")),
    Gpu("A40", 150, 696, ("NVIDIA A40",)),
    Gpu("L40S", 362, 864, ("NVIDIA L40S",)),
    Gpu("A100-80GB", 312, 1935, ("NVIDIA A100-SXM4-80GB", "NVIDIA A100 80GB PCIe")),
    Gpu("H100", 989, 3350, ("NVIDIA H100 80GB HBM3", "H100!", "H100 SXM")),
    Gpu("H100-PCIe", 756, 2000, ("NVIDIA H100 PCIe",)),
    Gpu("RTX-PRO-6000", 503, 1597, (
        "NVIDIA RTX PRO 6000 Blackwell Server Edition",
        "NVIDIA RTX PRO 6000 Blackwell Workstation Edition",
    )),
    Gpu("H200", 989, 4800, ("NVIDIA H200",)),
    Gpu("B200", 2250, 8000, ("NVIDIA B200",)),
)  # fmt: skip


def gpu_of(device: str) -> Gpu | None:
    """The GPU that is called so, by whoever; None where it is not known."""
    wanted = device.casefold()
    names = ((gpu, [gpu.name, *gpu.devices]) for gpu in GPUS)
    return next((gpu for gpu, some in names if wanted in map(str.casefold, some)), None)


def known_gpu(device: str, where: str = "--gpu") -> Gpu:
    """As `gpu_of`. Raises EngineError for one that is not known."""
    if (gpu := gpu_of(device)) is not None:
        return gpu
    names = [gpu.name for gpu in GPUS]
    hint = did_you_mean(device, names) or f"one of {', '.join(names)}"
    raise EngineError(f"no GPU {device!r} is known", where=where, hint=hint)
