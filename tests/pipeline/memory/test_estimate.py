"""How much memory a stage takes: sums by hand, passes against passes of real numbers."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from tesuji.core.errors import EngineError
from tesuji.learners.model.dtype import parameters_of
from tesuji.pipeline.memory import passes
from tesuji.pipeline.memory.advice import advice, fits
from tesuji.pipeline.memory.batches import kv_bytes
from tesuji.pipeline.memory.estimate import Phase, estimate_recipe
from tesuji.pipeline.memory.held import FOUR_BITS, Sizes, held, sizes_of
from tesuji.pipeline.memory.moment import moment
from tesuji.pipeline.memory.passes import Batch, Kind, Pass, learning, reading, shaped
from tesuji.pipeline.memory.published import shape_of
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import DistributedSection, LoraSection

FLOAT, HALF = torch.float32, torch.bfloat16
ROWS = Batch([(n,) * 30 + (n, 1, 2, 3) for n in range(4)], [4] * 4)


def config_of(depth: int = 2, **changes):
    sizes = {
        "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "num_hidden_layers": depth,
        "tie_word_embeddings": True,
    }  # fmt: skip
    return AutoConfig.for_model("qwen3", **{**sizes, **changes})


def recipe_of(stages: dict, **changes) -> Recipe:
    plain = {
        "name": "next",
        "game": "tic_tac_toe",
        "prompt": {"style": "compact", "answer": "id"},
        "sampling": {"max_new_tokens": 2, "batch_size": 16},
        "model": {"dtype": "float32", "device": "cpu"},
        "stages": stages,
    }
    return Recipe.model_validate({**plain, **changes})


def phases_of(stages: dict, **changes) -> dict[str, Phase]:
    _, phases, _ = estimate_recipe(recipe_of(stages, **changes), Path("nowhere"))
    return {phase.name: phase for phase in phases}


def test_what_a_process_holds_by_strategy():
    sizes = Sizes(weights=100, trained=80, optimizer=160, layer=10, outside=20)
    one = {"weights": 100, "gradients": 80, "optimizer": 160, "gathered": 0}
    assert held(sizes, None) == one
    assert held(sizes, DistributedSection(processes=1)) == one
    ddp = held(sizes, DistributedSection(processes=4, strategy="ddp"))
    assert ddp == one | {"gathered": 80}, "a copy of the gradients, in buckets"
    fsdp = held(sizes, DistributedSection(processes=4, strategy="fsdp"))
    assert fsdp == {"weights": 25, "gradients": 20, "optimizer": 40, "gathered": 20 + 2 * 10}
    away = {"zero1": "none", "zero2": "none", "zero3": "optimizer"}
    zero = {
        name: held(sizes, DistributedSection(processes=4, strategy=name, offload=offload))
        for name, offload in away.items()
    }
    adam = (160 + 80) / 4
    assert zero["zero1"] == {"weights": 100, "gradients": 80, "optimizer": adam, "gathered": 80}
    assert zero["zero2"] == zero["zero1"] | {"gradients": 20, "gathered": 0}
    assert zero["zero3"] == {"weights": 25, "gradients": 20, "optimizer": 0, "gathered": 100 + 100}
    little = {"stage3_prefetch_bucket_size": 1, "stage3_max_live_parameters": 15}
    section = DistributedSection(processes=4, strategy="zero3", zero_optimization=little)
    assert held(sizes, section)["gathered"] == 60 + 4


@pytest.mark.parametrize(
    ("strategy", "reserved", "gradients"),
    [("ddp", False, 30), ("fsdp", False, 30 / 4), ("zero2", False, 30), ("zero3", False, 80 + 20)],
)
def test_gradients_of_a_pass_whose_activations_are_most(strategy, reserved, gradients):
    made = Pass(activations=200, logits=50, early=30, end=10, last=5)
    sizes = Sizes(weights=100, trained=80, optimizer=160)
    section = DistributedSection(processes=4, strategy=strategy)
    parts = moment(made, sizes, section, again=False, reserved=reserved)
    assert parts == {"gradients": gradients, "activations": 200, "logits": 50}


def test_a_bucket_of_gradients_is_all_there_on_a_gpu_and_what_is_used_of_it_on_a_cpu():
    sizes = Sizes(weights=100, trained=80, optimizer=160)
    section = DistributedSection(processes=4, strategy="zero2")
    small = Pass(activations=10, logits=0, early=30, end=10, last=5)
    after = {"gradients": 80 + 80, "activations": 0, "logits": 0}
    assert moment(small, sizes, section, again=False, reserved=False) == after
    assert moment(small, sizes, section, again=False, reserved=True)["gradients"] == 2e9 + 80
    tight = section.model_copy(update={"zero_optimization": {"reduce_bucket_size": 10}})
    full = moment(small, sizes, tight, again=False, reserved=True)
    assert full == {"gradients": 40 + 40 + 20, "activations": 0, "logits": 0}


def test_sizes_of_whole_models_of_adapters_and_of_four_bits():
    block = 32 * 32 * 2 + 32 * 16 * 2 + 3 * 32 * 48  # q o, k v, the feed-forward's three
    norms, table = 2 * 32 + 2 * 8, 64 * 32
    numbers = 2 * (block + norms) + 32 + table
    whole = sizes_of(shaped(config_of(), Kind(FLOAT)), optimizer="adamw")
    assert whole.weights == whole.trained == 4 * numbers
    assert whole.optimizer == 8 * numbers
    assert (whole.layer, whole.outside) == (4 * (block + norms), 4 * (table + 32))
    muon = sizes_of(shaped(config_of(), Kind(FLOAT)), optimizer="muon")
    assert muon.optimizer == 8 * numbers - 4 * 2 * block
    lora = Kind(HALF, lora=LoraSection(r=4))
    ranks = 4 * (2 * (32 + 32) + 2 * (32 + 16) + 3 * (32 + 48)) * 2
    adapted = sizes_of(shaped(config_of(), lora), optimizer="adamw")
    assert adapted.trained == 4 * ranks, "adapters are in float32"
    assert adapted.weights == 2 * numbers + 4 * ranks
    four = sizes_of(shaped(config_of(), lora), optimizer="adamw", four_bits=True)
    packed = FOUR_BITS * 2 * block + 4 * (numbers - 2 * block)
    assert four.weights == pytest.approx(packed + 4 * ranks)


@pytest.mark.parametrize("kind", [Kind(FLOAT), Kind(FLOAT, checkpointing=True, trees=False)])
def test_all_layers_are_as_the_line_through_few_says(kind):
    config = config_of(depth=5)
    line, counted = learning(config, ROWS, kind), passes._learned(config, ROWS, kind)
    assert line.activations + line.logits == pytest.approx(counted.activations + counted.logits)
    assert (line.end, line.last) == (counted.end, counted.last)


def test_a_pass_takes_at_least_what_autograd_saves_of_one_with_numbers():
    from transformers import AutoModelForCausalLM

    config, saved = config_of(), {}
    model = AutoModelForCausalLM.from_config(config)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.tensor(list(ROWS.texts))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = model(input_ids=ids, use_cache=False).logits[:, -4:]
        loss = logits.float().log_softmax(-1)[..., 0].sum()
    made = learning(config, ROWS, Kind(FLOAT, trees=False))
    assert loss.requires_grad
    assert 1.0 <= (made.activations + made.logits) / sum(saved.values()) < 1.35


def test_checkpoints_half_numbers_adapters_and_shared_beginnings_take_less():
    config = config_of(depth=6)
    plain = learning(config, ROWS, Kind(FLOAT)).activations
    assert learning(config, ROWS, Kind(FLOAT, checkpointing=True)).activations < 0.5 * plain
    assert learning(config, ROWS, Kind(HALF)).activations < 0.75 * plain
    alike = Batch([(0,) * 30 + (n, 1, 2, 3) for n in range(4)], [4] * 4)
    assert alike.tokens == 30 + 4 * 4
    assert learning(config, alike, Kind(FLOAT)).activations < 0.5 * plain
    judge = Kind(HALF, lora=LoraSection(r=4), rewarding=True)
    assert 0 < learning(config, ROWS, judge).activations < plain
    assert 0 < reading(config, ROWS, Kind(FLOAT)) < plain / 2


def test_the_peak_is_where_gradients_and_all_else_are_most_together():
    made = Pass(activations=100, logits=20, early=5, end=30, last=10)
    first = {"gradients": 5, "activations": 100, "logits": 20}
    assert made.peak(40, again=False) == first
    assert made.peak(200, again=False) == {"gradients": 190, "activations": 30, "logits": 0}
    assert made.peak(200, again=True) == first | {"gradients": 200}


def test_keys_and_values_of_a_token():
    assert kv_bytes(config_of(), 2) == 2 * 2 * 2 * 8 * 2
    assert kv_bytes(shape_of("Qwen/Qwen3-4B"), 2) == 147_456


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", 494_032_768),
        ("Qwen/Qwen2.5-1.5B-Instruct", 1_543_714_304),
        ("Qwen/Qwen2.5-7B-Instruct", 7_615_616_512),
        ("Qwen/Qwen3-0.6B", 596_049_920),
        ("Qwen/Qwen3-4B", 4_022_468_096),
        ("meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248),
    ],
)
def test_shapes_have_as_many_parameters_as_was_published(name, published):
    assert parameters_of(shape_of(name)) == published


def test_processes_share_rows_and_what_play_needs_is_beside(tmp_path: Path):
    rows = tmp_path / "rows.jsonl"
    lines = [{"prompt": f"{n:04}" * 10, "completion": "e"} for n in range(8)]
    rows.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    stages = {"sft": {"data": str(rows), "batch_size": 8, "max_steps": 1}}
    one = phases_of(stages)["sft"]
    two = phases_of(stages, distributed={"processes": 2})["sft"]
    assert one.seen and one.a_step == two.a_step
    assert one.tokens == 8 * (40 + 1 + 2) - 7 * 3, "the line's end, the reply's; 000 in common"
    assert two.tokens < 0.6 * one.tokens
    play = {"play": {"opponents": ["self", "snapshot"], "snapshots": 3}}
    ppo = {"ppo": {"batch_size": 4, "beta": 0.1, "ema_decay": 0.9, "critic": "base", **play}}
    found = phases_of(ppo)
    trained = found["ppo"].parts["weights"]
    assert found["ppo"].parts["reference"] == found["ppo"].parts["average"] == trained
    assert found["ppo"].parts["critic"] == 3 * trained
    assert found["ppo"].parts["snapshots"] == 3 * trained
    assert found["ppo samples"].parts["KV cache"] > 0
    assert "gradients" not in found["ppo samples"].parts


def test_a_pass_of_play_is_as_large_as_the_recipe_says_and_no_larger():
    stage = {"batch_size": 64, "max_steps": 1, "micro_batch_tokens": 256}
    small = phases_of({"grpo": stage})["grpo"]
    assert 128 < small.tokens <= 256
    few = phases_of({"grpo": stage | {"batch_size": 8, "micro_batch_tokens": 1_000_000}})["grpo"]
    assert few.tokens < 10_000


def test_what_does_not_fit_is_said_with_the_key_that_helps():
    parts = {"weights": 10e9, "activations": 30e9}
    phase = Phase("grpo", False, parts, 10, None, True)
    assert fits([phase], 80e9) == "fits"
    assert fits([phase], 42e9) == "may fit"
    assert fits([phase], 30e9) == "does not fit"
    stage = {"max_steps": 1, "micro_batch_tokens": 512}
    recipe = recipe_of({"grpo": stage})
    assert advice(phase, recipe) == "stages.grpo.gradient_checkpointing=true"
    recipe = recipe_of({"grpo": stage | {"gradient_checkpointing": True}})
    assert advice(phase, recipe) == "stages.grpo.micro_batch_tokens=256"


def test_weights_that_are_most_are_made_smaller_step_by_step():
    phase = Phase("grpo", False, {"weights": 10e9}, 10, None, True)
    stages = {"grpo": {"max_steps": 1}}

    def said(**model) -> str:
        return advice(phase, recipe_of(stages, model=model))

    lora = {"lora": {"r": 4}}
    assert said(lora=None) == "model.lora={r: 16, alpha: 32}"
    assert said(dtype="float32", **lora) == "model.dtype=bfloat16"
    assert said(**lora) == "model.load_in_4bit=true"
    assert said(load_in_4bit=True, **lora) == "a smaller model.base"


def test_a_model_of_which_nothing_is_known_asks_for_its_configuration(tmp_path: Path):
    recipe = recipe_of({"sft": {"max_steps": 1}}, model={"base": "somebody/some-model"})
    with pytest.raises(EngineError, match="some-model"):
        estimate_recipe(recipe, tmp_path)
    config_of().save_pretrained(tmp_path)
    stages = {"grpo": {"max_steps": 1, "batch_size": 4, "num_generations": 2}}
    recipe = recipe_of(stages, model={"base": "somebody/some-model", "dtype": "float32"})
    _, phases, words = estimate_recipe(recipe, tmp_path, config=tmp_path / "config.json")
    assert str(tmp_path) in words and phases[0].total > 0
