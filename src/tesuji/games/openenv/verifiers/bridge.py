"""A taskset of verifiers behind OpenEnv's messages. Run by the Python of the environment that has
verifiers; knows nothing of Tesuji, and ends when its standard input does.

    python bridge.py NAME '{"an option": "of the taskset"}'

prints the port that it listens on, and a key that all requests need. An episode runs as verifiers
runs it; its model is an endpoint here that parks each request until whoever plays has replied.
"""

import asyncio
import hmac
import itertools
import json
import os
import secrets
import sys
import time
import uuid
from typing import Any

import verifiers.v1 as vf
from aiohttp import ClientSession, WSMsgType, web
from verifiers.v1.clients import ModelContext
from verifiers.v1.configs.agent import agent_config_fields
from verifiers.v1.configs.client import EvalClientConfig
from verifiers.v1.dialects.chat import message_to_wire
from verifiers.v1.runtimes import ProgramResult
from verifiers.v1.utils.loaders import env_config_type, load_environment

__all__ = ["Asking"]

ME = "tesuji_bridge"
KEY = "TESUJI_BRIDGE_KEY"
MOST_TASKS = 100_000
OF_ENDLESS = 10_000  # tasks of a taskset without end
SHOWN = 500  # characters of an error


class Asking(vf.Harness[vf.HarnessConfig]):
    """No program: one request for every turn."""

    APPENDS_SYSTEM_PROMPT = True
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(  # noqa: D102
        self,
        ctx: Any,
        trace: Any,
        runtime: Any,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: Any,
    ) -> ProgramResult:
        system, prompt = self.resolve_prompt(data)
        said = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else []
        said = said or [message_to_wire(message) for message in prompt or []]
        messages = [{"role": "system", "content": system}, *said] if system else said
        headers = {"Authorization": f"Bearer {secret}"}
        body = {"model": ctx.model, "messages": messages}
        address = f"{endpoint}/chat/completions"
        async with (
            ClientSession(headers=headers) as client,
            client.post(address, json=body) as answer,
        ):
            words = await answer.text()
        return ProgramResult(0 if answer.status == 200 else 1, "", words[-SHOWN:])


class Match:
    """One episode after the other, each reply given from outside."""

    def __init__(self, bridge: "Bridge") -> None:
        self.bridge, self.id = bridge, uuid.uuid4().hex
        self.asked: asyncio.Queue[list[dict[str, str]]] = asyncio.Queue()
        self.reply: asyncio.Future[str] | None = None
        self.episode: asyncio.Task[Any] | None = None
        self.steps = 0

    async def reset(self, data: dict[str, Any]) -> dict[str, Any]:
        """The first request of an episode of the task that the seed names."""
        await self.close()
        self.steps = 0
        task = self.bridge.tasks[int(data.get("seed") or 0) % len(self.bridge.tasks)]
        client = EvalClientConfig(base_url=self.bridge.url + "/v1", api_key_var=KEY)
        run = self.bridge.env.run_episode(task, ModelContext(self.id, client))
        self.episode = asyncio.create_task(run)
        return await self._next()

    async def step(self, data: dict[str, Any]) -> dict[str, Any]:
        """What follows a reply."""
        if self.reply is None:
            raise ValueError("there is no match that waits for a reply: reset begins one")
        self.steps += 1
        reply, self.reply = self.reply, None
        reply.set_result(str(data["reply"]))
        return await self._next()

    async def _next(self) -> dict[str, Any]:
        assert self.episode is not None
        asked = asyncio.create_task(self.asked.get())
        await asyncio.wait({asked, self.episode}, return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            messages = asked.result()
            return _answer(messages[-1]["content"], messages, None, False, {})
        asked.cancel()
        episode = self.episode.result()
        problems = [*episode.errors, *(e for trace in episode.traces for e in trace.errors)]
        if not episode.ok:
            raise ValueError("; ".join(f"{e.type}: {e.message}" for e in problems) or "it failed")
        [trace] = episode.traces
        rewards = {name: reward.value for name, reward in trace.rewards.items() if reward}
        told = ", ".join(f"{name} {value:g}" for name, value in rewards.items())
        text = f"The match is over: {told or 'no reward'}."
        metadata = {"ending": "finished", "rewards": rewards}
        return _answer(text, [], trace.reward, True, metadata)

    async def close(self) -> None:
        """End what runs, and who waits for a reply."""
        if self.reply is not None:
            self.reply.cancel()
        if self.episode is not None:
            self.episode.cancel()
            await asyncio.gather(self.episode, return_exceptions=True)
        self.asked, self.reply, self.episode = asyncio.Queue(), None, None


class Bridge:
    """The taskset, its environment, and the matches under way."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name, self.url = name, ""
        kind = env_config_type(name)
        seats = list(agent_config_fields(kind(taskset={"id": name, **options})))
        if len(seats) != 1:
            raise ValueError(f"{name} is for several agents: {', '.join(seats)}")
        agent = {"harness": {"id": ME}, "runtime": {"type": "subprocess"}}
        self.env = load_environment(kind(taskset={"id": name, **options}, **{seats[0]: agent}))
        taskset = self.env.taskset
        most = OF_ENDLESS if type(taskset).INFINITE else MOST_TASKS
        self.tasks = list(itertools.islice(iter(taskset), most))
        if not self.tasks:
            raise ValueError(f"{name} has no tasks")
        self.matches: dict[str, Match] = {}

    def routes(self) -> list[web.RouteDef]:
        """Where what is answered."""
        return [
            web.get("/metadata", self.metadata),
            web.get("/schema", self.schema),
            web.get("/ws", self.session),
            web.post("/v1/chat/completions", self.complete),
        ]

    async def metadata(self, request: web.Request) -> web.Response:
        """What it is."""
        words = f"The taskset {self.name} of verifiers, {len(self.tasks):,} tasks."
        return web.json_response({"name": self.name, "description": words})

    async def schema(self, request: web.Request) -> web.Response:
        """One field of text in either direction."""
        text = {"type": "string"}
        action = {"properties": {"reply": text}, "required": ["reply"]}
        observation = {"properties": {"text": text, "messages": {"type": "array"}}}
        return web.json_response({"action": action, "observation": observation, "state": {}})

    async def session(self, request: web.Request) -> web.WebSocketResponse:
        """A match a socket."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        match = Match(self)
        self.matches[match.id] = match
        try:
            async for said in socket:
                if said.type is WSMsgType.TEXT:
                    await socket.send_json(await _answered(match, json.loads(said.data)))
        finally:
            del self.matches[match.id]
            await match.close()
        return socket

    async def complete(self, request: web.Request) -> web.Response:
        """A chat completion, once whoever plays has replied."""
        body = await request.json()
        if body.get("tools"):
            words = "a taskset with tools cannot be played in texts"
            return web.json_response({"error": {"message": words}}, status=400)
        match = self.matches[body["model"]]
        match.reply = asyncio.get_running_loop().create_future()
        reply = match.reply
        match.asked.put_nowait([_plain(message) for message in body["messages"]])
        message = {"role": "assistant", "content": await reply}
        about = {"id": uuid.uuid4().hex, "object": "chat.completion", "created": int(time.time())}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        whole = {**about, "model": body["model"], "choices": [choice], "usage": usage}
        return web.json_response(whole)


async def _keyed(request: web.Request, handler: Any) -> Any:
    """Refuses whoever has not the key: pages in a browser, and other programs here."""
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {os.environ[KEY]}".encode()):
        return web.json_response({"error": {"message": "the key is missing or wrong"}}, status=401)
    return await handler(request)


async def _answered(match: Match, message: dict[str, Any]) -> dict[str, Any]:
    kind, data = message.get("type"), message.get("data") or {}
    try:
        if kind == "reset":
            return {"type": "observation", "data": await match.reset(data)}
        if kind == "step":
            return {"type": "observation", "data": await match.step(data)}
        words, code = f"Unknown message type: {kind}", "UNKNOWN_TYPE"
    except Exception as error:  # the taskset's own code: whatever it raises is told
        words, code = f"{type(error).__name__}: {error}"[-SHOWN:], "EXECUTION_ERROR"
    return {"type": "error", "data": {"message": words, "code": code}}


def _answer(
    text: str, messages: list[Any], reward: float | None, done: bool, metadata: dict[str, Any]
) -> dict[str, Any]:
    observation = {"text": text, "messages": messages, "metadata": metadata}
    return {"observation": observation, "reward": reward, "done": done, "metadata": metadata}


def _plain(message: dict[str, Any]) -> dict[str, str]:
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "\n".join(part.get("text", "") for part in content)
    return {"role": message["role"], "content": content}


async def main(name: str, options: dict[str, Any]) -> None:
    """Serve until standard input ends."""
    os.environ[KEY] = secrets.token_urlsafe(24)
    bridge = Bridge(name, options)
    app = web.Application(client_max_size=8 << 20, middlewares=[web.middleware(_keyed)])
    app.add_routes(bridge.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    bridge.url = f"http://127.0.0.1:{port}"
    async with bridge.env.serving():
        print(json.dumps({"port": port, "key": os.environ[KEY]}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    sys.modules[ME] = sys.modules["__main__"]  # by this name verifiers looks for the harness
    try:
        asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
    except Exception as error:  # the taskset's own code: whatever it raises is told
        print(json.dumps({"error": f"{type(error).__name__}: {error}"[-SHOWN:]}), flush=True)
        os._exit(2)
