"""Rollouts by actors of a real Ray on this machine: the matches, tokens and weights of `here`."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from made_recipes import recipe_of
from processes import TWO, begin, command, furthest, metrics, run

from tesuji.core.errors import EngineError
from tesuji.core.types import Task
from tesuji.episodes.cluster import cluster, results, started, version
from tesuji.learners.model.load import load_policy, prepare_base
from tesuji.learners.rl.rollout.engine import Here, RolloutEngine, rollout_engine
from tesuji.learners.rl.rollout.play import Rollout
from tesuji.learners.rl.rollout.ray_engine import Sources
from tesuji.learners.rl.rollout.setup import RolloutSetup
from tesuji.learners.rl.weights import copy_of
from tesuji.recipe.reading.load import dump_recipe
from tesuji.recipe.schema.recipe import Recipe

pytestmark = pytest.mark.engines
pytest.importorskip("ray", reason="make test-engines installs it")
SECRET = "sk-neverwrittenanywhere0123456789"
SEARCH = {"player": "mcts", "simulations": 20}
OPPONENTS: list[Any] = ["random", "minimax", SEARCH, "self", "snapshot"]
RAY = {"engine": "ray", "actors": 2}


def made(**changes: Any) -> Recipe:
    """A small recipe; what is not of its stage stands under its own name."""
    outside = {key: changes.pop(key) for key in ("rollouts", "model") if key in changes}
    plain = recipe_of(**changes).model_dump(mode="json")
    return Recipe.model_validate({**plain, **outside})


def setup_of(recipe: Recipe, out: Path) -> tuple[RolloutSetup, Sources]:
    source = prepare_base(recipe.model, out / "base", recipe.seed)
    policy = load_policy(recipe.model, source)
    setup = RolloutSetup(recipe.stages["rl"], policy, recipe, out, precision=_plain)
    return setup, Sources(source)


def _plain() -> Any:
    import contextlib

    return contextlib.nullcontext()


def mortal() -> type:
    """An actor that dies of its work, to be sent whole: a test's module is on no other's path."""

    class Mortal:
        def __init__(self, says: str) -> None:
            self.says = says

        def ready(self) -> str:
            return self.says

        def work(self) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        def fail(self) -> None:
            raise EngineError("no such thing", where="model.base", hint="name one")

    return Mortal


def test_what_actors_raise_and_die_of_are_messages() -> None:
    with cluster("local", 1) as cores:
        with pytest.raises(EngineError, match="2 actors need a core each, and this Ray has 1"):
            started(mortal(), version(), 2, cores)
        with pytest.raises(EngineError, match="the cluster has tesuji 0, here is tesuji"):
            started(mortal(), "tesuji 0", 1, cores)
        [actor] = started(mortal(), version(), 1, cores)
        with pytest.raises(EngineError, match="no such thing") as caught:
            results([actor.fail.remote()])
        assert str(caught.value) == "model.base: no such thing\n  → name one"
        with pytest.raises(EngineError, match="lost, 3 times over"):
            results([actor.work.remote()])
    assert not rays_below()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RolloutSetup, RolloutEngine]]:
    """A stage with two snapshots, and an engine of two actors for it."""
    recipe = made(
        batch_size=24,
        play={"opponents": OPPONENTS, "opening_moves": 2, "snapshot_steps": 1},
        rewards={"returns": 1.0, "legal": 0.5, "oracle": 0.1},
        rollouts=RAY,
    )
    os.environ["OPENAI_API_KEY"] = SECRET
    try:
        setup, sources = setup_of(recipe, tmp_path_factory.mktemp("ray"))
        with rollout_engine(setup, sources) as engine:
            yield setup, engine
    finally:
        del os.environ["OPENAI_API_KEY"]


def tasks_of(setup: RolloutSetup, count: int) -> list[Task]:
    return [task for _ in range(count) for task in setup.propose()]


def assert_same(ours: Rollout, theirs: Rollout) -> None:
    """The same to the last token; log-probs and sums to rounding, for batches differ."""
    assert theirs.outcomes == ours.outcomes
    assert dict(theirs.sums) == pytest.approx(dict(ours.sums))
    assert len(theirs.traces) == len(ours.traces) > 0
    for one, other in zip(ours.traces, theirs.traces, strict=True):
        for name in ("game", "seat", "role", "group", "opponent", "policy_version", "truncated"):
            assert getattr(one, name) == getattr(other, name)
        assert one.rewards == pytest.approx(other.rewards)
        for mine, its in zip(one.segments, other.segments, strict=True):
            assert (mine.token_ids, mine.turns) == (its.token_ids, its.turns)
            assert mine.allowed == its.allowed
            assert mine.logprobs == pytest.approx(its.logprobs, abs=1e-5)


def rays_below() -> list[psutil.Process]:
    """What is left of a Ray that this process has started."""
    return [one for one in psutil.Process().children(recursive=True) if "ray" in one.name()]


def actors_below(pid: int | None = None) -> list[psutil.Process]:
    below = psutil.Process(pid).children(recursive=True)
    return [one for one in below if "RolloutActor" in " ".join(one.cmdline())]


def test_the_same_matches_to_the_last_token(both: tuple[RolloutSetup, RolloutEngine]) -> None:
    setup, engine = both
    for step in (1, 2, 3):
        tasks = setup.propose()
        rollout = Here(setup).play(tasks, step)
        assert_same(rollout, engine.play(tasks, step))
        for parameter in copy_of(setup.policy.model).values():
            assert parameter.is_contiguous()
        _move(setup)
        setup.follow(step)
        setup.play_as(setup.version(step))
    opponents = {label for task in tasks for label in task.players}
    assert any(label.startswith("snapshot-") for label in opponents)


def _move(setup: RolloutSetup) -> None:
    """Other weights, as after an update."""
    import torch

    with torch.no_grad():
        for parameter in setup.policy.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def test_a_killed_actor_costs_a_retry(both: tuple[RolloutSetup, RolloutEngine]) -> None:
    setup, engine = both
    tasks = tasks_of(setup, 12)
    wanted = Here(setup).play(tasks, 7)
    victim, *_ = actors_below()
    before = {one.pid for one in actors_below()}
    threading.Timer(0.3, victim.send_signal, [signal.SIGKILL]).start()
    assert_same(wanted, engine.play(tasks, 7))
    assert not victim.is_running()
    assert_same(wanted, engine.play(tasks, 7))
    assert len({one.pid for one in actors_below()} - before) == 1


def test_secrets_are_in_no_log(both: tuple[RolloutSetup, RolloutEngine]) -> None:
    setup, engine = both
    engine.play(setup.propose(), 8)
    [folder] = [p for p in Path(tempfile.gettempdir()).glob("tesuji-ray-*") if _is_of_us(p)]
    assert folder.stat().st_mode & 0o077 == 0
    token = (folder / "token").read_bytes()
    files = [path for path in folder.glob("ray/session_2*/**/*") if path.is_file()]
    assert any("raylet" in path.name for path in files)
    for path in files:
        text = path.read_bytes()
        assert SECRET.encode() not in text, path
        assert token not in text, path


def _is_of_us(folder: Path) -> bool:
    """Whether it is this process's: its Ray's sessions end with our number."""
    return any(folder.glob(f"ray/session_*_{os.getpid()}"))


LOCAL = "rollouts={engine: ray, actors: 2}"


def small(folder: Path, **changes: Any) -> Path:
    """A recipe's file in a folder of its own."""
    folder.mkdir()
    changes = {"max_steps": 4, "batch_size": 16, **changes}
    recipe = made(play={"opponents": OPPONENTS, "snapshot_steps": 2}, **changes)
    (folder / "small.yaml").write_text(dump_recipe(recipe))
    return folder / "small.yaml"


def assert_same_run(ours: Path, theirs: Path) -> None:
    """The same metrics to rounding, and the same weights at the end."""
    ours, theirs = (recipe.parent / "runs" / "small" for recipe in (ours, theirs))
    for one, other in zip(metrics(ours, "rl"), metrics(theirs, "rl"), strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-5)
    [final] = ours.glob("stages/*-rl/final")
    assert furthest(final, theirs / final.relative_to(ours)) < 1e-5


@pytest.mark.parametrize("words", [[], ["model.lora={r: 4}"], TWO])
def test_a_run_ends_with_the_weights_of_here(words: list[str], tmp_path: Path) -> None:
    """Whole, as an adapter, and in two processes of which one has the actors."""
    here, there = small(tmp_path / "here"), small(tmp_path / "ray")
    run(command(here, *([] if words == TWO else words)))
    run(command(there, *words, LOCAL))
    assert_same_run(here, there)


def test_nothing_is_left_of_a_run_that_was_killed(tmp_path: Path) -> None:
    recipe = small(tmp_path / "ray", max_steps=1000)
    process = begin(command(recipe, LOCAL))
    try:
        log = recipe.parent / "runs" / "small" / "metrics.jsonl"
        _until(lambda: log.exists() and log.read_text().count("\n") > 1, 200)
        left = psutil.Process(process.pid).children(recursive=True)
        assert len(actors_below(process.pid)) == 2
        folder = next(word for one in left for word in one.cmdline() if "tesuji-ray-" in word)
    finally:
        process.kill()
        process.communicate()
    _until(lambda: not any(one.is_running() for one in left), 60)
    shutil.rmtree(re.search("/tmp/tesuji-ray-[^/]+", folder)[0])


def _until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a cluster that somebody else has started, with a token."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as made:
        token = Path(made, "token")
        token.write_text("0123456789abcdef" * 4)
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
        port, client = free_port(), free_port()
        words = f"start --head --block --num-cpus 2 --port {port} --temp-dir {made}/ray"
        words += f" --include-dashboard false --ray-client-server-port {client}"
        ray = [str(Path(sys.executable).with_name("ray")), *words.split()]
        process = subprocess.Popen(ray, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _until(lambda: _listens(client), 120)
            yield f"ray://127.0.0.1:{client}"
        finally:
            below = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            psutil.wait_procs(below, timeout=20)
            for one in (*below, process):
                if one.is_running() if isinstance(one, psutil.Process) else one.poll() is None:
                    one.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as asker:
        return asker.connect_ex(("127.0.0.1", port)) == 0


def test_a_cluster_that_is_there(head: str, tmp_path: Path) -> None:
    here, there = small(tmp_path / "here"), small(tmp_path / "ray")
    run(command(here))
    run(command(there, f"rollouts={{engine: ray, address: '{head}', actors: 2}}"))
    assert_same_run(here, there)
    _, err = run(
        command(there, "name=more", "rollouts={engine: ray, actors: 4, address: '" + head + "'}"), 2
    )
    assert "4 actors need a core each, and this Ray has 2" in " ".join(err.split())
