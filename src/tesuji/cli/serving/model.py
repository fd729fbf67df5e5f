"""`tesuji serve RUN`: a run's model for other programs, in the OpenAI dialect."""

import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tesuji.cli.console import loading, say, warn
from tesuji.cli.serving.listening import address, key_for, listen, tell_key
from tesuji.core.errors import ComputeError
from tesuji.core.run_folder import find_run

if TYPE_CHECKING:
    from tesuji.serve.model.app import Offer

app = typer.Typer()
KEY = "TESUJI_API_KEY"


@app.command()
def serve(
    run: Annotated[str, typer.Argument(help="A run folder, or its name under runs/.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's own need a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any that is free.")] = 8000,
    name: Annotated[str, typer.Option(help="What the model is called; default: the run.")] = "",
    temperature: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Where a request has none; default: the recipe's."),
    ] = None,
    engine: Annotated[
        Literal["local", "vllm"],
        typer.Option(help="Who samples: this process, or vLLM as the recipe names it."),
    ] = "local",
) -> None:
    """Serve a run's model: /v1/models, /v1/chat/completions, /v1/completions, /health."""
    folder = find_run(run)
    listener = listen(host, port)
    loading(str(folder))
    from tesuji.cli.progress import Bar
    from tesuji.pipeline.models.of_run import open_run

    try:
        import uvicorn  # noqa: F401

        from tesuji.serve.model.app import Offer
    except ModuleNotFoundError as error:
        hint = "pip install 'tesuji[web]'"
        raise ComputeError(f"serving needs {error.name}, which is not here", hint=hint) from None
    trained = open_run(folder)
    key = key_for(host, KEY)
    with ExitStack() as open_:
        with Bar() as bar:
            player = open_.enter_context(trained.playing(temperature, bar, engine=engine))
        warn(trained.beware)
        made = int((Path(folder) / "manifest.json").stat().st_mtime)
        offer = Offer(name or folder.resolve().name, player, trained.game, made)
        _tell(listener, offer.name, key)
        _listen(offer, listener, host, key)
    say("served; goodbye")


def _listen(offer: "Offer", listener: socket.socket, host: str, key: str | None) -> None:
    """Answer until Ctrl-C."""
    import uvicorn

    from tesuji.serve.model.app import make_app

    app = make_app(offer, host=host, key=key)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
    with suppress(KeyboardInterrupt):  # raised again once all has been closed
        server.run(sockets=[listener])


def _tell(listener: socket.socket, name: str, key: str | None) -> None:
    say(f"{name} at {address(listener)}/v1 (Ctrl-C ends it)")
    tell_key(key, KEY)
