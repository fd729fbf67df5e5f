"""A session on /ws of an OpenEnv environment, knowing no more than the protocol's messages."""

import json
from typing import Any

from websockets.sync.client import ClientConnection, connect


class Session:
    """One session. `reset` and `step` return what stands in an answer of type observation."""

    def __init__(self, url: str, **more: Any) -> None:
        self._opening = connect(url.replace("http", "ws", 1) + "/ws", **more)

    def __enter__(self) -> "Session":
        self.socket: ClientConnection = self._opening.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def ask(self, kind: str, data: Any = None) -> Any:
        message = {"type": kind} if data is None else {"type": kind, "data": data}
        self.socket.send(json.dumps(message))
        return self.heard()

    def heard(self) -> Any:
        return json.loads(self.socket.recv(timeout=60))

    def reset(self, **arguments: Any) -> Any:
        return self._observation(self.ask("reset", arguments))

    def step(self, move: str, **more: Any) -> Any:
        return self._observation(self.ask("step", {"move": move, **more}))

    def error(self, kind: str, data: Any = None) -> str:
        answer = self.ask(kind, data)
        assert answer["type"] == "error", answer
        return answer["data"]["code"]

    @staticmethod
    def _observation(answer: Any) -> Any:
        assert answer["type"] == "observation", answer
        data = answer["data"]
        assert set(data) == {"observation", "reward", "done", "metadata"}
        assert data["observation"]["metadata"] == data["metadata"]
        return data
