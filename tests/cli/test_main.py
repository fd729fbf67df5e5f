"""The command line: one message and exit code 2 for what a user can mend, a traceback for bugs."""

import errno
import os
import subprocess
import sys

import pytest
from forked import tesuji as forked

from tesuji.cli.console import SafeConsole
from tesuji.cli.main import COMMANDS, main
from tesuji.core.errors import RecipeError
from tesuji.core.files import write_json, write_text

HEAVY = ("torch", "transformers", "trl", "peft", "pyspiel", "matplotlib", "numpy", "accelerate")


def tesuji(*words, cwd=None, **env):
    command = [sys.executable, "-m", "tesuji", *words]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, timeout=60, env={**os.environ, **env}
    )


def raising(error):
    def build(_):
        raise error

    return build


@pytest.fixture
def failing(monkeypatch):
    """Make the next command line raise an error from inside."""
    return lambda error: monkeypatch.setattr("tesuji.cli.main.build", raising(error))


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["recipes", "--help"], []])
def test_help_imports_nothing_heavy(words):
    code = (
        "import sys\nfrom tesuji.cli.main import main\n"
        f"code = main({words!r})\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules], code)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stdout.splitlines()[-1] == "HEAVY [] 0", run.stderr


def test_help_lists_every_command_with_a_line(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, (_, words) in COMMANDS.items():
        assert name in shown
        assert words.split()[0] in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_its_own(name, capsys):
    assert main([name, "--help"]) == 0
    assert f"tesuji {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["-h"], ["run", "-h"], ["data", "import", "-h"], ["games", "-h"]]
)
def test_h_is_help_and_names_no_type_of_what_is_on_or_off(words, capsys):
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert f"Usage: tesuji {' '.join(words[:-1])}".rstrip() in shown and "-h" in shown
    assert "<bool>" not in shown
    assert main([*words[:-1], "--help"]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    ("typed", "offered", "not_offered"),
    [
        ("tesuji ru", ["run", "runs"], "games"),
        ("tesuji games --fam", ["--family"], "--match"),
        ("tesuji recipes c", ["copy"], "list"),
        ("tesuji run --dr", ["--dry-run"], "--runs"),
    ],
)
def test_a_shell_completes_commands_and_options(typed, offered, not_offered):
    env = {"_TESUJI_COMPLETE": "complete_bash", "COMP_WORDS": typed}
    shown = tesuji(**env, COMP_CWORD=str(len(typed.split()) - 1)).stdout.split()
    assert set(offered) <= set(shown) and not_offered not in shown


def test_the_script_for_a_shell_is_printed():
    shown = tesuji("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "complete_bash" in shown.stdout and "tesuji" in shown.stdout, shown.stderr


def test_python_m_tesuji_is_the_same_command():
    assert "Usage: tesuji [OPTIONS] COMMAND" in tesuji("--help").stdout


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tesuji 0.")


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["bogus"], "bogus", "tesuji --help"),
        (["--bogus"], "--bogus", "tesuji --help"),
        (["run"], "recipe", "tesuji run --help"),
        (["runs", "--bogus"], "--bogus", "tesuji runs --help"),
        (["recipes", "bogus"], "bogus", "tesuji recipes --help"),
        (["gmaes"], "gmaes", "Did you mean 'games'"),
        (["tictactoe/tiny"], "tictactoe/tiny", "tesuji run tictactoe/tiny"),
        (["my.yaml"], "my.yaml", "tesuji run my.yaml"),
        (["games", "zzz"], "zzz", "tesuji games show zzz"),
        (["recipes", "poker/tiny"], "poker/tiny", "tesuji recipes show poker/tiny"),
        (["games", "--family", "openspeil"], "openspeil", "did you mean openspiel?"),
        (["games", "show", "tictactoe"], "tictactoe", "did you mean tic_tac_toe"),
        (["run", "tiny-holdem"], "tiny-holdem", "did you mean `poker/tiny-holdem`?"),
        (["run", "tiny"], "tiny", "`mafia/tiny`, `poker/tiny`, `tictactoe/tiny`"),
        (["run", "SELFPLAY"], "SELFPLAY", "did you mean `mafia/selfplay`?"),
        (["run", "no-such-recipe"], "no-such-recipe", "tictactoe/tiny"),
        (["run", "tictactoe/tiny", "sede=2"], "sede", "seed"),
        (["recipes", "show", "tictactoe/tony"], "tictactoe/tony", "tictactoe/tiny"),
    ],
)
def test_a_wrong_command_line_gives_one_message_and_2(words, said, hint, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert said in err and hint in err
    assert "Traceback" not in err


def test_errors_of_ours_say_what_where_and_what_to_do(failing, capsys):
    failing(RecipeError("no [bold] thing", where="a[0].yaml:12", hint="write [red]one[/]"))
    assert main(["run"]) == 2
    assert capsys.readouterr().err == (
        "error: a[0].yaml:12: no [bold] thing\n  → write [red]one[/]\n"
    )


def test_a_long_message_is_not_broken_into_lines(failing, capsys):
    failing(RecipeError("word " * 60))
    main(["run"])
    assert capsys.readouterr().err.count("\n") == 1


def test_a_message_never_shows_a_secret(failing, capsys):
    failing(RecipeError("refused: hf_abcdefghijklmnopqrstuvwxyz012345"))
    main(["run"])
    assert "ijklmnop" not in capsys.readouterr().err


def test_what_stands_for_a_secret_is_shown(failing, capsys, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "abcdefgh1234")
    failing(RecipeError("no run 'abcdefgh1234' here", hint="not [redacted] either"))
    main(["run"])
    assert capsys.readouterr().err == (
        "error: no run '[redacted]' here\n  → not [redacted] either\n"
    )


def test_a_bugs_traceback_never_shows_a_secret(failing, capsys):
    failing(ZeroDivisionError("hf_abcdefghijklmnopqrstuvwxyz012345"))
    main(["run"])
    assert "ijklmnop" not in capsys.readouterr().err


def test_nothing_printed_drives_the_terminal(capsys):
    from rich.table import Table
    from rich.text import Text

    table = Table("name")
    table.add_row(Text("\x1b]0;title\x07"))
    SafeConsole(width=40).print("\x1b[2Jgone", table, markup=False)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\x07" not in shown
    assert "\\x1b[2Jgone" in shown


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_refuses_is_no_bug(failing, capsys, code):
    failing(OSError(code, os.strerror(code), "runs/a/model"))
    assert main(["run"]) == 2
    err = capsys.readouterr().err
    assert "runs/a/model" in err and os.strerror(code) in err
    assert "Traceback" not in err


def test_stopping_says_that_work_is_kept(failing, capsys):
    failing(KeyboardInterrupt())
    assert main(["run"]) == 130
    err = capsys.readouterr().err
    assert "kept" in err and "same command" in err
    assert "Traceback" not in err


def test_stopping_in_the_midst_of_a_command_exits_with_130(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tesuji.recipe.reading.load.load_with_places", interrupted)
    assert main(["run", "tictactoe/tiny"]) == 130
    assert "kept" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), OSError(errno.EIO, "input/output")])
def test_a_bug_shows_its_traceback_and_asks_for_a_report(failing, capsys, error):
    failing(error)
    assert main(["run"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and type(error).__name__ in err
    assert "report it" in err


def test_a_command_without_its_module_is_named(monkeypatch, capsys):
    monkeypatch.setitem(COMMANDS, "dance", ("dance", "Dance."))
    assert main(["dance"]) == 2
    assert "no `dance` command" in capsys.readouterr().err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
@pytest.mark.parametrize("words", ["--version", "runs", "games show tic_tac_toe"])
def test_a_stream_that_the_shell_closed_is_no_fault(closed: str, words: str) -> None:
    line = f"{sys.executable} -m tesuji {words} {closed}"
    run = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and "Traceback" not in run.stdout + run.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_terminal_that_has_not_all_letters_is_no_fault(encoding: str) -> None:
    run = forked("run", "tictactoe/tiny", "--dry-run", encoding=encoding)
    assert run.returncode == 0 and "Traceback" not in run.stderr
    assert "tictactoe-tiny" in run.stdout


@pytest.mark.parametrize("words", [["--help"], ["recipes", "schema"], ["recipes"], ["--version"]])
def test_a_reader_who_leaves_early_is_met_with_silence(words):
    read, write = os.pipe()
    os.close(read)
    run = subprocess.run(
        [sys.executable, "-m", "tesuji", *words],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    os.close(write)
    assert run.stderr == ""


def test_the_exit_code_reaches_the_shell():
    assert tesuji("run", "no-such-recipe").returncode == 2
    assert tesuji("recipes").returncode == 0


def test_no_control_codes_where_the_output_is_no_terminal(tmp_path):
    run = tesuji("recipes", cwd=tmp_path)
    assert "\x1b" not in run.stdout + run.stderr


def test_a_run_or_file_that_is_nearly_named_is_offered(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "runs" / "tictactoe-tiny" / "manifest.json", {"format": 1})
    write_text(tmp_path / "d" / "train.jsonl", "")
    for words, hint in [
        (["play", "tictactoe-tyni"], "did you mean tictactoe-tiny?"),
        (["eval", "tictactoe"], "did you mean tictactoe-tiny?"),
        (["data", "show", "d/trian.jsonl"], "did you mean d/train.jsonl?"),
        (["replay", "d/Train.json"], "did you mean d/train.jsonl?"),
        (["data", "import", "dd"], "did you mean d?"),
        (["data", "import", "nowhere/at/all"], "no such file"),
    ]:
        assert main(words) == 2
        assert hint in capsys.readouterr().err


def test_a_pipe_in_the_place_of_a_manifest_does_not_stop_the_list_of_runs(tmp_path, capsys):
    for name in ("good", "odd"):
        (tmp_path / name).mkdir()
    write_json(tmp_path / "good" / "manifest.json", {"format": 1, "seed": 7})
    os.mkfifo(tmp_path / "odd" / "manifest.json")
    assert main(["runs", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "good" in told and "a pipe, not a file" in told


@pytest.mark.parametrize("code", [errno.EEXIST, errno.ENOTDIR, errno.EISDIR])
def test_a_file_in_the_way_is_one_message(failing, capsys, code):
    failing(OSError(code, os.strerror(code), "runs/a/checkpoints"))
    assert main(["run"]) == 2
    assert "move away what has this name" in capsys.readouterr().err
