"""Adapters on a base in bfloat16: products in its type, weights and their steps in float32."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_models import WIDER, tiny_policy
from torch import nn

from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, load_policy
from tesuji.learners.model.save import save_policy
from tesuji.recipe.schema.sections import LoraSection, ModelSection

IDS = torch.arange(60, 160).view(4, 25)


def pefts_own(dtype: torch.dtype) -> nn.Module:
    """The adapter as PEFT has it by itself, with the weights of `ours`."""
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(tiny_policy(shape=WIDER).model.to(dtype), config)
    model.load_state_dict(ours(dtype).model.state_dict())
    return model


def ours(dtype: torch.dtype) -> Policy:
    base = tiny_policy(shape=WIDER)
    base.model.to(dtype)
    policy = with_adapter(base, LoraSection(r=4, alpha=8))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)
        for name, parameter in policy.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    return policy


def adapters(model: nn.Module) -> Iterator[nn.Module]:
    return (
        part for name, part in model.named_modules() if name.endswith(("A.default", "B.default"))
    )


def logits_and_gradient(model: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    logits = model(input_ids=IDS).logits.float()
    logits.log_softmax(-1)[..., 7].sum().backward()
    return logits.detach(), torch.cat(
        [p.grad.flatten() for p in model.parameters() if p.requires_grad]
    )


def test_products_are_in_the_bases_type_and_weights_in_float32() -> None:
    model = ours(torch.bfloat16).model
    computed = set()
    for part in adapters(model):
        part.register_forward_hook(
            lambda _, inputs, out: computed.add((inputs[0].dtype, out.dtype))
        )
    _, gradient = logits_and_gradient(model)
    assert computed == {(torch.bfloat16, torch.bfloat16)}
    assert gradient.dtype == torch.float32
    assert {part.weight.dtype for part in adapters(model)} == {torch.float32}


def test_numbers_are_pefts_up_to_the_rounding_of_bfloat16() -> None:
    logits, gradient = logits_and_gradient(ours(torch.bfloat16).model)
    theirs, their_gradient = logits_and_gradient(pefts_own(torch.bfloat16))
    assert not torch.equal(gradient, their_gradient)
    for one, other in ((logits, theirs), (gradient, their_gradient)):
        assert torch.linalg.norm(one - other) < 0.02 * torch.linalg.norm(other)


def test_an_adapter_of_a_base_in_float32_computes_as_pefts_does_bit_for_bit() -> None:
    results = zip(
        logits_and_gradient(ours(torch.float32).model),
        logits_and_gradient(pefts_own(torch.float32)),
        strict=True,
    )
    assert all(torch.equal(one, other) for one, other in results)


def test_steps_too_small_for_bfloat16_are_not_lost() -> None:
    model = ours(torch.bfloat16).model
    before = [part.weight.detach().clone() for part in adapters(model)]
    logits_and_gradient(model)
    torch.optim.SGD(model.parameters(), lr=1e-8).step()
    moved = [
        float((part.weight.detach() - old).abs().max())
        for part, old in zip(adapters(model), before, strict=True)
    ]
    assert all(0 < step < 1e-5 for step in moved)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_adapter_that_is_loaded_again_computes_as_it_was_trained(
    tmp_path: Path, dtype: str
) -> None:
    kind = getattr(torch, dtype)
    base = tiny_policy(shape=WIDER)
    base.model.to(kind).save_pretrained(tmp_path / "base")
    base.tokenizer.save_pretrained(tmp_path / "base")
    section = ModelSection(base=str(tmp_path / "base"), dtype=dtype, lora=LoraSection(r=4, alpha=8))
    policy = with_adapter(load_policy(section, section.base), section.lora)
    with torch.no_grad():
        for part in adapters(policy.model):
            part.weight.normal_(std=0.05)
    save_policy(policy, tmp_path / "final")
    again = load_policy(section, str(tmp_path / "final"))
    assert {type(part) for part in adapters(again.model)} == {
        type(part) for part in adapters(policy.model)
    }
    with torch.no_grad():
        assert torch.equal(policy.model.eval()(IDS).logits, again.model.eval()(IDS).logits)
