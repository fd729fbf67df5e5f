"""examples/grpo_from_scratch.py: short, its parts as the papers say, and it learns when run."""

import importlib.util
import re
import sys
from types import ModuleType

import pytest
import torch
from places import ROOT

FILE = ROOT / "examples" / "grpo_from_scratch.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grpo_from_scratch", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_it_fits_on_a_page():
    assert len(FILE.read_text(encoding="utf-8").splitlines()) <= 200


def test_advantages_are_what_is_above_the_group(example):
    returns = torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    assert example.advantages(returns).tolist() == [[1.0, -1.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("change", "advantage", "slope"),
    [(0.0, 1.0, -1.0), (0.0, -2.0, 2.0), (0.5, 1.0, 0.0), (-0.5, -1.0, 0.0), (-0.5, 1.0, -0.61)],
)
def test_the_loss_stops_pulling_where_the_ratio_is_clipped(example, change, advantage, slope):
    old = torch.tensor([[-1.0, 0.0]])  # the second token was the only one possible
    new = (old + change).requires_grad_()
    example.clipped_loss(new, old, torch.tensor([advantage])).backward()
    assert new.grad[0].tolist() == pytest.approx([slope, 0.0], abs=0.01)


def test_log_probs_are_those_sampled_with(example):
    game, policy = example.load_game("liars_dice"), example.Policy(seed=3)
    [play, *_] = plays = example.rollout(policy, game, 0)
    replies = [reply for play in plays for reply in play.replies]
    with torch.no_grad():
        rows = policy.logprobs(replies)
    assert play.match.to_act == () and len(replies) > len(plays)
    for row, reply in zip(rows, replies, strict=True):
        assert row[: len(reply.logprobs)].tolist() == pytest.approx(reply.logprobs, abs=1e-4)


def test_it_learns_to_win(example, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", [str(FILE)])
    example.main()
    shown = capsys.readouterr().out
    assert (before := score(shown, "before")) and (after := score(shown, "after"))
    assert after["low"] > before["high"] and after["wins"] >= 75


def score(output: str, when: str) -> dict[str, int]:
    line = re.search(rf"^{when}: +wins (\d+)% \(95%: (\d+)% to (\d+)%\)$", output, re.MULTILINE)
    return dict(zip(("wins", "low", "high"), map(int, line.groups()), strict=True))
