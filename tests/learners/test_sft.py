"""Models, tokens and the trainer: real tiny models, TRL's own trainer as the oracle."""

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tesuji.core.errors import DataError, EngineError, RecipeError
from tesuji.core.metric_log import MetricLog
from tesuji.core.types import Example
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, load_policy, prepare_base
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.learners.sft.tokens import tokenize
from tesuji.learners.sft.train import train_sft
from tesuji.learners.trainer.muon import MuonWithAdamW, split_parameters
from tesuji.recipe.schema.sections import LoraSection, ModelSection, PromptSection, TinyModel
from tesuji.recipe.schema.stages import SftStage

SHAPE = TinyModel(
    hidden_size=16, num_attention_heads=2, num_key_value_heads=2, intermediate_size=32
)
PROMPT = PromptSection(style="compact", answer="id")


def example(shown: str, reply: str) -> Example:
    return Example(({"role": "user", "content": shown},), reply)


EXAMPLES = [example("...x", "1"), example("...x", "12"), example("x..o.", "3"), example("o", "0")]


def tiny_policy(seed: int = 1, architecture: str = "qwen3") -> Policy:
    shape = SHAPE.model_copy(update={"architecture": architecture})
    return Policy(build_model(shape, seed), build_tokenizer(), "tiny")


def flat(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def sft(policy: Policy, out: Path, *, hooks: Hooks | None = None, **changes):
    stage = SftStage.model_validate(
        {"batch_size": 2, "max_steps": 6, "learning_rate": 1e-2, "logging_steps": 1} | changes
    )
    out.mkdir(exist_ok=True)
    return train_sft(
        stage,
        policy,
        name="sft",
        train=EXAMPLES * 3,
        held_out=EXAMPLES[:2],
        prompt=PROMPT,
        out=out,
        seed=3,
        metrics=MetricLog(out),
        hooks=hooks,
    )


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_the_byte_tokenizer_reads_and_writes_any_text(text: str):
    tokenizer = build_tokenizer()
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.decode(ids) == text.encode("utf-8", "replace").decode()


def test_the_same_seed_builds_the_same_model_and_leaves_the_global_stream_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert torch.equal(flat(build_model(SHAPE, 1)), flat(build_model(SHAPE, 1)))
    assert not torch.equal(flat(build_model(SHAPE, 1)), flat(build_model(SHAPE, 2)))
    assert torch.equal(before, torch.get_rng_state())


def test_an_odd_head_size_is_refused_before_anything_is_built(tmp_path: Path):
    odd = ModelSection(tiny=TinyModel(hidden_size=12, num_attention_heads=4, num_key_value_heads=4))
    with pytest.raises(RecipeError, match="even"):
        prepare_base(odd, tmp_path, 1)


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


def test_an_unknown_lora_target_is_one_clear_message(tmp_path: Path):
    with pytest.raises(EngineError, match="target"):
        with_adapter(tiny_policy(), LoraSection(target_modules=["nosuch"]))


def test_a_model_that_is_not_there_says_what_to_do(tmp_path: Path):
    section = ModelSection(base=str(tmp_path / "nothing"))
    with pytest.raises(EngineError, match="cannot load") as caught:
        load_policy(section, section.base)
    assert "local folder" in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EngineError, match=r"config\.json"):
        load_policy(section, str(tmp_path / "empty"))


def test_four_bit_without_a_gpu_is_one_clear_message(tmp_path: Path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    section = ModelSection(tiny=SHAPE, lora=LoraSection(), load_in_4bit=True)
    folder = prepare_base(section, tmp_path / "base", 1)
    with pytest.raises(EngineError, match="bitsandbytes"):
        load_policy(section, folder)


def test_a_device_that_is_not_here_is_refused():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(EngineError, match="no cuda device"):
        load_policy(ModelSection(device="cuda"), "anything")


def test_long_prompts_lose_their_beginning_and_are_counted():
    tokenizer = build_tokenizer()
    rows = [example("a" * 50 + "Z", "7"), example("b", "8"), example("c", "9" * 40)]
    found = tokenize(rows, tokenizer, max_length=20)
    assert (found.cut, found.dropped, len(found.rows)) == (1, 1, 2)
    assert tokenizer.decode(list(found.rows[0].prompt_ids)).endswith("Z\n")
    assert all(len(row.prompt_ids) + len(row.reply_ids) <= 20 for row in found.rows)


def test_nothing_left_to_train_on_is_an_error():
    with pytest.raises(DataError, match="no training row fits"):
        tokenize([example("a", "1" * 40)], build_tokenizer(), max_length=10)


def test_soft_targets_share_each_token_among_the_replies_that_begin_alike():
    tokenizer = build_tokenizer()
    rows = tokenize(
        [example("p", "12"), example("p", "13"), example("p", "4"), example("q", "5")],
        tokenizer,
        max_length=20,
        soft_targets=True,
    ).rows
    ids = {char: tokenizer.encode(char)[0] for char in "12345"}
    first = rows[0].targets
    assert first[0] == pytest.approx({ids["1"]: 2 / 3, ids["4"]: 1 / 3})
    assert first[1] == pytest.approx({ids["2"]: 1 / 2, ids["3"]: 1 / 2})
    assert first[2] == {tokenizer.eos_token_id: 1.0}
    assert rows[3].targets[0] == {ids["5"]: 1.0}


def test_loss_and_gradient_equal_trls_where_a_prompt_has_one_reply(tmp_path: Path):
    """Same batch, same weights: our trainer against TRL's SFTTrainer with completion masks."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from tesuji.learners.sft.soft_targets import SoftCollator, SoftTargetTrainer, to_columns

    rows = tokenize([EXAMPLES[1], EXAMPLES[2], EXAMPLES[3]], build_tokenizer(), max_length=64).rows
    options = {
        "output_dir": str(tmp_path),
        "per_device_train_batch_size": 3,
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "max_length": None,
        "gradient_checkpointing": False,
    }

    def gradient(trainer, rows_):
        batch = trainer.data_collator(rows_)
        count = trainer._get_num_items_in_batch([batch], torch.device("cpu"))
        trainer.model.train()
        trainer.model.zero_grad()
        loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=count)
        loss.backward()
        return loss.item(), torch.cat([p.grad.flatten() for p in trainer.model.parameters()])

    ours = SoftTargetTrainer(
        model=tiny_policy().model,
        args=SFTConfig(**options, dataset_kwargs={"skip_prepare_dataset": True}),
        train_dataset=Dataset.from_list([to_columns(row) for row in rows]),
        processing_class=build_tokenizer(),
        data_collator=SoftCollator(build_tokenizer().pad_token_id),
    )
    masked = [
        {
            "input_ids": [*row.prompt_ids, *row.reply_ids],
            "completion_mask": [0] * len(row.prompt_ids) + [1] * len(row.reply_ids),
        }
        for row in rows
    ]
    theirs = SFTTrainer(
        model=tiny_policy().model,
        args=SFTConfig(**options, completion_only_loss=True),
        train_dataset=Dataset.from_list(masked),
        processing_class=build_tokenizer(),
    )
    our_loss, our_gradient = gradient(ours, [to_columns(row) for row in rows])
    their_loss, their_gradient = gradient(theirs, [theirs.train_dataset[i] for i in range(3)])
    assert our_loss == pytest.approx(their_loss, rel=1e-5)
    assert torch.linalg.norm(our_gradient - their_gradient) < 1e-5 * torch.linalg.norm(
        their_gradient
    )


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


def test_resumed_training_ends_with_the_same_weights(tmp_path: Path):
    whole = tiny_policy()
    sft(whole, tmp_path / "whole", optimizer="muon", save_steps=2, soft_targets=True)

    class Killed(Exception):
        pass

    def kill(step: int, total: int, note: str) -> None:
        if step == 5:
            raise Killed

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


def test_a_loss_that_is_not_a_number_stops_with_advice(tmp_path: Path):
    policy = tiny_policy()
    with torch.no_grad():
        policy.model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(EngineError, match="not a number") as caught:
        sft(policy, tmp_path / "out")
    assert "learning_rate" in str(caught.value)
