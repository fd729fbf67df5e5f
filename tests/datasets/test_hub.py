"""`tesuji data push`, as typed, to a server on 127.0.0.1 that answers as the Hub does."""

import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hub_server import TOKEN, run_push, serving

from tesuji.datasets.hub import pushed


def push(
    folder: Path, hub: str, *words: str, token: str = TOKEN, offline: str = "0", **said: Any
) -> Any:
    """`tesuji data push`, in a process of its own: huggingface_hub reads HF_ENDPOINT on import."""
    home = folder.parent / "home"
    return run_push(["data", "push", str(folder), *words], hub, home, token, offline, **said)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "00-logs"
    for name in (
        "README.md", "METHODOLOGY.md", "dataset_statistics.json", "statistics.html", "train.jsonl",
        "pairs.jsonl", "final/mafia_sft_dataset.jsonl", "raw_logs/game [1].json",
        "processed/episodes.jsonl", "processed/.parts-x/0", "judge.sqlite", "done.json",
        ".train.jsonl.abc", "final/.half",
    ):  # fmt: skip
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        head = "---\npretty_name: x\n---\n" if name == "README.md" else ""
        (out / name).write_text(f"{head}this is {name}\n")
    return out


def test_what_is_pushed_are_rows_pages_and_final(folder: Path):
    bare = [
        "README.md", "METHODOLOGY.md", "dataset_statistics.json", "statistics.html", "train.jsonl",
        "pairs.jsonl", "final/mafia_sft_dataset.jsonl",
    ]  # fmt: skip
    assert pushed(folder) == bare
    logs = ["raw_logs/game [1].json", "processed/episodes.jsonl"]
    assert pushed(folder, with_logs=True) == [*bare, *logs]


def test_a_push_arrives_private_and_without_logs(folder: Path):
    with serving() as hub:
        run = push(folder, hub.url, "--to", "me/games", "--yes")
        assert run.returncode == 0, run.stderr
        assert f"{hub.url}/datasets/me/games" in run.stdout
        found = hub.sets["me/games"]
        assert (found["private"], found["type"]) == (True, "dataset")
        assert sorted(found["files"]) == sorted(pushed(folder))
        assert found["files"]["train.jsonl"] == b"this is train.jsonl\n"
        assert TOKEN not in run.stdout + run.stderr
        again = push(folder, hub.url, "--to", "me/games", "--yes", "--with-logs")
        assert again.returncode == 0, again.stderr
        assert sorted(found["files"]) == sorted(pushed(folder, with_logs=True))


def test_what_is_public_is_never_taken_for_private(folder: Path):
    with serving() as hub:
        assert push(folder, hub.url, "--to", "me/open", "--public", "--yes").returncode == 0
        assert not hub.sets["me/open"]["private"]
        hub.sets["me/open"]["files"].clear()
        run = push(folder, hub.url, "--to", "me/open", "--yes")
        assert run.returncode == 2 and "there already, and public" in run.stderr
        assert not hub.sets["me/open"]["files"]


def test_it_asks_first_and_a_dry_run_only_lists(folder: Path):
    with serving() as hub:
        run = push(folder, hub.url, "--to", "me/games", input="n\n")
        assert run.returncode == 1 and "Push 7 files to me/games (private)?" in run.stdout
        assert "nothing was pushed" in run.stdout
        run = push(folder, hub.url, "--to", "me/games", "--dry-run", token="")
        assert run.returncode == 0 and "train.jsonl" in run.stdout and "raw_logs" not in run.stdout
        run = push(folder, hub.url, "--to", "me/games", stdin=subprocess.DEVNULL)
        assert run.returncode != 0
        assert not hub.asked
        run = push(folder, hub.url, "--to", "me/games", input="y\n")
        assert run.returncode == 0 and hub.sets["me/games"]["files"]


@pytest.mark.parametrize(
    ("to", "token", "said"),
    [
        ("me/games", "", "no Hugging Face token on this machine"),
        ("me/games", "hf_wrongwrongwrongwrong", "401"),
        ("others/games", TOKEN, "403"),
        ("games", TOKEN, "'games' is no owner/name"),
    ],
)
def test_a_refusal_is_one_message_without_the_token(folder: Path, to: str, token: str, said: str):
    with serving() as hub:
        run = push(folder, hub.url, "--to", to, "--yes", token=token)
    assert run.returncode == 2 and said in run.stderr and "Traceback" not in run.stderr
    assert "  → " in run.stderr
    assert not token or token not in run.stdout + run.stderr


def test_a_hub_that_is_not_there_and_a_folder_without_a_card(folder: Path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        run = push(folder, url, "--to", "me/games", "--yes")
    assert run.returncode == 2 and "the Hub was not reached" in run.stderr, run.stderr
    run = push(folder, url, "--to", "me/games", "--yes", offline="1")
    assert run.returncode == 2 and "HF_HUB_OFFLINE forbids it" in run.stderr
    (folder / "README.md").unlink()
    run = push(folder, url, "--to", "me/games", "--dry-run")
    assert run.returncode == 2 and f"tesuji data card {folder}" in run.stderr


def test_a_card_the_hub_does_not_take_is_one_message(folder: Path):
    (folder / "README.md").write_text("# no metadata\n")
    with serving() as hub:
        run = push(folder, hub.url, "--to", "me/games", "--yes")
        assert not hub.sets["me/games"]["files"]
    assert run.returncode == 2 and "Invalid metadata in README.md" in run.stderr
    assert f"tesuji data card {folder}" in run.stderr
