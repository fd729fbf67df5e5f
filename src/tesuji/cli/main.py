"""The `tesuji` command: one table of commands, each imported only when it is called.

Errors that are the user's to mend are printed as one message, exit code 2. Anything else is a
bug: its traceback is shown, exit code 1.
"""

import errno
import importlib
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from tesuji.core.errors import TesujiError

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
COMPLETING = "_TESUJI_COMPLETE"  # what a shell sets while it asks for completions
COMPLETION = ("install_completion", "show_completion")
ROOM, BLOCKED = "free space, or choose a folder that is yours", "move away what has this name"
WAYS_OUT = {
    **dict.fromkeys((errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT), ROOM),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR, errno.EISDIR), BLOCKED),
}
INTERRUPTED = 130  # what a shell expects of a program stopped by Ctrl-C; typer returns it too

# Command → (its module in cli/, its words in the list).
COMMANDS = {
    "run": ("run.command", "Run a recipe: data, training, evaluation, report."),
    "init": ("browse.init", "Make a recipe of your own: a few questions, a file with comments."),
    "estimate": ("run.estimate", "Estimate the memory of a run on each GPU, without weights."),
    "launch": ("machines.launch", "Run a recipe on a rented machine: Modal, RunPod, any by ssh."),
    "jobs": ("machines.jobs", "What runs elsewhere: logs, results, cost; stop it."),
    "sky": ("machines.sky", "Write a task file for SkyPilot; nothing is started."),
    "games": ("games", "List the games, or show one: rules, a sample prompt, a sample match."),
    "recipes": ("browse.recipes", "List, show or copy the recipes that come with Tesuji."),
    "data": ("data.commands", "Read logs, make a data set, look at one, push it to the Hub."),
    "play": ("talk.play", "Play a match against a run's model."),
    "play-online": ("talk.play_online", "Play a run's model at TextArena's own tables."),
    "eval": (
        "evaluate.command",
        "Evaluate a run's model against named opponents, or on a file of prompts.",
    ),
    "chat": ("talk.chat", "Talk with a run's model, or any other."),
    "serve": ("serving.model", "Serve a run's model to other programs, in the OpenAI dialect."),
    "env": ("serving.env", "Serve a game to other people's trainers, as an OpenEnv environment."),
    "ui": ("serving.ui", "Open the pages of all runs in the browser: watch, look, play."),
    "merge": ("take_away.merge", "Merge a run's adapter into its base."),
    "export": ("take_away.export", "Write a run's model for other programs."),
    "push": ("take_away.push", "Push a run's model to the Hugging Face Hub."),
    "sweep": ("experiments.sweep", "Run a recipe with many values of its keys, and compare."),
    "compare": (
        "experiments.compare",
        "Compare runs: their figures over seeds, and the noise.",
    ),
    "ladder": ("evaluate.ladder", "Rate a run's checkpoints and fixed players against each other."),
    "replay": ("browse.replay", "Show a recorded match turn by turn."),
    "report": ("browse.report", "Rebuild a run's report page."),
    "runs": ("browse.runs", "List the runs in this folder."),
    "watch": ("browse.watch", "Follow a run that was started elsewhere."),
    "doctor": ("doctor.command", "Check this machine: versions, devices, extras, disk, tokens."),
}


def build(arguments: Sequence[str]) -> Any:
    """The whole command line; of the commands, only the one called is imported."""
    app = typer.Typer(
        help="Train language models to play games, and say honestly how well they play.",
        epilog="Begin with: tesuji run tictactoe/tiny",
        context_settings=SETTINGS,
        pretty_exceptions_enable=False,
    )
    app.callback()(_top)
    called = next((word for word in _typed(arguments) if not word.startswith("-")), "")
    for name, (_, words) in COMMANDS.items():
        if name == called:
            _mount(app, name, _app_of(name))
        else:
            app.command(name, help=words)(_not_called)
    command = get_command(app)
    _tidy(command)
    return command


def _typed(arguments: Sequence[str]) -> Sequence[str]:
    """The words of the command line; while a shell completes it, those typed so far."""
    if COMPLETING not in os.environ:
        return arguments
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    return typed.split()[1:]


def _tidy(command: Any) -> None:
    """Let help name no type of what is only on or off, in this command and all below it."""
    for param in command.get_params(command.context_class(command, **SETTINGS)):
        if getattr(param, "is_flag", False) or param.name in COMPLETION:
            param.metavar = ""
    for inner in getattr(command, "commands", {}).values():
        _tidy(inner)


def _app_of(name: str) -> typer.Typer:
    module = f"tesuji.cli.{COMMANDS[name][0]}"
    try:
        app: typer.Typer = importlib.import_module(module).app
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise TesujiError(
            f"this installation has no `{name}` command", hint="tesuji --help"
        ) from None
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        print(f"tesuji {metadata.version('tesuji')}")
        raise typer.Exit


def _top(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options of `tesuji` itself."""


def _not_called() -> None:
    """Stands in the list of commands for one that is not imported."""


def _mount(app: typer.Typer, name: str, command: typer.Typer) -> None:
    """A module's app under its name: its one command, or its group."""
    if command.registered_callback or len(command.registered_commands) != 1:
        app.add_typer(command, name=name, help=COMMANDS[name][1])
        return
    single = command.registered_commands[0].callback
    assert single is not None
    app.command(name)(single)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        result = build(words)(args=words, prog_name="tesuji", standalone_mode=False)
        sys.stdout.flush()  # a reader that has left is noticed here, not at exit
        return _interrupted() if result == INTERRUPTED else int(result or 0)
    except TesujiError as error:
        return _tell(str(error))
    except typer.Exit as request:
        return _interrupted() if request.exit_code == INTERRUPTED else request.exit_code
    except TyperException as error:
        return _tell(f"{error.format_message()}\n  → {_hint(error, words)}")
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in WAYS_OUT:
            return _bug()
        place = error.filename or "disk"
        return _tell(f"{place}: {error.strerror}\n  → {WAYS_OUT[error.errno]}")
    except Exception:
        return _bug()


def _hint(error: TyperException, words: Sequence[str]) -> str:
    """What to type instead: of a group, to show what was named; else the help of the command."""
    context: Any = getattr(error, "ctx", None)
    path = context.command_path if context else "tesuji"
    inside = path.split()[1:]
    word = next((w for w in words[len(inside) :] if not w.startswith("-")), "")
    if isinstance(getattr(context, "command", None), TyperGroup) and word:
        instead = shlex.join([*path.split(), "show" if inside else "run", word])
        if "show" in context.command.commands or _is_recipe(word):
            return f"{instead}, or {path} --help"
    return f"{path} --help"


def _is_recipe(word: str) -> bool:
    from tesuji.recipe.reading.shipped import find_recipe

    return word.endswith((".yaml", ".yml")) or find_recipe(word) is not None


def _terminate(number: int, frame: object) -> None:
    """End as Ctrl-C does: what is open is closed, and the same is said."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends it at once
    raise KeyboardInterrupt


def _interrupted() -> int:
    words = "stopped. What is finished is kept; the same command goes on from there."
    return _tell(words, INTERRUPTED)


def _tell(message: str, code: int = 2) -> int:
    from tesuji.cli.console import err_console

    label = "error: " if code == 2 else ""
    err_console.print(f"[bold red]{label}[/]{escape(message)}", soft_wrap=True)
    return code


def _bug() -> int:
    from tesuji.core.redact import redact

    print(redact(traceback.format_exc()), file=sys.stderr)
    print("\nThis is a bug in Tesuji. Please report it with the lines above.", file=sys.stderr)
    return 1


def _open_streams() -> None:
    """A stream that the shell has closed is an empty one, and a terminal that has not all letters
    gets "?" for the others."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            empty = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - to the end
            setattr(sys, name, empty)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def entry() -> None:
    """The console script."""
    _open_streams()
    if len(sys.argv) > 1 and sys.argv[1].startswith("--local_rank="):
        del sys.argv[1]  # `deepspeed` puts it in front; LOCAL_RANK says it too
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(main())
