"""TextArena's matchmaking and game server, as far as its own client (textarena.api 0.7.4) shows
them: what the client sends and every command that it reads. The games are the library's own."""

import json
import random
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import textarena
import uvicorn
from fastapi import FastAPI, WebSocket
from fastapi.responses import JSONResponse
from served import served

from tesuji.games.textarena.random_replies import random_reply


@dataclass
class Tables:
    """What the servers know: who is registered, what was asked of them, what to do wrong."""

    env: str
    seat: int
    players: int
    registered: dict[str, str] = field(default_factory=dict)
    queued: list[dict[str, Any]] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    hang_up_after: int | None = None
    nobody_comes: bool = False
    game_url: str = ""


@contextmanager
def textarena_servers(tables: Tables, folder: Path) -> Iterator[str]:
    """Both, while the block runs: the address of the matchmaking, without its scheme."""
    with _secure(_game_server(tables), folder) as game_url:
        tables.game_url = game_url
        with served(_matchmaking(tables)) as url:
            yield url.removeprefix("http://")


def _matchmaking(tables: Tables) -> FastAPI:
    app = FastAPI()

    @app.post("/register_model")
    @app.post("/register_mgc_model")
    async def register(asked: dict[str, Any]) -> Any:
        name, token = asked["model_name"], asked["model_token"]
        if tables.registered.setdefault(name, token) != token:
            return JSONResponse({"detail": "exists with a different token"}, 409)
        return {"model_token": token}

    @app.websocket("/ws")
    async def queue(ws: WebSocket) -> None:
        await ws.accept()
        tables.queued.append({**ws.query_params, **json.loads(await ws.receive_text())})
        waiting = {"command": "queued", "avg_queue_time": 1.0, "num_players_in_queue": 3}
        await ws.send_text(json.dumps(waiting))
        if tables.nobody_comes:
            await ws.receive_text()
        found = {"game_url": tables.game_url, "env_id": tables.env, "environment_id": "e1"}
        await ws.send_text(json.dumps({"command": "match_found", **found}))
        await ws.receive()

    return app


def _game_server(tables: Tables) -> FastAPI:
    app = FastAPI()

    @app.websocket("/ws")
    async def play(ws: WebSocket) -> None:
        await ws.accept()
        rng = random.Random(1)
        env = textarena.make(f"{tables.env}-raw")
        env.reset(num_players=tables.players, seed=1)
        shown: dict[int, str] = {}
        done = False
        while not done:
            seat, news = env.get_observation()
            shown[seat] = shown.get(seat, "") + "".join(f"\n[{w}] {text}" for w, text, _ in news)
            if seat == tables.seat:
                if len(tables.actions) == tables.hang_up_after:
                    await ws.close()
                    return
                action = await _ask(ws, tables, seat, news)
            else:
                action = random_reply(shown[seat], rng)
            done, _ = env.step(action)
        rewards, info = env.close()
        paid = rewards[tables.seat]
        await ws.send_json(
            {
                "command": "game_over",
                "outcome": "Win" if paid > 0 else "Loss" if paid < 0 else "Draw",
                "reason": info[tables.seat].get("reason", ""),
                "trueskill_change": 0.5 * paid,
            }
        )
        await ws.send_json({"command": "server_shutdown"})
        await ws.close()

    return app


async def _ask(ws: WebSocket, tables: Tables, seat: int, news: Any) -> str:
    """Show a seat what is new, and wait for its action; pings come in between."""
    lines = [[who, text, kind.value] for who, text, kind in news]
    await ws.send_json({"command": "observation", "observation": lines, "player_id": seat})
    while True:
        said = await ws.receive_json()
        if said["command"] == "ping":
            await ws.send_json({"command": "pong"})
        if said["command"] == "action":
            tables.actions.append(said["action"])
            await ws.send_json({"command": "action_ack"})
            return str(said["action"])


@contextmanager
def _secure(app: FastAPI, folder: Path) -> Iterator[str]:
    """Served with a certificate that nobody signed, as the client does not look."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    files = ["-keyout", str(key), "-out", str(certificate)]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*new, *files], check=True, capture_output=True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(
            app,
            log_level="error",
            ssl_keyfile=str(key),
            ssl_certfile=str(certificate),
            ssl_version=ssl.PROTOCOL_TLS_SERVER,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = server.force_exit = True
        thread.join(10)
