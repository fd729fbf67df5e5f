"""A stand-in for Modal's servers, for the SDK of the pinned version (`modal` in constraints.txt).

It serves the SDK's own gRPC service (`modal_proto.api_grpc`) on loopback, and over HTTP the blocks
of files. Written from the protos and from what the SDK's source sends and reads; nothing here
knows what Tesuji's client does with it. Functions run in *containers*: a process with its own
mounts and process ids (`unshare`, Linux), in which the SDK's own container entry point runs.

What it leaves out: images are not built (their commands are noted, ENV is obeyed; a container sees
the Python that runs the tests), GPUs are names, web endpoints, classes, schedules and sandboxes.
A call that it does not know is answered with UNIMPLEMENTED and noted in `unimplemented`.
"""

from .server import ModalServer, can_run, served_modal
from .state import TOKEN

__all__ = ["TOKEN", "ModalServer", "can_run", "served_modal"]
