"""A whole run, small: stages that are skipped, resumed and redone, and every way to be refused."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from forked import Forked
from listener import Listener
from safetensors.torch import load_file
from terminal import lines_of as lines_shown
from terminal import on_terminal

from tesuji.cli.main import main
from tesuji.core.errors import DataError, EngineError, GameError, RecipeError, TesujiError
from tesuji.core.files import read_json, write_json
from tesuji.core.progress import Progress
from tesuji.episodes.store import read_episodes
from tesuji.evaluation.results import load_evaluation
from tesuji.learners.model.load import prepare_base
from tesuji.pipeline.models.by_name import open_model
from tesuji.pipeline.models.of_run import open_run
from tesuji.pipeline.plan import make_plan
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.reading.load import dump_recipe, load_recipe
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import ModelSection, TinyModel

SHAPE = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}
SMALL = {
    "name": "small",
    "game": "tic_tac_toe",
    "model": {"tiny": {**SHAPE, "intermediate_size": 32}, "lora": None},
    "prompt": {"style": "compact", "answer": "id"},
    "sampling": {"max_new_tokens": 2},
    "stages": {
        "data": {"positions": "sampled", "num_positions": 60, "held_out": 0.2},
        "sft": {"max_steps": 6, "batch_size": 16, "learning_rate": 0.01, "save_steps": 2,
                "adamw_learning_rate": 0.003, "logging_steps": 1, "optimizer": "muon",
                "soft_targets": True, "max_length": 32},
    },
    "evaluation": {"opponents": ["random"], "episodes": 4, "positions": 20, "certificate": True},
}  # fmt: skip


def small(**changes) -> Recipe:
    return Recipe.model_validate({**SMALL, **changes})


def with_sft(**changes) -> Recipe:
    stages = {**SMALL["stages"], "sft": {**SMALL["stages"]["sft"], **changes}}
    return small(stages=stages)


def decisions(recipe: Recipe, root: Path) -> dict[str, str]:
    return {step.name: step.decision for step in make_plan(recipe, root / recipe.name)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    run_recipe(small(), root, command="tesuji run small")
    return root / "small"


def test_a_run_leaves_all_it_promises(finished: Path):
    names = [path.name for path in sorted((finished / "stages").iterdir())]
    assert names == ["00-data", "01-before", "02-sft", "03-after"]
    manifest = read_json(finished / "manifest.json")
    assert {s["status"] for s in manifest["stages"].values()} == {"done"}
    for name in ("recipe.yaml", "metrics.jsonl", "report.html", "report.md"):
        assert (finished / name).stat().st_size > 0
    assert list((finished / "stages" / "02-sft").glob("sft_training_logs_*.txt"))
    after = read_json(finished / "stages" / "03-after" / "evaluation.json")
    assert after["label"] == "after sft"
    assert len(after["certificates"]) == 2
    assert load_recipe(finished / "recipe.yaml") == small()


def test_the_report_names_the_run_and_shows_a_game(finished: Path):
    page = (finished / "report.html").read_text()
    assert "small" in page
    outside = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(https?://[^"')]+)""", page)
    assert outside == []


def test_nothing_is_done_twice(finished: Path):
    listener = Listener()
    weights = finished / "stages" / "02-sft" / "final" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    run_recipe(small(), finished.parent, progress=listener)
    assert weights.stat().st_mtime_ns == before
    assert sum("nothing it depends on has changed" in line for line in listener.lines) == 4
    assert "nothing is left to do" in listener.lines[0], "it says so at the start"


def test_a_change_redoes_what_depends_on_it_and_nothing_else(finished: Path):
    root = finished.parent
    assert set(decisions(small(), root).values()) == {"skip"}
    assert decisions(with_sft(learning_rate=0.02), root) == {
        "data": "skip", "before": "skip", "sft": "run", "after": "run",
    }  # fmt: skip
    assert set(decisions(small(seed=2), root).values()) == {"run"}
    other = small(evaluation={**SMALL["evaluation"], "episodes": 6})
    assert decisions(other, root) == {
        "data": "skip", "before": "run", "sft": "skip", "after": "run",
    }  # fmt: skip


def test_the_old_results_of_a_changed_stage_are_kept(tmp_path: Path):
    run_recipe(small(), tmp_path)
    run_recipe(with_sft(max_steps=2), tmp_path)
    stages = tmp_path / "small" / "stages"
    assert read_json(stages / "02-sft" / "training.json")["steps"] == 2
    assert read_json(stages / "02-sft~1" / "training.json")["steps"] == 6


class Deadly(Progress):
    """Kills its process with -9 at a step of the training, or when those words begin."""

    def __init__(self, moment: str) -> None:
        self.moment, self.training = moment, False

    def begin(self, words: str, total: int | None = None) -> None:
        self.training = "training" in words
        if words == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def update(self, done: int, note: str = "") -> None:
        if self.training and str(done) == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


def killed_run(root: Path, moment: str) -> None:
    """Run the small recipe in a process that is killed with -9 at `moment`."""
    pid = os.fork()
    if pid == 0:
        try:
            run_recipe(small(), root, progress=Deadly(moment))
        finally:
            os._exit(0)  # in no case go on as a second copy of this test
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "stages" / "02-sft" / "final" / "model.safetensors")


def lines_of(run: Path) -> list[dict]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "time"} for row in rows]


@pytest.mark.parametrize("moment", ["1", "5", "after sft against random"])
def test_a_run_killed_with_9_goes_on_to_the_same_weights(finished: Path, tmp_path, moment):
    killed_run(tmp_path, moment)
    left = decisions(small(), tmp_path)
    assert left["data"] == left["before"] == "skip"
    assert left["after" if moment.startswith("after") else "sft"] == "resume"
    run_recipe(small(), tmp_path)
    ours, whole = weights_of(tmp_path / "small"), weights_of(finished)
    assert ours.keys() == whole.keys()
    assert all(torch.equal(ours[name], whole[name]) for name in whole)
    assert lines_of(tmp_path / "small") == lines_of(finished)


def test_adapters_thoughts_and_full_prompts_take_the_same_path(tmp_path: Path):
    folder = prepare_base(ModelSection(tiny=TinyModel(**SHAPE)), tmp_path / "model", seed=1)
    recipe = small(
        model={"base": folder, "lora": {"r": 2, "alpha": 4}},
        prompt={"style": "full", "answer": "move"},
        sampling={"max_new_tokens": 10},
        stages={
            "data": {"positions": "sampled", "num_positions": 20, "thoughts": "template"},
            "sft": {"max_steps": 2, "batch_size": 4},
        },
        evaluation={"opponents": ["random"], "episodes": 2, "positions": 4},
    )
    outcome = run_recipe(recipe, tmp_path / "runs")
    assert outcome.after.label == "after sft"
    final = tmp_path / "runs" / "small" / "stages" / "02-sft" / "final"
    assert (final / "adapter_config.json").exists()
    trained = open_run(tmp_path / "runs" / "small")
    assert trained.source == str(final)
    assert trained.player(0.0).name == "model"


def test_a_file_of_rows_can_be_learned_from(tmp_path: Path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"prompt": "...\nx", "completion": "4"}) + "\n")
    stages = {"sft": {**SMALL["stages"]["sft"], "data": str(rows), "max_steps": 1}}
    recipe = small(stages=stages, evaluation={"episodes": 2, "positions": 0})
    run_recipe(recipe, tmp_path)
    assert decisions(recipe, tmp_path)["sft"] == "skip"
    rows.write_text(json.dumps({"prompt": "...\nx", "completion": "5"}) + "\n")
    assert decisions(recipe, tmp_path)["sft"] == "run"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"game": "tick_tack_toe"}, GameError, "tic_tac_toe"),
        ({"game": {"name": "kuhn_poker", "options": {"plyers": 3}}}, GameError, "plyers"),
        ({"game": "kuhn_poker"}, (GameError, RecipeError), "kuhn_poker"),
        ({"stages": {"sft": {}}}, RecipeError, "no data stage before it"),
        ({"stages": {"sft": {"data": "nowhere.jsonl"}}}, TesujiError, "nowhere"),
        ({"stages": {"before": {"kind": "data"}}}, RecipeError, "cannot be called 'before'"),
        ({"stages": {"a/b": {"kind": "data"}}}, RecipeError, "cannot be called"),
        ({"evaluation": {"opponents": ["nobody"]}}, RecipeError, "no player 'nobody'"),
        ({"evaluation": {"opponents": ["cfr"]}}, GameError, "cfr cannot play"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        run_recipe(small(**changes), tmp_path)
    assert not (tmp_path / "small" / "stages").exists()


def test_a_certificate_for_a_game_without_one_is_refused(tmp_path: Path):
    stages = {"data": {"oracle": "random", "positions": "sampled"}}
    for changes in (
        {"evaluation": {"certificate": True}},
        {"evaluation": {}, "stages": {**stages, "sft": {"stop_when": "certificate"}}},
    ):
        recipe = small(**{"game": "kuhn_poker", "stages": stages, **changes})
        with pytest.raises(RecipeError, match="whole tree"):
            run_recipe(recipe, tmp_path)


def test_a_model_that_is_not_there_stops_with_one_message(tmp_path: Path):
    with pytest.raises(EngineError, match="cannot load the model"):
        run_recipe(small(model={"base": str(tmp_path / "nothing")}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_without_a_model_cannot_be_played(tmp_path: Path):
    run_recipe(small(), tmp_path)
    run = tmp_path / "small"
    for path in ("stages/02-sft/done.json", "base/tokenizer_config.json"):
        (run / path).unlink()
    with pytest.raises(DataError, match="no model in this run"):
        open_run(run)


def test_an_unwritable_runs_folder_is_one_message(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot write"):
        run_recipe(small(), tmp_path / "file")


@pytest.fixture
def small_disk(tmp_path: Path):
    """A real file system of 4 MB: the checkpoints of the small model do not fit."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_is_one_message_and_nothing_to_trip_over(small_disk: Path, tmp_path):
    recipe = with_sft(save_total_limit=100, save_steps=1, max_steps=40)
    with pytest.raises(DataError, match=r"disk is full|disk space"):
        run_recipe(recipe, small_disk)
    shutil.copytree(small_disk / "small", tmp_path / "roomy" / "small")
    assert decisions(recipe, tmp_path / "roomy")["data"] == "skip"
    run_recipe(recipe, tmp_path / "roomy")
    assert set(decisions(recipe, tmp_path / "roomy").values()) == {"skip"}


def test_a_finished_model_that_was_damaged_is_refused_with_the_way_back(finished, tmp_path, capsys):
    run = tmp_path / "small"
    shutil.copytree(finished, run)
    stage = run / "stages" / "02-sft"
    weights = stage / "final" / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + b"x")
    assert main(["eval", str(run), "--opponent", "random", "--episodes", "2"]) == 2
    told = capsys.readouterr().err
    assert "model.safetensors was cut short or changed" in told and "done.json" in told
    (stage / "done.json").unlink()
    run_recipe(small(), tmp_path)
    assert weights.read_bytes() == good


@pytest.mark.parametrize("text", [None, "[1]", '{"label": '])
def test_an_evaluation_that_cannot_be_read_is_made_again(finished: Path, tmp_path: Path, text):
    run = tmp_path / "small"
    shutil.copytree(finished, run, symlinks=True)
    file = run / "stages" / "01-before" / "evaluation.json"
    file.unlink() if text is None else file.write_text(text)
    assert decisions(small(), tmp_path) == {
        "data": "skip", "before": "resume", "sft": "skip", "after": "skip",
    }  # fmt: skip
    outcome = run_recipe(small(), tmp_path)
    there = load_evaluation(finished / "stages" / "01-before" / "evaluation.json")
    assert outcome.before is not None and outcome.before.matches == there.matches


def test_a_result_that_is_gone_is_made_again_where_it_is_needed(finished: Path, tmp_path: Path):
    run = tmp_path / "small"
    shutil.copytree(finished, run, symlinks=True)
    (run / "stages" / "00-data" / "train.jsonl").unlink()
    assert set(decisions(small(), tmp_path).values()) == {"skip"}, "nobody reads it any more"
    shutil.rmtree(run / "stages" / "02-sft" / "final")
    assert decisions(small(), tmp_path) == {
        "data": "resume", "before": "skip", "sft": "resume", "after": "skip",
    }  # fmt: skip
    run_recipe(small(), tmp_path)
    for name in ("02-sft/final/model.safetensors", "00-data/train.jsonl"):
        there = (finished / "stages" / name).read_bytes()
        assert (run / "stages" / name).read_bytes() == there


def test_a_model_that_is_gone_is_told_with_the_way_back(finished: Path, tmp_path: Path, capsys):
    run = tmp_path / "small"
    shutil.copytree(finished, run, symlinks=True)
    shutil.rmtree(run / "stages" / "02-sft" / "final")
    assert main(["eval", str(run), "--opponent", "random", "--episodes", "2"]) == 2
    assert "the model of stage sft is gone" in capsys.readouterr().err


def test_a_base_model_that_was_damaged_says_what_to_delete(finished: Path, tmp_path: Path):
    run = tmp_path / "small"
    shutil.copytree(finished, run, symlinks=True)
    weights = run / "base" / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-9])
    (run / "stages" / "03-after" / "done.json").unlink()
    shutil.rmtree(run / "stages" / "02-sft")
    with pytest.raises(EngineError) as caught:
        run_recipe(small(), tmp_path)
    assert caught.value.where == str(run / "base")
    assert caught.value.hint.startswith("delete the folder,")
    shutil.rmtree(run / "base")
    run_recipe(small(), tmp_path)
    assert weights.read_bytes() == good


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\x00" * 64])
def test_a_model_folder_that_is_broken_is_one_message(
    finished: Path, tmp_path: Path, capsys, name: str, content: bytes
):
    model = tmp_path / "model"
    shutil.copytree(finished / "stages" / "02-sft" / "final", model)
    (model / "checksums.json").unlink()
    (model / name).write_bytes(content)
    assert main(["chat", str(model)]) == 2
    told = capsys.readouterr().err
    assert "cannot load the " in told and "Traceback" not in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_keep_what_is_done_and_say_so(tmp_path: Path, number: signal.Signals):
    """The command, interrupted in the middle of training, then looked at."""
    stages = {**SMALL["stages"], "sft": {**SMALL["stages"]["sft"], "max_steps": 100_000}}
    (tmp_path / "small.yaml").write_text(dump_recipe(small(stages=stages)))
    checkpoints = tmp_path / "runs" / "small" / "stages" / "02-sft" / "checkpoints"
    command = Forked("run", "small.yaml", cwd=tmp_path)
    command.wait_until(lambda: list(checkpoints.glob("checkpoint-*")))
    command.send_signal(number)
    done = command.ended()
    assert done.returncode == 130, done.stderr
    assert "the same command goes on" in done.stderr
    assert decisions(load_recipe(tmp_path / "small.yaml"), tmp_path / "runs")["sft"] == "resume"


def test_a_person_plays_the_runs_model(finished: Path, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(str, range(9))) * 9))
    record = tmp_path / "mine.jsonl"
    assert main(["play", str(finished), "--record", str(record)]) == 0
    shown = capsys.readouterr().out
    assert "You are x." in shown
    assert any(words in shown for words in ("You win.", "The model wins.", "A draw."))
    (episode,) = read_episodes(record)
    assert episode.players == ("you", "model")
    moves = [turn for turn in episode.turns if turn.move]
    for turn in moves:
        assert f"{turn.role} ({episode.players[turn.seat]}): {turn.move.text}\n" in shown
    last = shown[shown.rindex("┌") :]
    assert sum(last.count(f" {mark} ") for mark in "xo") == len(moves), "the last move is drawn"
    monkeypatch.setattr("sys.stdin", io.StringIO("quit\n"))
    assert main(["play", str(finished)]) == 0, "to leave is no error"
    out, err = capsys.readouterr()
    assert "you left the table" in out and "loading" in err and "beware" not in err
    code, written = on_terminal(["-m", "tesuji", "play", str(finished)], typed="9\n")  # and Ctrl-D
    assert code == 0 and "Traceback" not in written, written
    shown = lines_shown(written)
    assert "0 │   │   │   │" in shown and any("Not a legal move" in line for line in shown)
    assert "you left the table; the match is not counted" in shown
    assert main(["play", str(finished), "--seat", "2"]) == 2
    assert "0 to 1" in capsys.readouterr().err


def test_a_run_goes_on_under_the_whole_name_of_its_game(finished: Path, tmp_path):
    """What to write once a package has brought a game of the same name; nothing is done again."""
    assert set(decisions(small(game="tesuji:tic_tac_toe"), finished.parent).values()) == {"skip"}
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    written = (copy / "recipe.yaml").read_text().replace("tic_tac_toe", "no_such_game")
    (copy / "recipe.yaml").write_text(written)
    with pytest.raises(GameError) as caught:
        open_run(copy)
    assert caught.value.where == f"{copy / 'recipe.yaml'}: game.name"


def test_a_run_that_has_not_ended_is_told_from_one_that_has(finished: Path, tmp_path, capsys):
    assert open_run(finished).beware == "" and open_model(str(finished)).beware == ""
    copy = Path(shutil.copytree(finished, tmp_path / "runs" / "small"))
    manifest = read_json(copy / "manifest.json")
    stages = manifest["stages"]
    for name, folder, model in (("after", "03-after", "the model after sft"),
                                ("sft", "02-sft", "its base model")):  # fmt: skip
        (copy / "stages" / folder / "done.json").unlink()
        del stages[name]
        write_json(copy / "manifest.json", manifest)
        said = f"the run is not finished ({len(stages)} of 4 steps done); this is {model}"
        assert open_run(copy).beware == open_model(str(copy)).beware == said
        assert main(["runs", str(copy.parent)]) == 0
        assert f"{len(stages)} of 4 done" in capsys.readouterr().out
    words = ["eval", str(copy), "--opponent", "random", "--episodes", "2"]
    assert main(words) == 0
    assert f"beware: {said}" in " ".join(capsys.readouterr().err.split())
    run_recipe(small(), copy.parent)
    ended = read_json(copy / "manifest.json")["stages"]
    assert {name: facts.get("resumed") for name, facts in ended.items()} == {
        "data": None, "before": None, "sft": True, "after": True,
    }, "how long these took is no measure of a whole one"  # fmt: skip


def test_a_runs_model_is_put_through_more_matches(finished: Path, tmp_path, capsys):
    words = ["eval", str(finished), "--opponent", "scripted:policy=last", "--episodes", "4"]
    assert main([*words, "--seed", "9", "--temperature", "1", "--out", str(tmp_path / "o")]) == 0
    assert "scripted" in capsys.readouterr().out
    found = load_evaluation(tmp_path / "o" / "evaluation.json")
    assert (found.seed, found.temperature, found.matches[0].games) == (9, 1.0, 4)
    assert main(["eval", str(finished), "--opponent", "scripted:policy=middle"]) == 2
    assert "first or last" in capsys.readouterr().err


def test_runs_are_listed_even_a_broken_one(finished: Path, tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 0
    assert "no runs in" in capsys.readouterr().out
    assert main(["runs", str(finished.parent)]) == 0
    assert "4 of 4 done" in capsys.readouterr().out
    odd = {"old": '{"format": 99}', "list": "[]", "torn": '{"form', "deep": "[" * 100_000,
           "odd": '{"format": 1, "stages": []}', "bare": '{"format": 1}',
           "[/red]": "{}"}  # fmt: skip
    for name, text in odd.items():
        (tmp_path / name.replace("/", "")).mkdir()
        (tmp_path / name.replace("/", "") / "manifest.json").write_text(text)
    shutil.copytree(finished, tmp_path / "fine")
    assert main(["runs", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "not a run" in shown
    assert "4 of 4 done" in shown and "[red]" in shown
    long = "a-run-with-a-name-of-41-letters-in-it-all"
    shutil.copytree(finished, tmp_path / "other" / long)
    assert main(["runs", str(tmp_path / "other")]) == 0
    shown = capsys.readouterr().out
    assert long in shown.split() and "report.html" in shown, "nothing is broken in two"


def test_the_plan_is_printed_and_nothing_is_done(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "tictactoe/tiny", "--dry-run", "seed=3"]) == 0
    shown = capsys.readouterr().out
    assert "seed: 3" in shown
    assert shown.count("not done yet") == 4
    forecast = shown.partition("Forecast")[2]
    assert "measured" in forecast and " s (" in forecast
    assert not list(tmp_path.iterdir())
