"""A device that is not the CPU, on a machine that has none other: the faults of a first GPU run.

    install()                         # once a process, before anything else of torch is used
    model.to("pretended")             # its tensors hold CPU tensors, but are none

What happens on it is computed on the CPU, to the same numbers. As on CUDA it raises where tensors
of two devices meet (a CPU tensor without dimensions may), where a generator is of another device,
and at `numpy()`. `waits` lists what would make the program wait until the device has done all it
was given: reading a value, shapes that follow from values, and copies either way (to the device
unless `non_blocking`), each with the line of Tesuji that did it.

What it is not: fast, a second memory that runs full, other rounding, or other kernels.
"""

import contextlib
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils import backend_registration
from torch.utils._pytree import tree_iter, tree_map

import tesuji

NAME = "pretended"
HOUSE = str(Path(tesuji.__file__).parent)
# shapes or branches that follow from values
ASKING = {
    "_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim",
    "unique_consecutive", "repeat_interleave", "equal", "is_nonzero", "bincount",
}  # fmt: skip
# what torch would compute on the CPU's terms: an empty tensor resized, a copy of another kind
OWN = ("copy_", "arange", "arange.start", "arange.start_step")
COPYING = {"copy_", "_to_copy", "set_data"}

waits: list[str] = []


class PretendedTensor(torch.Tensor):
    """A tensor on the device; `inner` is where it really is."""

    inner: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "PretendedTensor":
        self = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )
        assert not isinstance(inner, PretendedTensor)
        self.inner = inner
        return self

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        kwargs = kwargs or {}
        in_parts = operation.decompose(*args, **kwargs)  # inference mode has not done so
        return _run(operation, *args, **kwargs) if in_parts is NotImplemented else in_parts

    def __repr__(self, **_: Any) -> str:
        return f"PretendedTensor({self.inner})"

    def tolist(self) -> Any:
        _wait("tolist")
        return self.inner.detach().tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError(f"can't convert {NAME} device type tensor to numpy; use Tensor.cpu() first")

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        copy: torch.Tensor = PretendedTensor(self.inner.detach().clone())
        if isinstance(self, torch.nn.Parameter):
            copy = torch.nn.Parameter(copy, self.requires_grad)
        memo[id(self)] = copy
        return copy

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.inner.untyped_storage()

    @property
    def data(self) -> torch.Tensor:
        return self.detach()

    @data.setter
    def data(self, other: "PretendedTensor") -> None:
        torch.Tensor.data.__set__(self, other)
        self.inner = other.inner


def install() -> None:
    """Make the device known to torch and Accelerate, for the rest of this process."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    torch.__future__.set_swap_module_params_on_conversion(True)  # else tied weights come apart
    torch.Tensor.pin_memory = lambda self, device=None: self  # wants an allocator in C++
    _everything.fallback(_run, "PrivateUse1")
    for name in OWN:
        operation, _, overload = name.partition(".")
        packet = getattr(torch.ops.aten, operation)
        kernel = functools.partial(_run, getattr(packet, overload or "default"))
        _own.impl(name, kernel, "PrivateUse1")


_everything = torch.library.Library("_", "IMPL")
_own = torch.library.Library("aten", "IMPL")


class _Module(backend_registration._DummyBackendModule):
    """What torch asks of `torch.pretended`."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float32]

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor, device: Any = None) -> None:
        torch.set_rng_state(state)

    @contextlib.contextmanager
    def device(self, device: Any) -> Iterator[None]:
        yield


def _run(operation: Any, *args: Any, **kwargs: Any) -> Any:
    """One operation of which some tensor, or the result, is on the device."""
    name = operation.overloadpacket.__name__
    tensors = [each for each in tree_iter((args, kwargs)) if isinstance(each, torch.Tensor)]
    held = [each for each in tensors if isinstance(each, PretendedTensor)]
    _check(name, tensors, held, args, kwargs)
    if _waits(name, args, kwargs):
        _wait(name)
    asked = kwargs.get("device")
    here = bool(held) if asked is None else torch.device(asked).type == NAME
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    result = operation(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    changed = _written(operation, args, kwargs)
    if changed is not None:
        if isinstance(changed, PretendedTensor) and changed.shape != changed.inner.shape:
            raise NotImplementedError(f"{operation} changes a shape in place")
        return changed
    return tree_map(_wrapped, result) if here else result


def _written(operation: Any, args: Any, kwargs: Any) -> Any:
    """The tensor that was written to and is the result."""
    returns = operation._schema.returns
    if len(returns) != 1 or returns[0].alias_info is None or not returns[0].alias_info.is_write:
        return None
    for place, argument in enumerate(operation._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            return args[place] if place < len(args) else kwargs[argument.name]
    return None


def _check(name: str, tensors: Any, held: Any, args: Any, kwargs: Any) -> None:
    others = [each for each in tensors if not isinstance(each, PretendedTensor) and each.dim()]
    if held and others and name not in COPYING:
        raise RuntimeError(f"{name}: expected all tensors to be on one device, not on two")
    for each in tree_iter((args, kwargs)):
        if isinstance(each, torch.Generator) and each.device.type != NAME:
            raise RuntimeError(f"{name}: expected a generator of the device {NAME}")


def _waits(name: str, args: Any, kwargs: Any) -> bool:
    if name in ASKING:
        return True
    if name == "_to_copy":  # of a tensor that is here, to elsewhere
        asked = kwargs.get("device")
        return asked is not None and torch.device(asked).type != NAME
    if name == "copy_":
        there, back = (isinstance(each, PretendedTensor) for each in args[:2])
        blocking = not (args[2] if len(args) > 2 else kwargs.get("non_blocking", False))
        return there != back and (blocking or back)
    if name in ("index", "index_put_", "index_put", "_index_put_impl_"):
        masks = any(each is not None and each.dtype == torch.bool for each in args[1])
        return masks and (name == "index" or args[2].numel() > 1)  # one value: it is filled in
    return False


def _wait(name: str) -> None:
    frame = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.startswith(HOUSE):
        frame = frame.f_back
    if frame is None:
        where = "a library"
    else:
        where = f"{Path(frame.f_code.co_filename).relative_to(HOUSE)} {frame.f_code.co_name}"
    waits.append(f"{name} in {where}")


def _inner(each: Any) -> Any:
    return each.inner if isinstance(each, PretendedTensor) else each


def _wrapped(each: Any) -> Any:
    return PretendedTensor(each) if isinstance(each, torch.Tensor) else each
