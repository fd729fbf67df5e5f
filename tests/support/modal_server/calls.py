"""The plumbing of the service: one request in, one answer out, faults and tokens checked."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from grpclib import GRPCError, Status
from modal_proto import api_pb2
from modal_proto.api_grpc import ModalClientBase

from .state import Task, World


class Calls:
    """What every part of the service has: the world, and the container that asks, if one does."""

    def __init__(self, world: World, task: Task | None = None) -> None:
        self.world = world
        self.task = task

    def container(self) -> Task:
        if self.task is None:
            raise GRPCError(Status.PERMISSION_DENIED, "for containers only")
        return self.task

    def admit(self, method: str, metadata: Any) -> None:
        """Raises what is to go wrong, and what a wrong token gets."""
        self.world.asked.append(method)
        self.world.faults.check(method)
        if self.task is not None:
            return
        token = (metadata.get("x-modal-token-id"), metadata.get("x-modal-token-secret"))
        if token != self.world.token:
            raise GRPCError(Status.UNAUTHENTICATED, "Token validation failed")
        if metadata.get("x-modal-client-type") != str(api_pb2.CLIENT_TYPE_CLIENT):
            raise GRPCError(Status.PERMISSION_DENIED, "not a client")


def unary(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[None]]:
    """A handler of grpclib from `async (self, request) -> answer`."""

    @functools.wraps(method)
    async def handler(self: Any, stream: Any) -> None:
        request = await stream.recv_message()
        self.admit(method.__name__, stream.metadata)
        await stream.send_message(await method(self, request))

    return handler


def streaming(method: Callable[..., AsyncIterator[Any]]) -> Callable[..., Awaitable[None]]:
    """A handler of grpclib from `async (self, request) -> answers`."""

    @functools.wraps(method)
    async def handler(self: Any, stream: Any) -> None:
        request = await stream.recv_message()
        self.admit(method.__name__, stream.metadata)
        async for answer in method(self, request):
            await stream.send_message(answer)

    return handler


def _unknown(name: str) -> Callable[..., Awaitable[None]]:
    async def handler(self: Any, stream: Any) -> None:
        self.world.unimplemented.append(name)
        raise GRPCError(Status.UNIMPLEMENTED, f"the stand-in has no {name}")

    return handler


def whole(*parts: type) -> type:
    """The service made of `parts`; the rest of its calls are UNIMPLEMENTED."""
    known = {name for part in parts for name in dir(part)}
    unknown = set(ModalClientBase.__abstractmethods__) - known
    return type("Service", (*parts, ModalClientBase), {name: _unknown(name) for name in unknown})
