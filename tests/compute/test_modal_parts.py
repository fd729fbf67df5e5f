"""A run in parts on Modal: upload, preprocess, train, evaluate, each a job over one run folder."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_logs import game, write
from mafia_jobs import CHANGES, LOGS, tesuji, write_logs
from modal_server import ModalServer, can_run, served_modal

pytest.importorskip("textarena")
pytestmark = pytest.mark.skipif(not can_run(), reason="no mounts of one's own on this machine")
RUN = "mafia-short"
LAUNCH = ["launch", "mafia/tiny", *CHANGES, "--on", "modal"]


@pytest.fixture
def server() -> Iterator[ModalServer]:
    with served_modal() as found:
        yield found
        assert found.unimplemented == []


def volume_of(server: ModalServer) -> Path:
    [outputs] = [v for v in server.world.volumes.values() if v.name.startswith("tesuji-outputs-")]
    return outputs.folder


def digests(run: Path, pattern: str) -> dict[str, str]:
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.glob(pattern))
    }


def write_many(folder: Path, files: int) -> None:
    """More logs than one container reads."""
    for number in range(files):
        write(folder / f"{number}.json", game(number % 6, game_id=f"m{number}"))


def test_all_parts_give_what_a_run_here_gives(server: ModalServer, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        write_many(write_logs(folder) / "more", 200)
    tesuji(here, "run", "mafia/tiny", *CHANGES, f"stages.logs.paths={LOGS}")
    said = tesuji(there, *LAUNCH, "--logs", LOGS, "--all", "--dry-run")
    readers = "at most, with up to 2 containers"
    assert readers in said and f"${6 * 0.0473 + 20 * 0.008:.2f} an hour" in said
    short = [*LAUNCH, "--logs", LOGS, "--only", "upload", "--dry-run"]
    assert readers not in tesuji(there, *short)
    said = tesuji(there, *LAUNCH, "--logs", LOGS, "--all")
    assert "not taken, each with its reason" in said and "in all" in said
    alone, brought = here / "runs" / RUN, there / "runs" / RUN
    for pattern, least in (
        ("stages/*/final/*.safetensors", 2),
        ("stages/00-logs/*.jsonl", 5),
        ("stages/00-logs/processed/*.jsonl", 3),
        ("stages/00-logs/final/*.jsonl", 2),
    ):
        ours = digests(alone, pattern)
        assert len(ours) >= least and digests(brought, pattern) == ours, pattern
    readers = [c for c in server.world.calls.values() if c.function.name == "read"]
    assert sum(len(call.inputs) for call in readers) >= 2
    volume = volume_of(server)
    for name in (
        f"data/raw_logs/{LOGS}",
        "data/processed/episodes.jsonl",
        f"models/{RUN}/sft/final/model.safetensors",
        f"models/{RUN}/dpo/final/model.safetensors",
        f"models/{RUN}/training_summary_sft.json",
        f"models/{RUN}/training_summary_dpo.json",
    ):
        assert (volume / name).exists(), name
    assert list((volume / "data" / "final").glob("*_sft_dataset.jsonl"))
    assert server.running() == []


def test_a_part_says_what_has_to_come_first(server: ModalServer, tmp_path: Path) -> None:
    logs = write_logs(tmp_path, games=3)
    for part, words in (
        ("preprocess", "--only upload"),
        ("train", "--only preprocess comes first"),
        ("evaluate", "comes first"),
    ):
        said = tesuji(tmp_path, *LAUNCH, "--only", part, code=2)
        assert words in said, said
    said = tesuji(tmp_path, *LAUNCH, "--only", "upload", "--logs", LOGS)
    assert "upload:" in said and "episodes" in said
    again = tesuji(tmp_path, *LAUNCH, "--only", "upload", "--logs", LOGS)
    assert "are there already" in again
    for file in logs.rglob("*"):
        if file.is_file():
            file.write_text("{}")
    refused = tesuji(tmp_path, *LAUNCH, "--only", "upload", "--logs", LOGS, code=2)
    assert "nothing usable" in refused
    assert server.world.past_tasks == {} and server.world.tasks == {}
