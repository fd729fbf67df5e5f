"""Modal as a machine: a deployed app a job, one function, one call of it.

Nothing of a job depends on this side once the call is made. The app is called `tesuji-JOB`, so
that it is found again; its function has one container at most, so that a second call, made
because this side was killed before it noted the first, waits behind that and finds it done.
"""

import io
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import modal
from modal import exception

from tesuji.compute.base import ENDS, PREFIX, Leftover, Price, Status, Wish
from tesuji.compute.costs.prices import READER_CORES, READER_GIB, price_of
from tesuji.compute.job.folder import JobFolder
from tesuji.compute.job.package import CONSTRAINTS
from tesuji.compute.modal import gpus
from tesuji.compute.modal.errors import speaking
from tesuji.compute.modal.image import image_for
from tesuji.compute.modal.inside import run_job
from tesuji.compute.modal.volumes import CACHE, OUTPUTS, Names, bring, names, opened, read
from tesuji.compute.remote import EXIT, HEARTBEAT, LOG, ORDER, STOP
from tesuji.core.errors import ComputeError, did_you_mean, first_line
from tesuji.core.files import read_json, write_json
from tesuji.core.redact import redact
from tesuji.pipeline.steps.shards import MODAL_APP, MODAL_READER, read_shard

FUNCTION = "run"
LONGEST_HOURS = 24.0  # of one call, by Modal's rule
SPARE = 900.0  # seconds between the run's own limit and Modal's: for the checkpoint
POLL = 5.0
SEEN = "fetched.json"
OPTIONS = {
    "experiment": "the experiment's name, in its volumes' names",
    "experimenter": "whose it is, in its volumes' names",
    "nonpreemptible": "true: a container that Modal does not take away, at three times the price",
    "region": "where it runs, such as us-east, at up to 1.75 times the price",
}


class ModalMachine:
    """See `compute/machine.py`."""

    def check(self, wish: Wish) -> None:
        """GPU, limits, options and names first; then whether Modal accepts the token."""
        gpus.checked(wish)
        names(wish, "run")
        for key in wish.options:
            if key not in OPTIONS:
                hint = f"{did_you_mean(key, OPTIONS)}one of: {', '.join(OPTIONS)}"
                raise ComputeError(f"Modal has no setting {key!r}", where="--option", hint=hint)
        if wish.options.get("nonpreemptible", "true") not in ("true", "false"):
            raise ComputeError("true or false", where="--option nonpreemptible")
        if wish.timeout_hours > LONGEST_HOURS:
            raise ComputeError(
                f"{wish.timeout_hours:g} hours: Modal ends a call after {LONGEST_HOURS:g}",
                where="--timeout",
                hint="a shorter one; `tesuji launch` of the same recipe goes on with a resumed run",
            )
        with speaking("--on modal"):
            modal.Workspace.from_context().hydrate()

    def price(self, wish: Wish) -> Price:
        """By the workspace's own rates; by the table where they cannot be had."""
        gpus.checked(wish)
        plain = replace(wish, gpu=wish.gpu.upper().rstrip("!"))
        return price_of(plain, _live_price)

    def start(self, job: JobFolder, secrets: Mapping[str, str]) -> None:
        """Volumes, package, app, call: each noted as it is made, each found again."""
        if "call" in job.state.handle:
            return
        name, found = PREFIX + job.id, names(job.job.wish, job.job.run)
        job.note(handle={"app": name, "cache": found.cache, "outputs": found.outputs})
        with speaking("--on modal"):
            function = self._function(job, name, found, secrets)
            call = function.spawn(job.id, found.outputs, self._seconds(job.job.wish) - SPARE)
        job.note(handle={"call": call.object_id}, phase="starting")

    def _function(
        self, job: JobFolder, name: str, found: Names, secrets: Mapping[str, str]
    ) -> modal.Function[Any, Any, Any]:
        """The deployed function; where there is none yet, with all that it needs."""
        known: modal.Function[Any, Any, Any] = modal.Function.from_name(name, FUNCTION)
        with suppress(exception.NotFoundError):
            return known.hydrate()
        _ship(job, opened(found.outputs, make=True).hydrate())
        app = modal.App(name, include_source=False)
        settings = self._settings(job, found, secrets)
        app.function(**settings)(run_job)
        if readers := _readers(job):
            app.function(**_to_read(settings, readers))(read_shard)
        app.deploy()
        return known.hydrate()

    def _settings(self, job: JobFolder, found: Names, secrets: Mapping[str, str]) -> dict[str, Any]:
        wish, versions = job.job.wish, job.job.versions
        gpu = gpus.checked(wish)
        extras = [extra for extra in versions.get("extras", "").split(",") if extra]
        wheel, vllm = versions["wheel"], versions.get("vllm", "")
        values: dict[str, str | None] = dict(secrets)
        if _readers(job):
            extras, values[MODAL_APP] = [*extras, "modal"], PREFIX + job.id
        return {
            "name": FUNCTION,
            "image": image_for(job.package, wheel, extras, gpu=gpu is not None, vllm=vllm),
            "gpu": gpu,
            "cpu": gpus.cores(wish),
            "memory": gpus.memory_mib(wish),
            "ephemeral_disk": int(wish.disk_gb * 1024) or None,
            "timeout": int(self._seconds(wish)),
            "retries": modal.Retries(max_retries=wish.retries, backoff_coefficient=1.0),
            "volumes": {
                CACHE: opened(found.cache, make=True),
                OUTPUTS: opened(found.outputs, make=True),
            },
            "secrets": [modal.Secret.from_dict(values)] if values else [],
            "nonpreemptible": wish.options.get("nonpreemptible") == "true",
            "region": wish.options.get("region"),
            "max_containers": 1,
        }

    def _seconds(self, wish: Wish) -> float:
        """Modal's limit of one call: a little more than the run's own."""
        return min(wish.timeout_hours * 3600 + SPARE, LONGEST_HOURS * 3600)

    def status(self, job: JobFolder) -> Status:
        """By the volume's exit.json and heartbeat.json, and by what Modal says of the call."""
        handle = job.state.handle
        if "call" not in handle:
            return Status(job.state.phase)
        outputs = opened(handle["outputs"])
        if ended := _json(outputs, f"{job.id}/{EXIT}"):
            return _ended(ended)
        with speaking(job.id):
            said = _call_says(modal.FunctionCall.from_id(handle["call"]))
        if said is None:
            beat = _json(outputs, f"{job.id}/{HEARTBEAT}")
            return Status("running", started=float(beat["started"])) if beat else Status("starting")
        if ended := _json(outputs, f"{job.id}/{EXIT}"):
            return _ended(ended)
        if handle.get("told"):
            return Status("stopped", message="it was stopped before it began", ended=time.time())
        return Status("lost", message=said, ended=time.time())

    def logs(self, job: JobFolder, offset: int) -> Iterator[tuple[int, str]]:
        """By bytes of the log in the volume, which is committed every few seconds."""
        while True:
            over = self.status(job).phase in ENDS
            handle = job.state.handle
            said = (
                read(opened(handle["outputs"]), f"{job.id}/{LOG}") if "outputs" in handle else None
            )
            for line in (said or b"")[offset:].splitlines(keepends=True):
                if not line.endswith(b"\n") and not over:
                    break
                offset += len(line)
                yield offset, line.decode(errors="replace").rstrip("\r\n")
            if over:
                return
            time.sleep(POLL)

    def fetch(self, job: JobFolder, runs: Path) -> None:
        """The run folder of the outputs volume, as last committed."""
        handle = job.state.handle
        if "outputs" not in handle:
            return
        order = read_json(job.package / ORDER)
        where = PurePosixPath(OUTPUTS, job.id, order["runs"], job.job.run)
        place = where.relative_to(OUTPUTS).as_posix()
        alone = place.startswith(job.id)  # else others have brought some of it
        seen_path = job.path / SEEN if alone else runs / job.job.run / f".{SEEN}"
        seen = dict(read_json(seen_path)) if seen_path.exists() else {}
        write_json(seen_path, bring(opened(handle["outputs"]), place, runs / job.job.run, seen))

    def interrupt(self, job: JobFolder) -> None:
        """A file `stop` in the volume; one that has not begun is cancelled."""
        handle = job.state.handle
        if "call" not in handle:
            return
        job.note(handle={"told": "stop"})
        outputs = opened(handle["outputs"])
        with speaking(job.id):
            if read(outputs, f"{job.id}/{HEARTBEAT}") is None:
                modal.FunctionCall.from_id(handle["call"]).cancel(terminate_containers=True)
                return
            with outputs.batch_upload(force=True) as batch:
                batch.put_file(io.BytesIO(b"stop"), f"/{job.id}/{STOP}")

    def renew(self, job: JobFolder) -> bool:
        """Modal tries again itself."""
        return False

    def stop(self, job: JobFolder) -> None:
        """The app is stopped, and with it its containers; the volumes stay."""
        _stop_app(PREFIX + job.id)

    def leftovers(self) -> list[Leftover]:
        """Live apps of our name."""
        with speaking("--on modal"):
            apps = modal.Environment.from_context().apps.list()
        found = [app.name or app.description or "" for app in apps]
        return [
            Leftover(name, name.removeprefix(PREFIX)) for name in found if name.startswith(PREFIX)
        ]

    def release(self, leftover: Leftover) -> None:
        """Its app is stopped."""
        _stop_app(leftover.id)


def _readers(job: JobFolder) -> int:
    return int(read_json(job.package / ORDER).get("readers", 0))


def _to_read(settings: dict[str, Any], readers: int) -> dict[str, Any]:
    """The settings of the function that reads logs: small containers, several at once."""
    small = {"gpu": None, "cpu": READER_CORES, "memory": int(1024 * READER_GIB)}
    short = {"timeout": 3600, "ephemeral_disk": None}
    return {**settings, **small, **short, "name": MODAL_READER, "max_containers": readers}


def _live_price(wish: Wish) -> Price:
    with speaking("--on modal"):
        rates = modal.Workspace.from_context().billing.rates()
    return gpus.live_price(wish, {key: float(rates[key]) for key in rates})


def _stop_app(name: str) -> None:
    with speaking("--on modal"), suppress(exception.NotFoundError):
        modal.App.lookup(name).stop()


def _ship(job: JobFolder, outputs: modal.Volume) -> None:
    """The package into the volume, all of it or nothing."""
    left = {CONSTRAINTS, job.job.versions["wheel"]}  # in the image
    with speaking("uploading"), outputs.batch_upload(force=True) as batch:
        for path in sorted(job.package.rglob("*")):
            name = path.relative_to(job.package).as_posix()
            if path.is_file() and name not in left:
                batch.put_file(path, f"/{job.id}/{name}")


def _call_says(call: modal.FunctionCall[Any]) -> str | None:
    """None while it goes on; how it ended, in words, without which exit.json there is none."""
    try:
        call.get(timeout=0)
    except exception.OutputExpiredError:
        return "Modal has forgotten it"
    except exception.FunctionTimeoutError:
        return "Modal ended it at its time limit"
    except TimeoutError:
        return None
    except (exception.AuthError, exception.ServiceError, exception.ConnectionError):
        raise
    except Exception as error:  # whatever the container raised is raised again here
        return f"its container died: {redact(first_line(error))}"
    return "it ended without a result"


def _json(volume: modal.Volume, path: str) -> Any:
    text = read(volume, path)
    with suppress(ValueError):
        return json.loads(text) if text else None
    return None


def _ended(said: dict[str, Any]) -> Status:
    return Status(
        said["phase"], said.get("exit_code"), said.get("message", ""),
        said.get("started"), said.get("ended"),
    )  # fmt: skip
