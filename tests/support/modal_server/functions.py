"""Functions and their calls, as the client sees them."""

from typing import Any

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2

from .calls import Calls, unary
from .containers import cancel_input, end_task, enqueue, finish
from .state import STOPPED, Call, Function, Input

TERMINATED = api_pb2.GenericResult.GENERIC_STATUS_TERMINATED
LONGEST_WAIT = 50.0


class Functions(Calls):
    """FunctionPrecreate ... FunctionCallCancel."""

    def function(self, function_id: str) -> Function:
        if function_id not in self.world.functions:
            raise GRPCError(Status.NOT_FOUND, f"No Function with ID '{function_id}' found.")
        return self.world.functions[function_id]

    def call(self, call_id: str) -> Call:
        if call_id not in self.world.calls:
            raise GRPCError(Status.NOT_FOUND, f"No FunctionCall with ID '{call_id}' found.")
        return self.world.calls[call_id]

    @unary
    async def FunctionPrecreate(self, request: Any) -> Any:
        world, function_id = self.world, request.existing_function_id
        if function_id not in world.functions:
            function_id = world.new_id("fu")
            metadata = api_pb2.FunctionHandleMetadata(
                function_name=request.function_name, function_type=request.function_type,
                function_schema=request.function_schema, app_id=request.app_id,
                supported_input_formats=request.supported_input_formats,
                supported_output_formats=request.supported_output_formats,
                definition_id=world.new_id("de"),
            )  # fmt: skip
            app = world.apps[request.app_id]
            world.functions[function_id] = Function(
                function_id, app, request.function_name, metadata
            )
        return api_pb2.FunctionPrecreateResponse(
            function_id=function_id, handle_metadata=world.functions[function_id].metadata
        )

    @unary
    async def FunctionCreate(self, request: Any) -> Any:
        if not request.HasField("function"):
            raise GRPCError(Status.UNIMPLEMENTED, "the stand-in knows one GPU type a function")
        definition = request.function
        function = self.function(request.existing_function_id)
        world = self.world
        known = {**world.mounts, **world.secrets, **world.volumes, "mo-client": []}
        wanted = [*definition.mount_ids, *definition.secret_ids]
        wanted += [mount.volume_id for mount in definition.volume_mounts]
        lost = [name for name in wanted if name not in known]
        if lost or definition.image_id not in world.built:
            raise GRPCError(Status.FAILED_PRECONDITION, f"not there: {lost or definition.image_id}")
        function.definition.CopyFrom(definition)
        function.failed_starts = 0
        return api_pb2.FunctionCreateResponse(
            function_id=function.id, function=definition, handle_metadata=function.metadata,
            function_data=function.data(),
        )  # fmt: skip

    @unary
    async def FunctionGet(self, request: Any) -> Any:
        app = self.world.app_named(request.app_name)
        if app is None:
            raise GRPCError(Status.NOT_FOUND, f"App '{request.app_name}' not found")
        if request.object_tag not in app.function_ids:
            raise GRPCError(Status.NOT_FOUND, f"Function '{request.object_tag}' not found")
        function = self.function(app.function_ids[request.object_tag])
        return api_pb2.FunctionGetResponse(
            function_id=function.id, handle_metadata=function.metadata, function=function.data()
        )

    @unary
    async def FunctionGetById(self, request: Any) -> Any:
        function = self.function(request.function_id)
        return api_pb2.FunctionGetByIdResponse(
            function=function.data(), handle_metadata=function.metadata
        )

    @unary
    async def FunctionGetCurrentStats(self, request: Any) -> Any:
        function = self.function(request.function_id)
        tasks = [task for task in self.world.tasks.values() if task.function is function]
        return api_pb2.FunctionStats(backlog=len(function.queue), num_total_tasks=len(tasks))

    @unary
    async def FunctionMap(self, request: Any) -> Any:
        function = self.function(request.function_id)
        if function.app.state in STOPPED:
            raise GRPCError(Status.FAILED_PRECONDITION, "App is stopped")
        call = Call(self.world.new_id("fc"), function, request.function_call_invocation_type)
        self.world.calls[call.id] = call
        return api_pb2.FunctionMapResponse(
            function_call_id=call.id, function_call_jwt=call.id, max_inputs_outstanding=1000,
            retry_policy=function.definition.retry_policy, sync_client_retries_enabled=True,
            pipelined_inputs=await self._put(call, request.pipelined_inputs),
        )  # fmt: skip

    async def _put(self, call: Call, items: Any) -> list[Any]:
        answers = []
        for item in items:
            one = Input(self.world.new_id("in"), item.idx, item.input, call)
            self.world.inputs[one.id] = one
            call.inputs.append(one)
            answers.append(
                api_pb2.FunctionPutInputsResponseItem(
                    idx=one.idx, input_id=one.id, input_jwt=one.id
                )
            )
            await enqueue(self.world, one)
        return answers

    @unary
    async def FunctionPutInputs(self, request: Any) -> Any:
        call = self.call(request.function_call_id)
        return api_pb2.FunctionPutInputsResponse(inputs=await self._put(call, request.inputs))

    @unary
    async def FunctionFinishInputs(self, request: Any) -> Any:
        return Empty()

    @unary
    async def FunctionRetryInputs(self, request: Any) -> Any:
        """For calls that the client waits for, the client says when to try again."""
        for item in request.inputs:
            again = self.world.inputs[item.input_jwt]
            again.retry_count += 1
            again.done = False
            await enqueue(self.world, again)
        jwts = [item.input_jwt for item in request.inputs]
        return api_pb2.FunctionRetryInputsResponse(input_jwts=jwts)

    @unary
    async def FunctionGetOutputs(self, request: Any) -> Any:
        """Waits for outputs after `last_entry_id`, of the inputs from `start_idx` to `end_idx`."""
        call = self.call(request.function_call_id)
        after = int((request.last_entry_id or "0-0").split("-")[0])

        def wanted() -> list[Any]:
            found = call.outputs[after:]
            if request.HasField("start_idx"):
                found = [o for o in found if request.start_idx <= o.idx <= request.end_idx]
            return [item for item in found if item.input_id]

        if request.timeout > 0:
            await self.world.wait_for(wanted, min(request.timeout, LONGEST_WAIT))
        outputs = wanted()
        answer = api_pb2.FunctionGetOutputsResponse(
            idxs=[item.idx for item in outputs], outputs=outputs,
            last_entry_id=f"{len(call.outputs)}-0",
            num_unfinished_inputs=sum(not item.done for item in call.inputs),
        )  # fmt: skip
        if request.clear_on_success:
            taken = {id(item) for item in outputs}
            call.outputs[:] = [
                api_pb2.FunctionGetOutputsItem() if id(item) in taken else item
                for item in call.outputs
            ]
        return answer

    @unary
    async def FunctionCallFromId(self, request: Any) -> Any:
        call = self.call(request.function_call_id)
        metadata = api_pb2.FunctionCallHandleMetadata(
            app_id=call.function.app.id, function_id=call.function.id
        )
        return api_pb2.FunctionCallFromIdResponse(
            function_call_id=call.id, num_inputs=len(call.inputs), metadata=metadata
        )

    @unary
    async def FunctionCallCancel(self, request: Any) -> Any:
        """Queued inputs end at once; running ones are told to, or their containers are ended."""
        call = self.call(request.function_call_id)
        for item in call.inputs:
            if item.done:
                continue
            task = next((t for t in self.world.tasks.values() if t.current is item), None)
            if task is None:
                await finish(self.world, item, api_pb2.GenericResult(status=TERMINATED))
            elif request.terminate_containers:
                await end_task(self.world, task, "cancelled")
            else:
                await cancel_input(self.world, task)
        return Empty()
