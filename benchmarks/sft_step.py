"""One SFT optimizer step, ours against TRL's own SFTTrainer, on tic-tac-toe rows.

    python benchmarks/sft_step.py
    python benchmarks/sft_step.py --base smollm2 --style full --rounds 2

Both trainers are TRL's; ours reads a batch as a tree of tokens, computes logits where a reply token
is predicted, and can take soft targets. Float32, AdamW for both, the same thread count; rounds are
interleaved in one process, and figures are ratios of medians, above 1 where ours is faster.

`tiny`: the demo's model (2 layers, width 64), 128 rows a step. `smollm2`: SmolLM2-135M-Instruct,
its real weights, LoRA r 16 on all linear layers, 32 rows a step of the compact and of the full
prompt. Beside it a bare loop: forward and backward of as many tokens as the batch has distinct
ones, as plain rows of the same length, logits at as many places: nothing can be quicker that reads
every token once. Peak memory is what the process takes while a step runs, over what it has before.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _peers import medians, options, peak_mb
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, PrinterCallback
from trl import SFTConfig, SFTTrainer

from tesuji.datasets.files import read_rows
from tesuji.datasets.from_positions.stage import make_data
from tesuji.games.catalogue import load_game
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import load_policy, quiet_libraries
from tesuji.learners.model.sources import resolved
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.learners.sft.collate import SoftCollator, reads_trees, to_columns
from tesuji.learners.sft.soft_targets import SoftTargetTrainer
from tesuji.learners.sft.tokens import TokenRow, tokenize
from tesuji.players.sampling.head import layers, own_logits
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.sections import LoraSection, ModelSection

STEPS, BATCH = 15, 128  # of the tiny model
ROWS = 32  # of SmolLM2
LORA = LoraSection(r=16, alpha=32)
SECTION = ModelSection(base="smollm2", dtype="float32", device="cpu")


def rows_of(recipe_name: str, tokenizer: Any, count: int, *overrides: str) -> list[TokenRow]:
    """The first training rows, in the order of the data stage, spread over the whole file."""
    recipe = load_recipe(recipe_name, list(overrides))
    game = load_game(recipe.game.name, recipe.game.options)
    with tempfile.TemporaryDirectory() as folder:
        make_data(recipe, recipe.stages["data"], game, Path(folder))
        examples = list(read_rows(Path(folder) / "train.jsonl"))
    some = examples[:: len(examples) // count][:count]
    return list(tokenize(some, tokenizer, max_length=1024, soft_targets=True).rows)


def trainer_options(folder: str, batch: int, steps: int) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "per_device_train_batch_size": batch,
        "max_steps": steps,
        "max_length": None,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 100,
        "bf16": False,
        "use_cpu": True,
        "disable_tqdm": True,
        "activation_checkpointing": False,
    }


def ours(model: Any, tokenizer: Any, rows: list[TokenRow], **settings: Any) -> SFTTrainer:
    return SoftTargetTrainer(
        model=model,
        args=SFTConfig(
            **settings,
            dataset_kwargs={"skip_prepare_dataset": True},
            remove_unused_columns=False,
        ),
        train_dataset=Dataset.from_list([to_columns(row) for row in rows]),
        processing_class=tokenizer,
        data_collator=SoftCollator(tokenizer.pad_token_id, trees=reads_trees(model)),
    )


def trls(
    model: Any, tokenizer: Any, rows: list[TokenRow], lora: Any = None, **settings: Any
) -> SFTTrainer:
    masked = [
        {
            "input_ids": [*row.prompt_ids, *row.reply_ids],
            "completion_mask": [0] * len(row.prompt_ids) + [1] * len(row.reply_ids),
        }
        for row in rows
    ]
    return SFTTrainer(
        model=model,
        args=SFTConfig(**settings, completion_only_loss=True),
        train_dataset=Dataset.from_list(masked),
        processing_class=tokenizer,
        peft_config=lora,
    )


def training(trainer: SFTTrainer) -> Callable[[], None]:
    trainer.remove_callback(PrinterCallback)
    return lambda: trainer.train() and None


def bare(model: Any, batch: dict[str, Any]) -> Callable[[], None]:
    """Forward and backward of the batch's distinct tokens as plain rows."""
    ids, places = batch["input_ids"][0], len(batch["places"])
    count = round(len(ids) / (int(batch["attention_mask"].sum()) / ROWS))
    ids = ids[: len(ids) // count * count].view(count, -1)
    targets = ids.flatten()[:places]

    def run() -> None:
        states = layers(model)(input_ids=ids, use_cache=False).last_hidden_state
        logits = own_logits(model, states.flatten(0, 1)[:places])
        torch.nn.functional.cross_entropy(logits, targets).backward()
        model.zero_grad()

    return run


def tiny(rounds: int) -> None:
    tokenizer = build_tokenizer()
    shape = load_recipe("tictactoe/tiny").model.tiny
    rows = rows_of("tictactoe/tiny", tokenizer, STEPS * BATCH)
    with tempfile.TemporaryDirectory() as folder:
        settings = trainer_options(folder, BATCH, STEPS)
        peers = {
            name: training(make(build_model(shape, 1), tokenizer, rows, **settings))
            for name, make in (("trl_sft", trls), ("sft", ours))
        }
        seconds = medians(peers, rounds, warm_up=0)
    for name, median in seconds.items():
        print(f"{name}_step_ms: {median / STEPS * 1000:.1f}")
    print(f"sft_step_vs_trl: {seconds['trl_sft'] / seconds['sft']:.2f}")


def smollm2(style: str, rounds: int) -> None:
    policy = with_adapter(load_policy(SECTION, "smollm2"), LORA)
    tokenizer = policy.tokenizer
    rows = rows_of("tictactoe/smollm2", tokenizer, ROWS, f"prompt.style={style}")
    theirs = AutoModelForCausalLM.from_pretrained(resolved("smollm2"), dtype=torch.float32)
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    with tempfile.TemporaryDirectory() as folder:
        settings = trainer_options(folder, ROWS, 1)
        own = ours(policy.model, tokenizer, rows, **settings)
        batch = own.data_collator([own.train_dataset[place] for place in range(ROWS)])
        peers = {
            "trl": training(trls(theirs, tokenizer, rows, lora, **settings)),
            "ours": training(own),
            "bare": bare(policy.model, batch),
        }
        peaks = {name: peak_mb(run) for name, run in peers.items()}
        seconds = medians(peers, rounds, warm_up=0)
    name = f"sft_step_smollm2_{style}"
    print(f"{name}_tokens: {int(batch['attention_mask'].sum())}")
    print(f"{name}_distinct_tokens: {batch['input_ids'].numel()}")
    for peer in peers:
        print(f"{name}_{peer}_seconds: {seconds[peer]:.2f}")
        print(f"{name}_{peer}_peak_mb: {peaks[peer]:.0f}")
    print(f"{name}_vs_trl: {seconds['trl'] / seconds['ours']:.2f}")
    print(f"{name}_over_bare: {seconds['ours'] / seconds['bare']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", choices=("tiny", "smollm2"), action="append")
    parser.add_argument("--style", choices=("compact", "full"), action="append")
    args = options(parser, rounds=3)
    quiet_libraries()
    print(f"threads: {torch.get_num_threads()}")
    for base in args.base or ("tiny", "smollm2"):
        if base == "tiny":
            tiny(args.rounds)
        for style in (args.style or ("compact", "full")) if base == "smollm2" else ():
            smollm2(style, args.rounds)


if __name__ == "__main__":
    main()
