"""One SFT optimizer step, ours against TRL's own SFTTrainer, on the demo's rows.

    python benchmarks/sft_step.py

Both trainers are TRL's; ours computes logits for reply tokens only (and can take soft targets).
The demo's model (2 layers, width 64), 128 tic-tac-toe rows a step, AdamW for both, float32, the
same thread count. Rounds are interleaved in one process; the figure is the ratio of medians, TRL's
time over ours (above 1: ours is faster).
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback
from trl import SFTConfig, SFTTrainer

from tesuji.datasets.files import read_rows
from tesuji.datasets.from_positions.stage import make_data
from tesuji.games.catalogue import load_game
from tesuji.learners.model.load import quiet_libraries
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.learners.sft.soft_targets import SoftCollator, SoftTargetTrainer, to_columns
from tesuji.learners.sft.tokens import TokenRow, tokenize
from tesuji.recipe.reading.load import load_recipe

ROUNDS, STEPS, BATCH = 7, 15, 128


def rows_of_the_demo() -> list[TokenRow]:
    recipe = load_recipe("tictactoe/tiny")
    game = load_game(recipe.game.name, recipe.game.options)
    with tempfile.TemporaryDirectory() as folder:
        make_data(recipe, recipe.stages["data"], game, Path(folder))
        examples = list(read_rows(Path(folder) / "train.jsonl"))[: STEPS * BATCH]
    return list(tokenize(examples, build_tokenizer(), max_length=32, soft_targets=True).rows)


def options(folder: str) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "per_device_train_batch_size": BATCH,
        "max_steps": STEPS,
        "max_length": None,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 100,
        "bf16": False,
        "use_cpu": True,
        "disable_tqdm": True,
        "activation_checkpointing": False,
    }


def ours(rows: list[TokenRow], folder: str) -> SFTTrainer:
    tokenizer = build_tokenizer()
    return SoftTargetTrainer(
        model=build_model(load_recipe("tictactoe/tiny").model.tiny, 1),
        args=SFTConfig(
            **options(folder),
            dataset_kwargs={"skip_prepare_dataset": True},
            remove_unused_columns=False,
        ),
        train_dataset=Dataset.from_list([to_columns(row) for row in rows]),
        processing_class=tokenizer,
        data_collator=SoftCollator(tokenizer.pad_token_id),
    )


def trls(rows: list[TokenRow], folder: str) -> SFTTrainer:
    masked = [
        {
            "input_ids": [*row.prompt_ids, *row.reply_ids],
            "completion_mask": [0] * len(row.prompt_ids) + [1] * len(row.reply_ids),
        }
        for row in rows
    ]
    return SFTTrainer(
        model=build_model(load_recipe("tictactoe/tiny").model.tiny, 1),
        args=SFTConfig(**options(folder), completion_only_loss=True),
        train_dataset=Dataset.from_list(masked),
        processing_class=build_tokenizer(),
    )


def seconds_a_step(make: Any, rows: list[TokenRow], folder: str) -> float:
    trainer = make(rows, folder)
    trainer.remove_callback(PrinterCallback)
    started = time.perf_counter()
    trainer.train()
    return (time.perf_counter() - started) / STEPS


def main() -> None:
    quiet_libraries()
    rows = rows_of_the_demo()
    times: dict[str, list[float]] = {"ours": [], "trl": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            times["ours"].append(seconds_a_step(ours, rows, folder))
            times["trl"].append(seconds_a_step(trls, rows, folder))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"threads: {torch.get_num_threads()}")
    print(f"trl_sft_step_ms: {medians['trl'] * 1000:.1f}")
    print(f"sft_step_ms: {medians['ours'] * 1000:.1f}")
    print(f"sft_step_vs_trl: {medians['trl'] / medians['ours']:.2f}")


if __name__ == "__main__":
    main()
