"""Which machine a name means; each kind is imported only when it is asked for."""

import importlib

from tesuji.compute.machine import Machine
from tesuji.core.errors import ComputeError, did_you_mean

KINDS = {
    "modal": "tesuji.compute.modal.machine:ModalMachine",
    "runpod": "tesuji.compute.runpod.machine:RunpodMachine",
    "ssh": "tesuji.compute.ssh.machine:SshMachine",
}


def machine_for(on: str) -> Machine:
    """The machine that `--on` names: `modal`, `runpod`, `ssh:user@host`. Raises ComputeError."""
    kind, _, rest = on.partition(":")
    if kind not in KINDS or bool(rest) != (kind == "ssh"):
        raise ComputeError(
            f"there is no machine {on!r}",
            where="--on",
            hint=f"{did_you_mean(kind, KINDS)}one of: modal, runpod, ssh:user@host",
        )
    module, _, name = KINDS[kind].partition(":")
    try:
        made = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise ComputeError(
            f"--on {kind} needs {error.name}, which is not installed",
            hint=f"pip install 'tesuji[{kind}]'",
        ) from None
    machine: Machine = made(rest) if rest else made()
    return machine
