"""FSDP2 in two processes: who holds what, and what one process may do alone."""

from pathlib import Path

from places import SUPPORT
from processes import in_two_processes

TWO = """
import sys, torch
torch.set_num_threads(1)
sys.path[:0] = {tests!r}
from accelerate import PartialState
PartialState(cpu=True)
from made_traces import policy
from torch.distributed.tensor import DTensor
from tesuji.learners.distributed import gathered as all_of, process, wait
from tesuji.learners.fsdp import begin_fsdp, gathered, is_parted, part

model, ids = policy().model, torch.arange(12)[None]
whole = {{name: value.clone() for name, value in model.state_dict().items()}}
numbers = sum(p.numel() for p in model.parameters())
with torch.no_grad():
    logits = model(ids).logits
begin_fsdp(2)
assert not is_parted(model)
part(model)
assert is_parted(model)
held = [p.to_local().numel() for p in model.parameters()]
assert sum(all_of([sum(held)])) == numbers, "each weight is held once"
assert max(all_of([sum(held)])) < 0.6 * numbers, "by both"
for turn in range(2):
    with gathered(model), gathered(model):
        assert not any(isinstance(p, DTensor) for p in model.parameters())
        kept = model.state_dict()
        assert kept.keys() == whole.keys()
        assert all(torch.equal(kept[name], whole[name]) for name in whole)
        if process()[0] == 0:  # the other one makes no call
            with torch.no_grad():
                for _ in range(3):
                    assert torch.equal(model(ids).logits, logits)
                    model.model(ids)
    assert all(isinstance(p, DTensor) for p in model.parameters())
    model(ids).logits.sum().backward()  # together again
    assert all(p.grad is not None for p in model.parameters())
"""


def test_weights_are_parted_and_one_process_may_use_all_of_them(tmp_path: Path) -> None:
    in_two_processes(tmp_path, TWO.format(tests=[str(SUPPORT)]))
