"""Containers: when one starts, what becomes of its input when it ends, what it asks for."""

import asyncio
import time
from typing import Any

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2

from . import process
from .calls import Calls, unary
from .state import STOPPED, App, Function, Input, Task, World

Result = api_pb2.GenericResult
ASYNC = (
    api_pb2.FUNCTION_CALL_INVOCATION_TYPE_ASYNC,
    api_pb2.FUNCTION_CALL_INVOCATION_TYPE_ASYNC_LEGACY,
)
LONGEST_HEARTBEAT = 5.0
STARTS = 3


def layout(world: World, app: App) -> api_pb2.AppLayout:
    functions = [world.functions[name] for name in app.function_ids.values()]
    found = api_pb2.AppLayout(function_ids=app.function_ids)
    for function in functions:
        found.objects.add(object_id=function.id, function_handle_metadata=function.metadata)
        for dependency in function.definition.object_dependencies:
            volume = world.volumes.get(dependency.object_id)
            metadata = api_pb2.VolumeMetadata(version=volume.version) if volume else None
            found.objects.add(object_id=dependency.object_id, volume_metadata=metadata)
    return found


async def enqueue(world: World, item: Input) -> None:
    item.call.function.queue.append(item)
    await scale(world, item.call.function)
    await world.tell()


async def scale(world: World, function: Function) -> None:
    """Starts containers for what waits, up to the function's limit."""
    if function.app.state in STOPPED or world.faults.no_capacity:
        return
    tasks = [t for t in world.tasks.values() if t.function is function and not t.ending]
    idle = sum(task.current is None for task in tasks)
    definition = function.definition
    limit = definition.autoscaler_settings.max_containers or definition.concurrency_limit or 4
    for _ in range(min(limit - len(tasks), len(function.queue) - idle)):
        task_id = world.new_id("ta")
        task = Task(task_id, function, world.folder / "tasks" / task_id[:11])
        world.tasks[task.id] = task
        await process.start(world, task, layout(world, function.app))
        world.running.add(asyncio.ensure_future(_watch(world, task)))


async def _watch(world: World, task: Task) -> None:
    code = await process.ended(world, task)
    world.past_tasks[task.id] = world.tasks.pop(task.id)
    task.ended = time.time()
    item, task.current = task.current, None
    function = task.function
    if item is not None and not item.done:
        await _lost(world, task, item, code)
    elif code and not task.ending and not task.fetched:
        function.failed_starts += 1
        if function.failed_starts >= STARTS:
            await _fail_queue(world, function, f"Container exited with code {code} at its start")
    await scale(world, function)
    await world.tell()


async def _lost(world: World, task: Task, item: Input, code: int) -> None:
    """The input of a container that is gone: given to another one, or ended."""
    if task.ending == "preempted":
        item.retry_count += 1
        await enqueue(world, item)
    elif task.ending == "timeout":
        seconds = task.function.definition.timeout_secs
        text = f"Task's current input in {task.id} hit its timeout of {seconds}s"
        await failed(world, item, Result(status=Result.GENERIC_STATUS_TIMEOUT, exception=text))
    elif task.ending:
        await finish(world, item, Result(status=Result.GENERIC_STATUS_TERMINATED))
    else:
        text = f"Container {task.id} exited with code {code}"
        result = Result(status=Result.GENERIC_STATUS_FAILURE, exception=text, exitcode=code)
        await failed(world, item, result)


async def _fail_queue(world: World, function: Function, text: str, **data: Any) -> None:
    result = Result(status=Result.GENERIC_STATUS_INIT_FAILURE, exception=text, **data)
    for item in list(function.queue):
        await finish(world, item, result)


async def failed(world: World, item: Input, result: Result, **output: Any) -> None:
    """Tried again where the policy says so: by the server for spawned calls, else by the client."""
    item.attempts += 1
    policy = item.call.function.definition.retry_policy
    if item.call.invocation not in ASYNC or item.attempts > policy.retries:
        await finish(world, item, result, **output)
        return
    item.retry_count += 1
    wait = policy.initial_delay_ms / 1000 * policy.backoff_coefficient ** (item.attempts - 1)

    async def again() -> None:
        await asyncio.sleep(wait)
        if not item.done:
            await enqueue(world, item)

    world.running.add(asyncio.ensure_future(again()))


async def finish(world: World, item: Input, result: Result, **output: Any) -> None:
    """The input's last word."""
    item.done = True
    if item in item.call.function.queue:
        item.call.function.queue.remove(item)
    item.call.outputs.append(
        api_pb2.FunctionGetOutputsItem(
            result=result,
            idx=item.idx,
            input_id=item.id,
            output_created_at=time.time(),
            retry_count=item.retry_count,
            **output,
        )
    )
    await world.tell()


async def end_task(world: World, task: Task, why: str) -> None:
    """A preempted container is interrupted and has some seconds; others are ended at once."""
    if task.ending:
        return
    task.ending = why
    process.interrupt(task) if why == "preempted" else process.kill(task)
    if why == "preempted":

        async def later() -> None:
            await world.wait_for(lambda: task.id not in world.tasks, world.grace_seconds)
            if task.id in world.tasks:
                process.kill(task)

        world.running.add(asyncio.ensure_future(later()))


async def cancel_input(world: World, task: Task) -> None:
    assert task.current is not None
    task.to_cancel.append(task.current.id)
    await world.tell()


async def tick(world: World) -> None:
    """What time brings: capacity, timeouts, apps whose client is gone or whose work is done."""
    for function in list(world.functions.values()):
        await scale(world, function)
    for task in list(world.tasks.values()):
        limit = task.function.definition.timeout_secs
        if task.current is not None and limit and time.time() - task.taken > limit:
            await end_task(world, task, "timeout")


def work_of(world: World, app: App) -> int:
    calls = [call for call in world.calls.values() if call.function.app is app]
    return sum(not item.done for call in calls for item in call.inputs)


class Containers(Calls):
    """What only containers call."""

    @unary
    async def ContainerHello(self, request: Any) -> Any:
        self.container()
        return Empty()

    @unary
    async def ContainerHeartbeat(self, request: Any) -> Any:
        task = self.container()
        await self.world.wait_for(lambda: task.to_cancel, LONGEST_HEARTBEAT)
        answer = api_pb2.ContainerHeartbeatResponse()
        if task.to_cancel:
            answer.cancel_input_event.input_ids.extend(task.to_cancel)
            task.to_cancel.clear()
        return answer

    @unary
    async def FunctionGetInputs(self, request: Any) -> Any:
        """The next input; a container that has had none for a while is told to end."""
        task, world = self.container(), self.world
        task.fetched = True
        queue = task.function.queue
        await world.wait_for(lambda: queue or task.ending, world.idle_seconds)
        answer = api_pb2.FunctionGetInputsResponse()
        if not queue or task.ending:
            answer.inputs.add(kill_switch=True)
            return answer
        item = task.current = queue.pop(0)
        task.taken = time.time()
        answer.inputs.add(
            input_id=item.id, input=item.input, function_call_id=item.call.id,
            retry_count=item.retry_count, function_map_idx=item.idx, attempt_token=item.id,
            function_call_invocation_type=item.call.invocation,
        )  # fmt: skip
        await world.tell()
        return answer

    @unary
    async def FunctionPutOutputs(self, request: Any) -> Any:
        task = self.container()
        for output in request.outputs:
            item = self.world.inputs[output.input_id]
            if item.done or item.retry_count != output.retry_count:
                continue
            ended = output.result.status == Result.GENERIC_STATUS_TERMINATED
            if ended and task.ending == "preempted":
                continue  # the interrupt met a call of the SDK, which cancels its input: it goes on
            task.current = None
            more = {"data_format": output.data_format, "task_id": task.id}
            good = (Result.GENERIC_STATUS_SUCCESS, Result.GENERIC_STATUS_TERMINATED)
            ending = finish if output.result.status in good else failed
            await ending(self.world, item, output.result, **more)
        return Empty()

    @unary
    async def TaskResult(self, request: Any) -> Any:
        """A container that could not import its function: what waits for it fails."""
        task, result = self.container(), request.result
        task.ending = "failed"
        for item in list(task.function.queue):
            await finish(self.world, item, result)
        return Empty()
