"""Muon beside AdamW: which parameters are whose, and a saved state that goes on exactly."""

import copy

import pytest
import torch
from tiny_models import SHAPE, flat

from tesuji.learners.model.tiny import build_model
from tesuji.learners.trainer.muon import MuonWithAdamW, split_parameters


def test_muon_gets_the_hidden_matrices_and_a_saved_state_continues_exactly():
    def run(steps: int, optimizer, model):
        for step in range(steps):
            ids = torch.tensor([[step + 1, 2, 3, 4]])
            model(input_ids=ids, labels=ids).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    def fresh():
        model = build_model(SHAPE, 1)
        return model, MuonWithAdamW(*split_parameters(model), lr=1e-2, adamw_lr=1e-3)

    matrices, others = split_parameters(build_model(SHAPE, 1))
    assert all(p.ndim == 2 for p in matrices)
    assert len(matrices) == 2 * 7
    assert any(p.shape[0] == 264 for p in others)
    whole_model, whole = fresh()
    run(2, whole, whole_model)
    saved = copy.deepcopy({"model": whole_model.state_dict(), "optimizer": whole.state_dict()})
    model, optimizer = fresh()
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    assert len(optimizer.state) == len(matrices) + len(others)
    run(2, whole, whole_model)
    run(2, optimizer, model)
    assert torch.equal(flat(whole_model), flat(model))
    assert optimizer.param_groups[0]["lr"] == 1e-2


def test_a_schedule_moves_both_members_rates():
    model = build_model(SHAPE, 1)
    optimizer = MuonWithAdamW(*split_parameters(model), lr=1.0, adamw_lr=0.5)
    optimizer.load_state_dict(optimizer.state_dict())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.1 if step else 1.0)
    optimizer.step()
    schedule.step()
    rates = [member.param_groups[0]["lr"] for member in optimizer.members]
    assert rates == pytest.approx([0.1, 0.05])
