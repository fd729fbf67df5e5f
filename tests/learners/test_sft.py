"""Supervised fine-tuning of real tiny models: what is saved, logged, resumed, and when it stops."""

from pathlib import Path

import pytest
import torch
from tiny_models import EXAMPLES, SHAPE, Killed, example, flat, kill, tiny_policy

from tesuji.core.errors import EngineError
from tesuji.core.metric_log import MetricLog
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, load_policy, prepare_base
from tesuji.learners.sft.train import train_sft
from tesuji.recipe.schema.sections import LoraSection, ModelSection, PromptSection
from tesuji.recipe.schema.stages import SftStage

PROMPT = PromptSection(style="compact", answer="id")


def sft(policy: Policy, out: Path, *, hooks: Hooks | None = None, train=EXAMPLES * 3, **changes):
    stage = SftStage.model_validate(
        {"batch_size": 2, "max_steps": 6, "learning_rate": 1e-2, "logging_steps": 1} | changes
    )
    out.mkdir(exist_ok=True)
    return train_sft(
        stage,
        policy,
        name="sft",
        train=train,
        held_out=EXAMPLES[:2],
        prompt=PROMPT,
        out=out,
        seed=3,
        metrics=MetricLog(out),
        hooks=hooks,
    )


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama"])
def test_a_folder_of_any_architecture_loads_trains_and_loads_again(tmp_path: Path, architecture):
    section = ModelSection(tiny=SHAPE.model_copy(update={"architecture": architecture}))
    folder = prepare_base(section, tmp_path / "base", 1)
    local = ModelSection(base=folder)
    policy = load_policy(local, prepare_base(local, tmp_path / "unused", 1))
    start = flat(policy.model).clone()
    summary = sft(policy, tmp_path / "out")
    assert summary.steps == 6
    assert not torch.equal(start, flat(policy.model))
    again = load_policy(local, str(tmp_path / "out" / "final"))
    assert torch.equal(flat(again.model), flat(policy.model))


def test_an_adapter_on_the_head_is_refused_before_anything_is_trained(tmp_path: Path):
    policy = with_adapter(tiny_policy(), LoraSection(target_modules=["q_proj", "lm_head"]))
    with pytest.raises(EngineError, match="would never be trained"):
        sft(policy, tmp_path / "out")
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_lora_trains_only_the_adapter_and_comes_back_with_its_base(tmp_path: Path):
    section = ModelSection(tiny=SHAPE, lora=LoraSection(r=4, alpha=8))
    folder = prepare_base(section, tmp_path / "base", 1)
    policy = with_adapter(load_policy(section, folder), section.lora)
    base = policy.model.get_base_model().model.embed_tokens.weight.clone()
    summary = sft(policy, tmp_path / "out")
    assert 0 < summary.trainable_parameters < summary.parameters
    assert torch.equal(base, policy.model.get_base_model().model.embed_tokens.weight)
    again = load_policy(section, str(tmp_path / "out" / "final"))
    ids = torch.tensor([[1, 2, 3]])
    policy.model.eval()
    again.model.eval()
    assert torch.allclose(policy.model(ids).logits, again.model(ids).logits, atol=1e-6)


def test_a_whole_model_in_bfloat16_is_trained_in_float32_on_a_cpu(tmp_path: Path):
    policy = tiny_policy()
    policy.model.bfloat16()
    start = flat(policy.model).float().clone()
    sft(policy, tmp_path / "out", learning_rate=1e-6)
    assert policy.model.dtype == torch.float32
    moved = (flat(policy.model) - start).abs()
    assert 0 < moved.max() < 1e-4, "steps that bfloat16 would round away"


def test_rows_are_as_long_as_the_longest_where_the_recipe_leaves_it_open(tmp_path: Path):
    summary = sft(tiny_policy(), tmp_path / "out", max_length="auto")
    assert (summary.longest_row, summary.rows_cut) == (8, 0)
    said: list[str] = []
    longer = [*EXAMPLES, example("x" * 20, "1")]
    cut = sft(
        tiny_policy(), tmp_path / "cut", train=longer, max_length=8, hooks=Hooks(say=said.append)
    )
    assert (cut.longest_row, cut.rows_cut) == (23, 1)
    assert said[0] == "prompts that lost their beginning: 1"


def test_training_stops_when_told_to_and_says_why(tmp_path: Path):
    asked = []

    def at_four(step: int) -> bool:
        asked.append(step)
        return step >= 4

    summary = sft(
        tiny_policy(), tmp_path / "out", hooks=Hooks(stop_when=at_four), stop_check_steps=2
    )
    assert (summary.steps, asked) == (4, [2, 4])
    assert "step 4" in summary.stopped_because


def test_early_stopping_on_the_held_out_loss(tmp_path: Path):
    summary = sft(
        tiny_policy(),
        tmp_path / "out",
        max_steps=60,
        learning_rate=5.0,
        eval_steps=2,
        save_steps=2,
        early_stopping_patience=2,
    )
    assert summary.steps < 60
    assert "held-out" in summary.stopped_because


def test_logs_say_what_people_look_for(tmp_path: Path):
    out = tmp_path / "out"
    sft(tiny_policy(), out)
    rows = MetricLog(out).rows()
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    wanted = {"loss", "grad_norm", "learning_rate", "num_tokens", "mean_token_accuracy", "epoch"}
    assert wanted <= rows[0].keys()
    text = next(out.glob("sft_training_logs_*.txt")).read_text()
    assert text.startswith("SFT TRAINING LOGS\nStarted: ")
    assert 'Step 1: {"loss": ' in text
    assert "-" * 50 in text


def test_tokens_read_are_counted_as_often_as_rows_have_them(tmp_path: Path):
    """Though what rows begin alike with is computed once; the twelve rows are one epoch."""
    out = tmp_path / "out"
    summary = sft(tiny_policy(), out)
    assert MetricLog(out).rows()[-1]["num_tokens"] == summary.tokens


@pytest.mark.parametrize(
    "changes",
    [{"batch_size": 2, "gradient_accumulation_steps": 2}, {"gradient_checkpointing": True}],
)
def test_the_same_rows_in_parts_or_computed_twice_give_the_same_weights(tmp_path: Path, changes):
    options = {"batch_size": 4, "max_steps": 3, "soft_targets": True}
    whole, parts = tiny_policy(), tiny_policy()
    sft(whole, tmp_path / "whole", **options)
    sft(parts, tmp_path / "parts", **(options | changes))
    assert torch.allclose(flat(whole.model), flat(parts.model), atol=1e-4)


def test_resumed_training_ends_with_the_same_weights(tmp_path: Path):
    whole = tiny_policy()
    sft(whole, tmp_path / "whole", optimizer="muon", save_steps=2, soft_targets=True)

    broken = tmp_path / "broken"
    with pytest.raises(Killed):
        sft(
            tiny_policy(),
            broken,
            hooks=Hooks(on_step=kill),
            optimizer="muon",
            save_steps=2,
            soft_targets=True,
        )
    again = tiny_policy()
    sft(again, broken, optimizer="muon", save_steps=2, soft_targets=True)
    assert torch.equal(flat(whole.model), flat(again.model))
    strip = [{k: v for k, v in row.items() if k != "time"} for row in MetricLog(broken).rows()]
    full = [
        {k: v for k, v in row.items() if k != "time"}
        for row in MetricLog(tmp_path / "whole").rows()
    ]
    assert len(full) == 6
    assert strip == full


def checkpoints_of(out: Path) -> list[int]:
    return sorted(
        int(p.name.rpartition("-")[2]) for p in (out / "checkpoints").glob("checkpoint-*")
    )


@pytest.mark.parametrize("stop_at", [4, 6])
def test_a_process_that_dies_after_the_last_step_leaves_nothing_to_train(tmp_path: Path, stop_at):
    def enough(step: int) -> bool:
        return step >= stop_at

    def train(out: Path, policy: Policy):
        hooks = Hooks(stop_when=enough)
        return sft(policy, out, hooks=hooks, save_steps=3, stop_check_steps=stop_at)

    whole, out = tiny_policy(), tmp_path / "out"
    first = train(out, whole)
    assert stop_at in checkpoints_of(out)
    (out / "training.json").unlink()
    again = tiny_policy()
    second = train(out, again)
    assert torch.equal(flat(whole.model), flat(again.model))
    assert (second.steps, second.stopped_because) == (first.steps, first.stopped_because)


def test_a_torn_checkpoint_is_passed_over(tmp_path: Path):
    whole, out = tiny_policy(), tmp_path / "out"
    sft(whole, out, save_steps=2)
    newest = out / "checkpoints" / "checkpoint-6" / "trainer_state.json"
    newest.write_text(newest.read_text()[:40])
    again = tiny_policy()
    sft(again, out, save_steps=2)
    assert torch.equal(flat(whole.model), flat(again.model))


def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(tmp_path: Path):
    whole, out = tiny_policy(), tmp_path / "out"
    sft(whole, out, save_steps=2)
    weights = out / "checkpoints" / "checkpoint-6" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    told: list[str] = []
    again = tiny_policy()
    sft(again, out, save_steps=2, hooks=Hooks(say=told.append))
    assert "checkpoint-6 is damaged (model.safetensors" in told[0]
    assert torch.equal(flat(whole.model), flat(again.model))
    assert (out / "checkpoints" / "damaged-checkpoint-6~1").is_dir()


def test_a_half_removed_checkpoint_takes_no_whole_ones_place(tmp_path: Path):
    """transformers keeps the checkpoints whose folders changed last: a kill while an old one was
    being removed makes that the newest."""
    out = tmp_path / "out"
    with pytest.raises(Killed):
        sft(tiny_policy(), out, hooks=Hooks(on_step=kill), save_steps=1, save_total_limit=3)
    before = checkpoints_of(out)
    (out / "checkpoints" / f"checkpoint-{before[0]}" / "model.safetensors").unlink()
    sft(tiny_policy(), out, save_steps=1, save_total_limit=3)
    assert checkpoints_of(out) == [4, 5, 6]


def test_a_loss_that_is_not_a_number_stops_with_advice(tmp_path: Path):
    policy = tiny_policy()
    with torch.no_grad():
        policy.model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(EngineError, match="not a number") as caught:
        sft(policy, tmp_path / "out")
    assert "learning_rate" in str(caught.value)
