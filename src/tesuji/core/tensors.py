"""Values put on a device without waiting for what it still has to compute; files of tensors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tesuji.core.errors import DataError
from tesuji.core.files import atomic_path

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


def save_tensors(path: Path, tensors: "Mapping[str, torch.Tensor]") -> None:
    """Write tensors as one safetensors file, whole or not at all."""
    from safetensors.torch import save_file

    with atomic_path(path) as aside:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, aside
        )


def load_tensors(path: Path, device: "torch.device | str" = "cpu") -> "dict[str, torch.Tensor]":
    """Read what `save_tensors` wrote. Raises DataError when it cannot be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device=str(device))
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot read these weights: {error}", where=str(path)) from error
