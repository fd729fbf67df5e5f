"""The lines that containers wrote, streamed and fetched."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from grpclib import GRPCError, Status
from modal_proto import api_pb2

from .calls import Calls, streaming, unary
from .state import STOPPED, App

Line = tuple[int, str, str, "api_pb2.TaskLogs"]


class Logs(Calls):
    """AppGetLogs, AppFetchLogs, AppCountLogs."""

    def _app(self, app_id: str) -> App:
        if app_id not in self.world.apps:
            raise GRPCError(Status.NOT_FOUND, f"No App with ID '{app_id}' found.")
        return self.world.apps[app_id]

    def _lines(self, request: Any, descriptor: int) -> list[Line]:
        """What the request's filters leave, numbered from 1."""

        def fits(task: str, function: str, line: Any) -> bool:
            return all((
                request.task_id in ("", task),
                request.function_id in ("", function),
                request.function_call_id in ("", line.function_call_id),
                request.search_text in line.data,
                descriptor in (0, line.file_descriptor),
            ))  # fmt: skip

        lines = enumerate(self._app(request.app_id).logs, 1)
        return [(number, *line) for number, line in lines if fits(*line)]

    def _batch(self, line: Line) -> Any:
        number, task, function, item = line
        return api_pb2.TaskLogsBatch(
            task_id=task, function_id=function, entry_id=f"{number}-0", items=[item]
        )

    @streaming
    async def AppGetLogs(self, request: Any) -> AsyncIterator[Any]:
        """From after `last_entry_id`; waits for more, until the time is up or the app has ended."""
        app, world = self._app(request.app_id), self.world
        at = int((request.last_entry_id or "0-0").split("-")[0])
        breaks = world.faults.break_logs_after
        left = breaks.pop(0) if breaks else None
        while True:
            for line in self._lines(request, request.file_descriptor):
                if line[0] <= at:
                    continue
                if left is not None and left <= 0:
                    raise GRPCError(Status.UNAVAILABLE, "log stream broken on purpose")
                left = None if left is None else left - 1
                at = line[0]
                yield self._batch(line)
            at = max(at, len(app.logs)) if not request.function_call_id else at
            if self._over(app):
                yield api_pb2.TaskLogsBatch(app_done=True)
                return
            before = len(app.logs)
            await world.wait_for(
                lambda before=before: len(app.logs) > before or self._over(app),
                min(request.timeout or 0.01, 5.0),
            )
            if len(app.logs) == before and not self._over(app):
                return

    def _over(self, app: App) -> bool:
        running = any(task.function.app is app for task in self.world.tasks.values())
        return app.state in STOPPED and not running

    def _between(self, request: Any) -> list[Line]:
        since, until = request.since.ToNanoseconds(), request.until.ToNanoseconds()
        lines = self._lines(request, request.source)
        return [line for line in lines if since <= line[3].timestamp_ns <= until]

    @unary
    async def AppFetchLogs(self, request: Any) -> Any:
        lines = self._between(request)
        kept = lines[-request.limit :] if request.limit else lines
        return api_pb2.AppFetchLogsResponse(batches=[self._batch(line) for line in kept])

    @unary
    async def AppCountLogs(self, request: Any) -> Any:
        size = request.bucket_secs or 1
        starts = Counter(int(line[3].timestamp) // size * size for line in self._between(request))
        answer = api_pb2.AppCountLogsResponse(app_id=request.app_id)
        for start, count in sorted(starts.items()):
            answer.buckets.add(stdout_logs=count).bucket_start_at.FromSeconds(start)
        return answer
