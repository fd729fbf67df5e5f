"""`tesuji env serve GAME`: a game as an OpenEnv environment, for other people's trainers."""

import socket
from contextlib import suppress
from typing import Annotated

import typer

from tesuji.cli.console import say
from tesuji.cli.serving.listening import address, key_for, listen, tell_key
from tesuji.core.errors import ComputeError

app = typer.Typer(no_args_is_help=True)
KEY = "TESUJI_API_KEY"


@app.callback()
def env() -> None:
    """Games as environments for other people's trainers."""


@app.command()
def serve(
    game: Annotated[str, typer.Argument(help="A game's name, as `tesuji games` lists it.")],
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the game: players=3. Repeatable.")
    ] = None,
    opponent: Annotated[
        str,
        typer.Option(help="Who plays the other seats: minimax, mcts:simulations=100; else random."),
    ] = "",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any that is free.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's own need a key.")
    ] = "127.0.0.1",
    sessions: Annotated[int, typer.Option(min=1, help="Most matches at once.")] = 256,
    idle: Annotated[
        float, typer.Option(min=1, help="Seconds without a word after which a session ends.")
    ] = 900.0,
) -> None:
    """Serve a game as an OpenEnv environment: /reset, /step, /state, and sessions on /ws."""
    from tesuji.cli.games import parse_options
    from tesuji.games.catalogue import load_game

    played = load_game(game, parse_options(option or []))
    listener = listen(host, port)
    try:
        import uvicorn
        import websockets  # noqa: F401

        from tesuji.serve.env.app import make_app
        from tesuji.serve.env.offer import Offer
        from tesuji.serve.local import LARGEST
    except ModuleNotFoundError as error:
        hint = "pip install 'tesuji[web]'"
        raise ComputeError(f"serving needs {error.name}, which is not here", hint=hint) from None
    offer = Offer(played, opponent)
    offer.check()
    key = key_for(host, KEY)
    application = make_app(offer, host=host, key=key, most=sessions, idle_s=idle)
    _tell(listener, played.name, key)
    server = uvicorn.Server(
        uvicorn.Config(
            application, log_level="warning", timeout_graceful_shutdown=2, ws_max_size=LARGEST
        )
    )
    with suppress(KeyboardInterrupt):  # raised again once all has been closed
        server.run(sockets=[listener])
    say("served; goodbye")


def _tell(listener: socket.socket, name: str, key: str | None) -> None:
    say(f"{name} at {address(listener)} (Ctrl-C ends it)")
    tell_key(key, KEY)
