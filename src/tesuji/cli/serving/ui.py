"""`tesuji ui`: the pages of all runs, in the browser."""

import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from tesuji.cli.console import say
from tesuji.cli.serving.listening import address, key_for, listen
from tesuji.core.errors import ComputeError

app = typer.Typer()
KEY = "TESUJI_UI_KEY"


@app.command()
def ui(
    runs: Annotated[Path, typer.Option(help="Folder that holds the run folders.")] = Path("runs"),
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any that is free.")] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's own need a key.")
    ] = "127.0.0.1",
    open_: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Show runs, play against models, make new ones: one site on this machine."""
    listener = listen(host, port)
    try:
        import uvicorn

        from tesuji.serve.ui.app import make_app
        from tesuji.serve.ui.house import House
        from tesuji.serve.ui.server import Server
    except ModuleNotFoundError as error:
        hint = "pip install 'tesuji[web]'"
        raise ComputeError(f"the pages need {error.name}, which is not here", hint=hint) from None
    key = key_for(host, KEY)
    where = address(listener) + (f"/?key={key}" if key else "/")
    say(f"Tesuji's pages: {where} (Ctrl-C ends them)", soft_wrap=True)
    house = House(runs, host, key)
    config = uvicorn.Config(make_app(house), log_level="warning", timeout_graceful_shutdown=2)
    server = Server(config, house)
    if open_:
        webbrowser.open(where)
    with suppress(KeyboardInterrupt):  # raised again once all has been closed
        server.run(sockets=[listener])
    say("the pages are closed; goodbye")
