"""Values put on a device without waiting for what it still has to compute."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def on_device(
    values: "Sequence[Any] | torch.Tensor",
    device: "torch.device",
    dtype: "torch.dtype | None" = None,
) -> "torch.Tensor":
    """These values (of the CPU) as a tensor on `device`.

    `torch.tensor(values, device=...)` waits until a GPU has done all it was given. CUDA takes
    memory that is not pinned into a buffer of its own before it returns, so that nothing has to
    be waited for; of MPS that is not known.
    """
    import torch

    return torch.as_tensor(values, dtype=dtype).to(device, non_blocking=device.type != "mps")
