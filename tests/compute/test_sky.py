"""The task file for SkyPilot, against what SkyPilot's documents and schema say of such files."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tiny_jobs import write_recipe
from typer.testing import CliRunner

from tesuji.cli.machines.sky import app
from tesuji.core.errors import DataError

TEXT: dict[str, Any] = {"type": "string"}
SCHEMA: dict[str, Any] = {  # of the parts used here, from SkyPilot's `get_task_schema`
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": r"^[a-zA-Z0-9]+(?:[._-]{1,2}[a-zA-Z0-9]+)*$"},
        "workdir": TEXT,
        "setup": TEXT,
        "run": TEXT,
        "num_nodes": {"type": "integer"},
        "file_mounts": {"type": "object"},
        "envs": {
            "type": "object",
            "patternProperties": {"^[a-zA-Z_][a-zA-Z0-9_]*$": {"type": ["string", "null"]}},
            "additionalProperties": False,
        },
        "secrets": {
            "type": "object",
            "patternProperties": {"^[a-zA-Z_][a-zA-Z0-9_]*$": {"type": ["string", "null"]}},
            "additionalProperties": False,
        },
        "resources": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "infra": {
                    "type": "string",
                    "pattern": r"^(?:[a-z]+(?:/[^/]+(?:/[^/]+)?)?|\*(?:/[^/]+(?:/[^/]+)?)?)$",
                },
                "cpus": {"type": ["string", "number"]},
                "memory": {"type": ["string", "number"]},
                "accelerators": TEXT,
                "disk_size": {"type": ["integer", "string"]},
                "use_spot": {"type": "boolean"},
                "autostop": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "idle_minutes": {"type": "integer", "minimum": 0},
                        "down": {"type": "boolean"},
                    },
                },
            },
        },
    },
}


def write(folder: Path, *words: str) -> dict[str, Any]:
    recipe = write_recipe(folder)
    done = CliRunner().invoke(app, [str(recipe), *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return yaml.safe_load((folder / "sky" / "small" / "task.yaml").read_text())


def test_a_task_is_one_that_skypilot_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_nosuchtokenasthisone")
    words = ["--gpu", "A100:2", "--infra", "runpod", "--cpus", "8", "--memory", "32"]
    task = write(tmp_path, *words, "--disk", "100", "--secret", "HF_TOKEN")
    jsonschema.validate(task, SCHEMA)
    assert task["resources"]["accelerators"] == "A100:2"
    assert (task["resources"]["cpus"], task["resources"]["memory"]) == ("8+", "32+")
    assert task["secrets"] == {"HF_TOKEN": None}
    package = tmp_path / "sky" / "small" / task["workdir"]
    [wheel] = package.glob("*.whl")
    assert wheel.name in task["setup"] and (package / "rows.jsonl").exists()
    assert not [p for p in package.parent.rglob("*") if p.is_file() and b"nosuch" in p.read_bytes()]


def test_what_is_not_asked_for_is_left_to_skypilot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    task = write(tmp_path)
    jsonschema.validate(task, SCHEMA)
    assert set(task["resources"]) == {"autostop"} and "secrets" not in task
    with pytest.raises(DataError, match="is there already"):
        write(tmp_path)
