"""`tesuji doctor`: what is here, what is missing, and never a token."""

import json
import stat
from pathlib import Path

import pytest
from hub_server import serving, use_hub
from runpod_server.server import KEY, runpod

from tesuji.cli.doctor import command as doctor
from tesuji.cli.main import main


def test_doctor_finds_what_is_here_and_hides_tokens(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_secret_value")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert main(["doctor", "--json", "--runs", str(tmp_path / "runs")]) == 0
    out = capsys.readouterr().out
    found = {finding["part"]: finding for finding in json.loads(out)}
    assert "hf_secret_value" not in out
    assert found["HF_TOKEN"]["state"] == "ok"
    assert found["WANDB_API_KEY"]["state"] == "absent"
    assert found["torch"]["state"] == found["pyspiel"]["state"] == "ok"
    assert not (tmp_path / "runs").exists()


def test_doctor_exits_1_where_runs_cannot_be_written(tmp_path, capsys):
    (tmp_path / "runs").write_text("a file")
    assert main(["doctor", "--runs", str(tmp_path / "runs")]) == 1
    assert "to mend: runs folder" in capsys.readouterr().out


def test_doctor_exits_1_where_a_package_is_missing_and_says_how_to_get_it(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(doctor, "NEEDED", ("transformers", "no-such-package"))
    monkeypatch.setattr(doctor, "EXTRAS", {"no-such-tracker": "tracker"})
    assert main(["doctor", "--json", "--runs", str(tmp_path)]) == 1
    found = {finding["part"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert found["no-such-package"]["words"] == "missing: pip install no-such-package"
    assert found["no-such-tracker"]["state"] == "absent"
    assert "tesuji[tracker]" in found["no-such-tracker"]["words"]


def test_doctor_reports_a_part_that_does_not_load():
    def words():
        raise ImportError("libcudart.so not found")

    finding = doctor.loaded("torch", words, doctor.AGAIN)
    assert finding.state == "bad" and "libcudart" in finding.words


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def of(base: str) -> str:
        text = f"name: some\ngame: tic_tac_toe\nmodel: {{base: {base}}}\nstages: {{data: }}\n"
        (tmp_path / "some.yaml").write_text(text)
        return "some.yaml"

    return of


def _looked_at(capsys, *words: str) -> dict[str, dict[str, str]]:
    main(["doctor", "--json", *words])
    return {found["part"]: found for found in json.loads(capsys.readouterr().out)}


def test_a_gated_model_is_told_with_the_page_that_gives_it(recipe, tmp_path, monkeypatch, capsys):
    with serving() as hub:
        use_hub(monkeypatch, hub.url, tmp_path)
        hub.gated, hub.sets = {"meta-llama/Llama-3.1-8B"}, {"Qwen/Qwen3-0.6B": {}}
        gated = _looked_at(capsys, recipe("meta-llama/Llama-3.1-8B"), "--for", "gpu")["model"]
        open_ = _looked_at(capsys, recipe("Qwen/Qwen3-0.6B"), "--for", "gpu")
        none = _looked_at(capsys, recipe("nobody/nothing"), "--for", "gpu")["model"]
    assert gated["state"] == "bad"
    assert "https://huggingface.co/meta-llama/Llama-3.1-8B" in gated["words"]
    assert open_["model"]["state"] == "ok" and "13 GB needed" in open_["disk for it"]["words"]
    assert none["state"] == "bad" and "HF_TOKEN" in none["words"]


def test_a_hub_that_does_not_answer_is_a_warning(recipe, tmp_path, monkeypatch, capsys):
    use_hub(monkeypatch, "http://127.0.0.1:9", tmp_path)
    found = _looked_at(capsys, recipe("Qwen/Qwen3-0.6B"), "--for", "gpu")
    assert found["model"]["state"] == "warning"


def test_a_gpu_is_looked_for_with_its_drivers_own_program(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _looked_at(capsys, "--for", "gpu")["driver"]["state"] == "bad"
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA A40, 46068 MiB, 570.124.06'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    found = _looked_at(capsys, "--for", "gpu")
    assert found["driver"] == {
        "part": "driver",
        "state": "ok",
        "words": "NVIDIA A40, 46068 MiB, 570.124.06",
    }
    assert (
        found["torch and CUDA"]["state"] == "bad" and "for CPUs" in found["torch and CUDA"]["words"]
    )


@pytest.mark.parametrize(
    ("purpose", "part"),
    [("modal", "MODAL_TOKEN_ID and MODAL_TOKEN_SECRET"), ("runpod", "RUNPOD_API_KEY")],
)
def test_a_missing_key_is_told_with_the_way_to_one(
    purpose: str, part: str, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in part.split(" and "):
        monkeypatch.delenv(name, raising=False)
    found = _looked_at(capsys, "--for", purpose)
    assert found[part]["state"] == "bad" and "not set: " in found[part]["words"]
    assert sum("RUNPOD_API_KEY" in str(one) or "token" in str(one) for one in found.values()) <= 1


def test_a_key_that_is_taken_is_told_with_what_still_costs(tmp_path, monkeypatch, capsys):
    with runpod(tmp_path / "pods") as service:
        monkeypatch.setenv("TESUJI_RUNPOD_URL", service.url)
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        found = _looked_at(capsys, "--for", "runpod")
        assert found["runpod answers"]["state"] == "ok"
        assert "the key is taken" in found["runpod answers"]["words"]
        monkeypatch.setenv("RUNPOD_API_KEY", "rpa_another")
        found = _looked_at(capsys, "--for", "runpod")
        assert found["runpod answers"]["state"] == "bad"
        assert "does not take the key" in found["runpod answers"]["words"]


def test_another_purpose_is_refused(capsys):
    assert main(["doctor", "--for", "gp"]) == 2
    assert "did you mean gpu?" in capsys.readouterr().err
