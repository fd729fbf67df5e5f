"""Who asks, environments, prices, secrets; and the life of an app."""

import base64
import json
import time
from typing import Any

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2

from .calls import Calls, unary
from .containers import end_task, finish, layout
from .state import STOPPED, App, World

ENVIRONMENT = "main"
IMAGE_BUILDER = "2025.06"


def lifecycle(app: App) -> api_pb2.AppLifecycle:
    return api_pb2.AppLifecycle(
        app_state=app.state, created_at=app.created, deployed_at=app.deployed,
        version=app.version, stopped_at=app.stopped,
    )  # fmt: skip


async def stop_app(world: World, app: App) -> None:
    """Its containers are ended, its inputs terminated."""
    if app.state in STOPPED:
        return
    app.state = api_pb2.APP_STATE_STOPPED
    app.stopped = time.time()
    for task in [task for task in world.tasks.values() if task.function.app is app]:
        await end_task(world, task, "stop")
    terminated = api_pb2.GenericResult(
        status=api_pb2.GenericResult.GENERIC_STATUS_TERMINATED, exception="App was stopped"
    )
    for call in [call for call in world.calls.values() if call.function.app is app]:
        for item in call.inputs:
            if not item.done:
                await finish(world, item, terminated)
    await world.tell()


class Apps(Calls):
    """ClientHello ... AppStop."""

    def app(self, app_id: str) -> App:
        if app_id not in self.world.apps:
            raise GRPCError(Status.NOT_FOUND, f"No App with ID '{app_id}' found.")
        return self.world.apps[app_id]

    @unary
    async def ClientHello(self, request: Any) -> Any:
        return api_pb2.ClientHelloResponse(image_builder_version=IMAGE_BUILDER)

    @unary
    async def AuthTokenGet(self, request: Any) -> Any:
        claims = json.dumps({"exp": time.time() + 3600}).encode()
        parts = (b'{"alg":"none"}', claims, b"")
        token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
        return api_pb2.AuthTokenGetResponse(token=token)

    @unary
    async def WorkspaceNameLookup(self, request: Any) -> Any:
        return api_pb2.WorkspaceNameLookupResponse(workspace_name="tests", username="tests")

    @unary
    async def WorkspaceBillingRates(self, request: Any) -> Any:
        return api_pb2.WorkspaceBillingRatesResponse(rates=self.world.rates)

    @unary
    async def TokenInfoGet(self, request: Any) -> Any:
        return api_pb2.TokenInfoGetResponse(
            token_id=self.world.token[0], workspace_id="ac-tests", workspace_name="tests"
        )

    @unary
    async def EnvironmentGetOrCreate(self, request: Any) -> Any:
        name = request.deployment_name or ENVIRONMENT
        settings = api_pb2.EnvironmentSettings(image_builder_version=IMAGE_BUILDER)
        metadata = api_pb2.EnvironmentMetadata(name=name, settings=settings)
        return api_pb2.EnvironmentGetOrCreateResponse(environment_id="en-main", metadata=metadata)

    @unary
    async def SecretGetOrCreate(self, request: Any) -> Any:
        if request.deployment_name:
            raise GRPCError(Status.NOT_FOUND, f"Secret '{request.deployment_name}' not found")
        secret = self.world.new_id("st")
        self.world.secrets[secret] = dict(request.env_dict)
        metadata = api_pb2.SecretMetadata(keys=list(request.env_dict))
        return api_pb2.SecretGetOrCreateResponse(secret_id=secret, metadata=metadata)

    def _new_app(self, description: str, state: int, name: str = "") -> App:
        app = App(self.world.new_id("ap"), description, state, name)
        self.world.apps[app.id] = app
        return app

    @unary
    async def AppCreate(self, request: Any) -> Any:
        app = self._new_app(request.description, request.app_state)
        app.tags = dict(request.tags)
        page = f"https://modal.com/apps/tests/{ENVIRONMENT}/{app.id}"
        return api_pb2.AppCreateResponse(app_id=app.id, app_page_url=page, app_logs_url=page)

    @unary
    async def AppGetOrCreate(self, request: Any) -> Any:
        app = self.world.app_named(request.app_name) or self.world.apps.get(request.app_name)
        if app is None:
            if request.object_creation_type != api_pb2.OBJECT_CREATION_TYPE_CREATE_IF_MISSING:
                raise GRPCError(Status.NOT_FOUND, f"App '{request.app_name}' not found")
            app = self._new_app(request.app_name, api_pb2.APP_STATE_DEPLOYED, request.app_name)
        return api_pb2.AppGetOrCreateResponse(
            app_id=app.id, handle_metadata=self._app_metadata(app)
        )

    def _app_metadata(self, app: App) -> api_pb2.AppHandleMetadata:
        return api_pb2.AppHandleMetadata(
            description=app.description, app_id=app.id, environment_name=ENVIRONMENT,
            lifecycle=lifecycle(app), functions=app.function_ids,
        )  # fmt: skip

    @unary
    async def AppHeartbeat(self, request: Any) -> Any:
        self.app(request.app_id).heartbeat = time.time()
        return Empty()

    @unary
    async def AppGetByDeploymentName(self, request: Any) -> Any:
        app = self.world.app_named(request.name)
        stopped = [a for a in self.world.apps.values() if a.name == request.name and a is not app]
        answer = api_pb2.AppGetByDeploymentNameResponse(environment_name=ENVIRONMENT)
        if app:
            answer.app_id = app.id
            answer.lifecycle.CopyFrom(lifecycle(app))
        elif stopped:
            answer.previous_app_id = stopped[-1].id
            answer.lifecycle.CopyFrom(lifecycle(stopped[-1]))
        return answer

    @unary
    async def AppGetLayout(self, request: Any) -> Any:
        app = self.app(request.app_id)
        return api_pb2.AppGetLayoutResponse(app_layout=layout(self.world, app))

    @unary
    async def AppGetLifecycle(self, request: Any) -> Any:
        return api_pb2.AppGetLifecycleResponse(lifecycle=lifecycle(self.app(request.app_id)))

    @unary
    async def AppPublish(self, request: Any) -> Any:
        app = self.app(request.app_id)
        app.function_ids = dict(request.function_ids)
        app.state, app.name = request.app_state, request.name or app.name
        app.version += 1
        app.deployed = time.time() if app.state == api_pb2.APP_STATE_DEPLOYED else 0
        url = f"https://modal.com/apps/tests/{ENVIRONMENT}/deployed/{app.name}"
        return api_pb2.AppPublishResponse(url=url, deployed_at=app.deployed)

    @unary
    async def AppClientDisconnect(self, request: Any) -> Any:
        """Ends an ephemeral app and one that was still being made, not a deployed one; a detached
        one lives until its inputs are done (`server.py`)."""
        app = self.app(request.app_id)
        if app.state in (api_pb2.APP_STATE_EPHEMERAL, api_pb2.APP_STATE_INITIALIZING):
            await stop_app(self.world, app)
        elif app.state == api_pb2.APP_STATE_DETACHED:
            app.state = api_pb2.APP_STATE_DETACHED_DISCONNECTED
        return Empty()

    @unary
    async def AppStop(self, request: Any) -> Any:
        await stop_app(self.world, self.app(request.app_id))
        return Empty()

    @unary
    async def AppList(self, request: Any) -> Any:
        answer = api_pb2.AppListResponse()
        for app in self.world.apps.values():
            running = sum(task.function.app is app for task in self.world.tasks.values())
            answer.apps.add(
                app_id=app.id, description=app.description, state=app.state, name=app.name,
                created_at=app.created, stopped_at=app.stopped, n_running_tasks=running,
                metadata=self._app_metadata(app),
            )  # fmt: skip
        return answer

    @unary
    async def TaskList(self, request: Any) -> Any:
        answer = api_pb2.TaskListResponse()
        for task in self.world.tasks.values():
            app = task.function.app
            if request.app_id in ("", app.id):
                answer.tasks.add(
                    task_id=task.id, app_id=app.id, app_description=app.description,
                    started_at=task.started, enqueued_at=task.started,
                )  # fmt: skip
        return answer

    @unary
    async def ContainerStop(self, request: Any) -> Any:
        task = self.world.tasks.get(request.task_id)
        if task is None:
            raise GRPCError(Status.NOT_FOUND, f"No Container with ID '{request.task_id}'")
        await end_task(self.world, task, "preempted")
        return api_pb2.ContainerStopResponse()

    @unary
    async def ObjectSuggest(self, request: Any) -> Any:
        return api_pb2.ObjectSuggestResponse()
