"""`tesuji doctor`: what is here, what is missing, and never a token."""

import json

from tesuji.cli import doctor
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

    finding = doctor._loaded("torch", words)
    assert finding.state == "bad" and "libcudart" in finding.words
