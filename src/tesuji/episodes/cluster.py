"""Ray, from start to stop: a cluster of its own on this machine, or one that is there.

    with cluster("local", 2) as cores:
        actors = started(Worker, begin, 2, cores)
        answers = results([actor.work.remote(...) for actor in actors])

What Ray does by itself and is not wanted: it tells its makers what it is used for, keeps a token in
the home folder and its logs in /tmp/ray, and ships the folder that `uv run` was called in. It
listens to the network, also on one machine, and answers those who have the token. No variable
of the environment is handed to another machine.
"""

import importlib.util
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tesuji.core.errors import EngineError, TesujiError, first_line

T = TypeVar("T")
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
RETRIES = 2
AGAIN = 2
LATE = "Initialization failure from server"  # of Ray's client
READY_S = 900.0  # for loading a large model from a slow disk
TRY_LATER = "once more when this machine has less to do, or with the engine `here`"


class Keys(NamedTuple):
    """What the user has called Ray by, for messages: the whole, its address, how many actors."""

    whole: str
    address: str
    actors: str


ROLLOUTS = Keys("rollouts", "rollouts.address", "rollouts.actors")


class ActorLostError(EngineError):
    """An actor's process has died again and again."""


def check_installed(where: str, otherwise: str) -> None:
    """Raise EngineError where Ray is not, with what to do `otherwise`."""
    if importlib.util.find_spec("ray") is None:
        hint = f"pip install 'tesuji[ray]', or {otherwise}"
        raise EngineError("Ray is not installed", where=where, hint=hint)


@contextmanager
def cluster(address: str, cpus: int, keys: Keys = ROLLOUTS) -> Iterator[int]:
    """Inside, Ray can be used; the value is how many CPU cores it has. `local` starts it on this
    machine with `cpus` cores. Raises EngineError where it cannot be reached."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    local = _local(cpus) if address == "local" else {}
    import ray

    try:
        yield _begin(address, local, keys.address, AGAIN)
    finally:
        ray.shutdown()


def _begin(address: str, local: Mapping[str, Any], where: str, again: int) -> int:
    """Start or join; the cores there are. Ray gives its own parts 30 seconds, too few on a machine
    with much to do, so starting them is tried `again`: here, or what a head starts for a client."""
    import ray

    try:
        ray.init(address, log_to_driver=False, logging_level="error", **local)
        return int(ray.cluster_resources().get("CPU", 0))
    except Exception as error:  # of many kinds, from ConnectionError to Ray's own
        ray.shutdown()
        if again and (local or LATE in str(error)):
            return _begin(address, local, where, again - 1)
        hint = TRY_LATER if local else "`ray status` on its head node; a token: RAY_AUTH_TOKEN_PATH"
        raise EngineError(
            f"no Ray at {address}: {first_line(error)}", where=where, hint=hint
        ) from error


def _local(cpus: int) -> dict[str, Any]:
    """How a Ray on this machine alone is started: with a token that nobody else can read."""
    folder = Path(_folder().name)
    if "RAY_AUTH_TOKEN" not in os.environ:  # that it is asked for, Ray sees to (since 2.60)
        os.environ.setdefault("RAY_AUTH_TOKEN_PATH", str(_token(folder)))
    return {
        "num_cpus": cpus,
        "num_gpus": 0,
        "include_dashboard": False,
        "_temp_dir": str(folder / "ray"),  # which Ray opens to everybody
    }


@cache
def _folder() -> "tempfile.TemporaryDirectory[str]":
    """This process's own, removed when it ends: Ray reads a token once a process. In /tmp, where
    there is one: Ray's sockets may have no longer paths."""
    place = "/tmp" if Path("/tmp").is_dir() else None
    return tempfile.TemporaryDirectory("", "tesuji-ray-", place, ignore_cleanup_errors=True)


def _token(folder: Path) -> Path:
    path = folder / "token"
    if not path.exists():
        path.touch(0o600)
        path.write_text(secrets.token_hex(32), encoding="ascii")
    return path


def started(actor: type, begin: Any, count: int, cores: int, keys: Keys = ROLLOUTS) -> list[Any]:
    """So many actors made with `begin`, each on a core of its own, once all have answered `ready()`
    with their version. One that dies is started again, and does again what it was doing, up to
    `RETRIES` times. Raises EngineError where not all start, or with another version."""
    import ray

    if count > cores:
        raise EngineError(
            f"{count} actors need a core each, and this Ray has {cores}",
            where=keys.actors,
            hint="without a number it takes what there is",
        )
    options = {"num_cpus": 1, "max_restarts": -1, "max_task_retries": RETRIES}
    actors = [ray.remote(actor).options(**options).remote(begin) for _ in range(count)]
    done, late = ray.wait([a.ready.remote() for a in actors], num_returns=count, timeout=READY_S)
    versions = {*results(done, keys)} - {version()}
    if late:
        raise EngineError(
            f"{len(late)} of {count} actors have not started within {READY_S:g} s",
            where=keys.actors,
            hint="each needs a free CPU core: `ray status`",
        )
    if versions:
        raise EngineError(
            f"the cluster has {', '.join(sorted(versions))}, here is {version()}",
            where=keys.address,
            hint="the same versions everywhere, and the same packages of games and players",
        )
    return actors


def version() -> str:
    """What has to be the same on all machines."""
    return (
        f"tesuji {metadata.version('tesuji')} on Python {sys.version_info[0]}.{sys.version_info[1]}"
    )


def results(calls: Sequence[Any], keys: Keys = ROLLOUTS) -> list[Any]:
    """What calls of actors return, in order. Raises the TesujiError or OSError that one of them
    raised, and ActorLostError where one's process has died again and again."""
    import ray

    with _in_words(keys):
        return list(ray.get(list(calls)))


def in_turn(
    actors: Sequence[Any], call: Callable[[Any, T], Any], items: Iterable[T], keys: Keys = ROLLOUTS
) -> Iterator[Any]:
    """What `call(actor, item)` of each item comes to, in order; whoever is free has the next one.
    Raises as `results` does."""
    from ray.util import ActorPool

    with _in_words(keys):
        yield from ActorPool(list(actors)).map(call, items)


@contextmanager
def _in_words(keys: Keys) -> Iterator[None]:
    import ray

    try:
        yield
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, (TesujiError, OSError)):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise ActorLostError(
            f"an actor of Ray was lost, {RETRIES + 1} times over: {first_line(error)}",
            where=keys.whole,
            hint=f"{keys.actors}: fewer, where memory ran out; Ray's own logs say more",
        ) from error
