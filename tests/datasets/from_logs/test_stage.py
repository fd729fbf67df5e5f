"""The folder a stage of logs leaves: the same bytes again, and whatever logs it is made of."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from listener import Listener
from made_logs import game, write
from made_rows import ASKED, PAIRS, ROWS, built, episode, rows, turn
from places import SUPPORT

from tesuji.core.files import read_json
from tesuji.episodes.store import write_episodes
from tesuji.pipeline.steps.data import run_logs
from tesuji.recipe.schema.data import LogsStage
from tesuji.recipe.schema.recipe import Recipe


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("data") / "out"
    built(out, **ASKED)
    return out


def data_of(out: Path) -> dict[str, bytes]:
    """Every file but the logs themselves, by name."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import listener, made_rows
class Kill(listener.Listener):
    def update(self, done, note=""):
        if self.work[0] == sys.argv[2] and done:
            os.kill(os.getpid(), signal.SIGKILL)
real = made_rows.make_data_from_logs
made_rows.make_data_from_logs = lambda recipe, stage, out: real(recipe, stage, out, Kill())
made_rows.built(Path(sys.argv[1]), **made_rows.ASKED)
"""


@pytest.mark.parametrize("step", ["games", "writing"])
def test_killed_in_the_middle_and_run_again_gives_the_same_bytes(made: Path, tmp_path: Path, step):
    out, tests = tmp_path / "out", str(SUPPORT)
    command = [sys.executable, "-c", KILLED, str(out), step, tests]
    run = subprocess.run(command, timeout=120, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert run.returncode == -signal.SIGKILL
    assert not (out / "train.jsonl").exists()
    built(out, **ASKED)
    whole = {
        name: data for name, data in data_of(out).items() if not Path(name).name.startswith(".")
    }
    assert whole == data_of(made)


def test_chats_and_pairs_of_others_pass_through_the_same_stage(tmp_path: Path):
    logs = tmp_path / "logs"
    logs.mkdir()

    def write(name: str, told: list) -> None:
        (logs / name).write_text("".join(json.dumps(row) + "\n" for row in told))

    write("chat.jsonl", [{"messages": [{"role": "system", "content": "S"},
          {"role": "user", "content": f"Q{n}"}, {"role": "assistant", "content": f"A{n}"},
          {"role": "user", "content": "and?"}, {"role": "assistant", "content": "so"}]}
          for n in range(6)])  # fmt: skip
    write("share.jsonl", [{"conversations": [{"from": "human", "value": f"Q{n}"},
          {"from": "gpt", "value": f"B{n}"}]} for n in range(6)])  # fmt: skip
    write("pairs.jsonl", [{"prompt": f"Q{n}", "chosen": "good", "rejected": f"bad {n}"}
          for n in range(6)])  # fmt: skip
    found = built(tmp_path / "out", [logs], select={"seats": "all"}, held_out=0.4, pairs={})
    assert found["imported"]["by_kind"] == {"chat": 12, "pairs": 6}
    assert (found["types"], found["matches"]["all"]) == ({"chat": found["train_rows"]}, 12)
    assert found["train_rows"] + found["held_out_rows"] == 18
    assert found["train_pairs"] + found["held_out_pairs"] == 6
    said = [row for name in (*ROWS, *PAIRS) for row in rows(tmp_path / "out" / name)]
    assert {"A3", "so", "B3"} <= {row.get("completion") for row in said}
    sides = [
        {
            _opening(row["prompt"])
            for kind in files
            for row in rows(tmp_path / "out" / f"{kind}.jsonl")
        }
        for files in (("train", "pairs", "prompts"), ("held_out", "held_out_pairs"))
    ]
    assert all(sides) and not sides[0] & sides[1], "one question's replies are on one side"
    assert (tmp_path / "out" / "final" / "chat_sft_dataset.jsonl").exists()
    nobody = "of 18 of 18 turns it is not known who won"
    both = built(tmp_path / "won", [logs])
    assert nobody in " ".join(both["warnings"]) and both["train_pairs"] == 6


def test_what_chats_hold_and_rows_do_not_is_warned_about(tmp_path: Path):
    bad = {"prompt": "Q", "completion": "A", "label": False}
    rows = [{"prompt": f"Q{n}", "completion": "A", "topic": "x"} for n in range(3)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [bad, *rows]))
    found = built(tmp_path / "out", [tmp_path / "a.jsonl"], select={"seats": "all"})
    said = " | ".join(found["warnings"])
    assert "1 rows of the logs are called bad (KTO) and were left out" in said
    assert "nothing is made of, with the number of rows: topic (3)" in said


def _opening(prompt: list[dict[str, str]]) -> str:
    end = [message["role"] for message in prompt].index("user") + 1
    return json.dumps(prompt[:end])


def test_the_user_s_files_are_named_and_hashed_and_odd_names_stop_nothing(tmp_path: Path):
    logs = tmp_path / "logs"
    logs.mkdir()
    write_episodes(logs / "a.jsonl", [episode("a", turn("hi"))])
    odd = os.fsencode(str(logs)) + b"/\xff.jsonl"
    Path(os.fsdecode(odd)).write_text("{}\n")
    (logs / "loop").symlink_to(logs)
    os.mkfifo(logs / "pipe")
    found = built(tmp_path / "out", [logs])
    manifest = read_json(tmp_path / "out" / "raw_logs" / "manifest.json")
    assert manifest["files"] == found["imported"]["files"] == 4
    names = {row["path"]: row for row in manifest["list"]}
    assert set(names) == {"logs/a.jsonl", "logs/\\xff.jsonl", "logs/loop", "logs/pipe"}
    assert len(names["logs/a.jsonl"]["sha256"]) == 64 and "unreadable" in names["logs/pipe"]
    assert not list((tmp_path / "out" / "raw_logs").glob("*.jsonl")), "no copy is made"


def test_a_path_turns_the_playing_of_games_off(tmp_path: Path):
    """What a recipe that plays games is run with on one's own logs."""
    write(tmp_path / "logs" / "a.json", game())
    asked = LogsStage.model_validate(
        {"paths": str(tmp_path / "logs"), "make": {"kind": "mafia"}, "held_out": 0.0}
    )
    assert asked.played is None and asked.make is not None
    recipe = Recipe.model_validate(
        {"name": "mine", "game": "prompts", "stages": {"logs": asked.model_dump()}}
    )
    said = Listener()
    run_logs(asked, recipe, tmp_path / "out", said)
    stats = read_json(tmp_path / "out" / "dataset_statistics.json")
    assert stats["imported"]["read"] == 1 and stats["sources"] == ["logs"]
    assert "no games are played" in " ".join(said.lines)
