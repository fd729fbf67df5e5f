"""`tesuji chat RUN_OR_MODEL`: talk with a model in the terminal.

Standard input that is no terminal is read a line a message, and only the replies are written to
standard output, so that a conversation can be scripted.
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tesuji.cli.console import console, err_console, loading, warn

if TYPE_CHECKING:
    from tesuji.players.chat import Conversation

app = typer.Typer()

HELP = """\
/reset             forget what was said
/system TEXT       another system message, and a new conversation
/temperature X     0 takes the likeliest token
/quit              leave (so does Ctrl-D); Ctrl-C stops a reply"""


@app.command()
def chat(
    model: Annotated[str, typer.Argument(help="A run, a model's folder, or a Hub id.")],
    temperature: Annotated[float, typer.Option(min=0, help="0: the likeliest token.")] = 0.7,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest reply, in tokens.")] = 256,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    system: Annotated[str | None, typer.Option(help="A system message in front.")] = None,
    stage: Annotated[
        str | None, typer.Option(help="The model after this stage of the run; `base`: before all.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same replies.")] = None,
) -> None:
    """Talk with a run's model. `/help` lists what can be typed."""
    loading(model)
    from tesuji.cli.progress import Bar
    from tesuji.pipeline.models.by_name import open_model
    from tesuji.players.chat import Conversation

    opened = open_model(model, stage=stage, device=device)
    warn(opened.beware)
    with Bar() as bar:
        policy = opened.load(bar)
    conversation = Conversation(
        policy.model,
        policy.tokenizer,
        system=opened.prompt.system if system is None else system,
        temperature=temperature,
        top_p=opened.sampling.top_p,
        max_new_tokens=max_new_tokens,
        enable_thinking=opened.prompt.enable_thinking,
        seed=seed,
    )
    _tell(f"{opened.source}. /help lists the commands; Ctrl-D leaves.")
    for line in _lines():
        if line.startswith("/"):
            if not _obey(line, conversation):
                break
        elif line.strip():
            _reply(line, conversation)


def _lines() -> Iterator[str]:
    """What is typed, a line at a time, until the end of the input."""
    if not sys.stdin.isatty():
        with contextlib.suppress(AttributeError):  # a stand-in of a test has no encoding to set
            sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
        yield from (line.rstrip("\r\n") for line in sys.stdin)
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (history and editing at the prompt)
    while True:
        try:
            yield input("> ")
        except EOFError:
            console.print()
            return
        except KeyboardInterrupt:
            _tell("\nCtrl-D or /quit leaves.")


def _obey(line: str, conversation: "Conversation") -> bool:
    """Do what a line with a slash says; False when it says to leave."""
    command, _, rest = line.strip().partition(" ")
    if command in ("/quit", "/exit"):
        return False
    if command == "/reset":
        conversation.reset()
        _tell("Forgotten.")
    elif command == "/system":
        conversation.system = rest.strip() or None
        conversation.reset()
        _tell("A new conversation.")
    elif command == "/temperature":
        _set_temperature(rest, conversation)
    else:
        _tell(HELP if command == "/help" else f"There is no {command}.\n{HELP}")
    return True


def _set_temperature(text: str, conversation: "Conversation") -> None:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 <= value < float("inf"):
        conversation.temperature = value
        _tell(f"Temperature {value:g}.")
    else:
        _tell(f"A temperature is a number from 0 up; it is {conversation.temperature:g}.")


def _reply(text: str, conversation: "Conversation") -> None:
    """Write the reply as it comes. Ctrl-C stops it, and the conversation goes on."""
    from tesuji.core.redact import visible

    with contextlib.closing(conversation.reply(text)) as pieces:
        try:
            for piece in pieces:
                _write(visible(piece))
        except KeyboardInterrupt:
            _tell(" [stopped]")
    _write("\n")
    if conversation.forgotten:
        _tell(f"(replied without the oldest {conversation.forgotten} messages: no room for them)")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _tell(text: str) -> None:
    """A word to the person, apart from the replies."""
    err_console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)
