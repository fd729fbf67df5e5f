"""A sweep: what its words mean, what it refuses, and that it goes on after any end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_recipes import text_of
from made_run import make_run

from tesuji.core.errors import DataError, RecipeError, TesujiError
from tesuji.core.run_folder import RunFolder
from tesuji.pipeline.sweep.axes import Axis, Range, axes_of, split_values
from tesuji.pipeline.sweep.planned import Planned, names_of
from tesuji.pipeline.sweep.search import Aim, Search
from tesuji.pipeline.sweep.sweep import plan_sweep
from tesuji.recipe.reading.load import load_recipe

SFT = """\
  data: {positions: sampled, num_positions: 60}
  sft: {max_steps: 4, batch_size: 16, learning_rate: 0.003, save_steps: 2, logging_steps: 1}
"""
DPO = "  dpo: {max_steps: 2, batch_size: 4}\n"
EVALUATION = "{opponents: [random], episodes: 4, positions: 0, before: false}"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(text_of("small", SFT, EVALUATION))
    (tmp_path / "two.yaml").write_text(text_of("small", SFT + DPO, EVALUATION))
    return tmp_path / "small.yaml"


def plan(recipe: Path, *words: str, **options):
    return plan_sweep(lambda c: load_recipe(recipe, c), words, recipe.parent / "runs", **options)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1,2,3", ["1", "2", "3"]),
        ("[0.9, 0.95],[0,0.9]", ["[0.9, 0.95]", "[0,0.9]"]),
        ("{player: mcts, simulations: 10},random", ["{player: mcts, simulations: 10}", "random"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("1e-5", ["1e-5"]),
    ],
)
def test_values_stand_between_commas_and_lists_keep_theirs(text, parts):
    assert split_values(text) == parts


def test_a_key_is_found_by_its_end(recipe):
    axes, ranges = axes_of(
        ["learning_rate=1e-5,3e-5", "seed=1,2", "batch_size=8"], load_recipe(recipe)
    )
    assert [axis.key for axis in axes] == [
        "stages.sft.learning_rate",
        "seed",
        "stages.sft.batch_size",
    ]
    assert ranges == []


def test_a_range_says_whether_it_is_of_whole_numbers_and_in_the_logarithm(recipe):
    _, ranges = axes_of(["learning_rate=1e-6:1e-3:log", "batch_size=8:64"], load_recipe(recipe))
    assert ranges == [
        Range("stages.sft.learning_rate", 1e-6, 1e-3, log=True, whole=False),
        Range("stages.sft.batch_size", 8, 64, log=False, whole=True),
    ]


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (["learning_rat=1,2"], {}, "did you mean `learning_rate`"),
        (["stages.sft.learning_rat=1,2"], {}, "learning_rate"),
        (["learning_rate=1e-3,fast"], {}, "learning_rate-fast"),
        (["seed=1,1"], {}, "twice"),
        (["seed=1,,2"], {}, "a value is missing"),
        (["seed=1,2", "seed=3"], {}, "set twice"),
        (["learning_rate=1e-3,0.001"], {}, "are the same run"),
        (["seed"], {}, "key=value"),
        (["seed=1,2,3", "batch_size=4,8"], {"most": 5}, "3 x 2 values are 6 runs"),
        (["learning_rate=1e-5:1e-3"], {}, "add --trials"),
        (["learning_rate=1,2"], {"trials": 3, "metric": "x"}, "needs a range"),
        (["learning_rate=1e-3:1e-5"], {"trials": 3, "metric": "x"}, "no range"),
        (["learning_rate=0.1:1000"], {"trials": 3, "metric": "x"}, "learning_rate-1000"),
        (["game=tic_tac_toe,no_such_game"], {}, "no_such_game"),
    ],
)
def test_what_is_wrong_is_said_before_anything_begins(recipe, words, options, message):
    with pytest.raises(TesujiError) as error:
        plan(recipe, *words, **options)
    assert message in str(error.value)
    assert not (recipe.parent / "runs").exists()


def test_a_key_that_several_stages_have_is_not_guessed(recipe):
    with pytest.raises(RecipeError) as error:
        plan(recipe.with_name("two.yaml"), "learning_rate=1e-3,1e-4")
    assert "stages.sft.learning_rate, stages.dpo.learning_rate" in str(error.value)


def test_names_are_readable_and_each_its_own():
    values = [{"stages.sft.betas": betas, "seed": "1"} for betas in ("[0.9,0.95]", "[0.9 0.95]")]
    names = names_of([*values, {"stages.sft.betas": "[0,0.9]", "seed": "1"}])
    assert names[2] == "betas-0-0.9" and len(set(names)) == 3
    assert all(name.startswith("betas-0.9-0.95-") for name in names[:2])
    both = [{"stages.sft.batch_size": a, "stages.dpo.batch_size": a} for a in "12"]
    assert names_of(both)[0] == "sft.batch_size-1--dpo.batch_size-1"


def command(recipe: Path, *words: str) -> list[str]:
    runs = str(recipe.parent / "runs")
    return [sys.executable, "-m", "tesuji", "sweep", str(recipe), *words, "--runs", runs]


def finished(folder: Path) -> list[str]:
    return sorted(path.parents[2].name for path in folder.glob("*/stages/*-after/done.json"))


@pytest.mark.slow
def test_a_sweep_that_is_killed_takes_its_runs_along_and_goes_on_where_they_were(recipe):
    folder = recipe.parent / "runs" / "small-sweep"
    words = ("seed=1,2", "stages.sft.max_steps=300", "stages.sft.save_steps=10")
    first = subprocess.Popen(command(recipe, *words, "--parallel", "2"), stdout=subprocess.DEVNULL)
    kept = [folder / f"seed-{seed}" / "stages" / "01-sft" / "checkpoints" for seed in (1, 2)]
    _wait(lambda: all(any(path.glob("*")) for path in kept))
    first.send_signal(signal.SIGKILL)
    first.wait()
    _wait(lambda: all(_free(folder / f"seed-{seed}") for seed in (1, 2)))
    assert finished(folder) == []
    again = command(recipe, *words, "--parallel", "2")
    done = subprocess.run(again, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert finished(folder) == ["seed-1", "seed-2"]
    assert "2 runs in 1 variant" in done.stdout and (folder / "comparison.html").exists()
    manifests = {path: path.read_text() for path in folder.glob("*/manifest.json")}
    stages = [json.loads(text)["stages"]["sft"] for text in manifests.values()]
    assert [stage["resumed"] for stage in stages] == [True, True]
    more = plan(recipe, "seed=1,2,3", *words[1:])
    assert [run.left for run in more.runs] == [0, 0, 3]
    assert plan(recipe, *words).run().failed == []
    assert all(path.read_text() == text for path, text in manifests.items())


def _free(run: Path) -> bool:
    try:
        with RunFolder(run).locked():
            return True
    except DataError:
        return False


def _wait(ready, seconds: float = 300) -> None:
    ends = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.2)


def test_a_run_that_fails_is_told_and_the_others_are_done(recipe):
    sweep = plan(recipe, "seed=1,2", "stages.sft.max_steps=1", "evaluation.episodes=1")
    blocked = sweep.folder / "seed-1"
    blocked.mkdir(parents=True)
    (blocked / "stages").write_text("in the way")
    said: list[str] = []
    done = sweep.run(progress=_Said(said))
    assert done.failed == ["seed-1"] and finished(sweep.folder) == ["seed-2"]
    assert any("seed-1: failed with exit code" in line and "seed-1.txt" in line for line in said)


class _Said:
    def __init__(self, lines: list[str]) -> None:
        self.say = lines.append

    def __getattr__(self, name: str):
        return lambda *words, **more: None


AXES = [Axis("stages.sft.optimizer", ("adamw", "muon"))]
RANGES = [Range("stages.sft.learning_rate", 1e-5, 1e-2, log=True, whole=False)]


def search(folder: Path, trials: int = 4, metric: str = "random/win_rate") -> Search:
    recipe = load_recipe("tictactoe/tiny")
    aim = Aim(metric, maximize=True, trials=trials, seed=1)
    return Search(folder, AXES, RANGES, aim, lambda name, values: Planned(name, values, recipe, 1))


def through(folder: Path, *, broken: bool) -> list[str]:
    """The names of all runs asked for; `broken`: everything is opened anew after each, twice."""
    asked, led = [], search(folder)
    while (run := led.next()) is not None:
        if broken:
            again = search(folder).next()
            assert again is not None and again.name == run.name
            led = search(folder)
            run = led.next()
        make_run(folder / run.name)
        led.ended(run, 0)
        asked.append(run.name)
        led = search(folder) if broken else led
    return asked


def test_a_search_that_is_killed_asks_for_what_it_would_have_asked_for(tmp_path):
    whole, broken = through(tmp_path / "a", broken=False), through(tmp_path / "b", broken=True)
    assert whole == broken and len(set(whole)) == 4
    assert whole[0].startswith("trial-000--optimizer-")
    rows = search(tmp_path / "a").ranked()
    rates = [float(values["stages.sft.learning_rate"]) for *_, values in rows]
    assert len(rates) == 4 and 1e-5 <= min(rates) < max(rates) <= 1e-2


def test_a_failed_trial_is_told_to_the_study_and_not_asked_for_again(tmp_path):
    led = search(tmp_path, trials=1)
    run = led.next()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / f"{run.name}.txt").write_text("loading\nerror: no room\n")
    assert "no room" in led.ended(run, 2)
    assert search(tmp_path, trials=1).next() is None


def test_a_metric_that_no_run_has_stops_a_search_at_its_first(tmp_path):
    led = search(tmp_path, metric="random/wins")
    run = led.next()
    make_run(tmp_path / run.name)
    with pytest.raises(DataError, match="random/win_rate"):
        led.ended(run, 0)


def test_a_folder_with_another_search_is_refused(tmp_path):
    search(tmp_path).next()
    with pytest.raises(DataError, match="another metric"):
        search(tmp_path, metric="minimax/win_rate")


def test_the_command_prints_its_runs_and_begins_none(recipe):
    words = command(recipe, "seed=1,2", "--dry-run")
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"}
    )
    assert "seed-2" in done.stdout and "2 runs in" in done.stdout
    assert not (recipe.parent / "runs").exists()
    assert done.stderr == ""
