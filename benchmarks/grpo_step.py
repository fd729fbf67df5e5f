"""A whole GRPO step (sample, score, update) beside TRL's GRPOTrainer, in one process.

    python benchmarks/grpo_step.py
    python benchmarks/grpo_step.py --shape 8x8_80 --rounds 10

A Qwen3 shape from a config (6 layers, width 256, 4 heads, vocabulary 512), float32, AdamW. A step
samples R replies of 8 tokens to each of P prompts, takes the reward (share of even ids, the same
function for both), and makes one update: no reference model, one iteration, the whole batch in one
optimizer step. `8x8_80`: 8 prompts of 80 tokens, 8 replies each; `4x16_512`: 4 prompts of 512, 16
each. No reply stops early, so that both do the same work. Interleaved rounds, ratio of medians.

TRL runs with its fastest settings for a CPU: transformers' generate without warpers, no vLLM (it
needs a GPU), no logging of completions, no reference model, no gradient checkpointing, float32, and
whichever of several micro-batches is quickest for it here.
"""

import argparse
import tempfile
import time
from collections.abc import Callable

import torch
from _peers import VOCAB, medians, model_of_the_shape, options
from datasets import Dataset

from tesuji.core.types import Segment, Trace
from tesuji.learners.model.load import Policy
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.learners.rl.advantages import RoleBaseline
from tesuji.learners.rl.estimators import ESTIMATORS, Evidence
from tesuji.learners.rl.token_layout import flatten
from tesuji.learners.rl.update.build import build_learner, loss_options
from tesuji.learners.rl.update.loss import TokenData
from tesuji.learners.rl.update.optimizer_step import Tokens, rows_of, step
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.rl import GrpoStage

SHAPES = {"8x8_80": (8, 8, 80), "4x16_512": (4, 16, 512)}
NEW, LR = 8, 1e-4


def reward(ids) -> float:
    return sum(token % 2 == 0 for token in ids) / len(ids)


def ours(prompts: list[list[int]], replies: int) -> Callable[[], None]:
    model, tokenizer = model_of_the_shape(), build_tokenizer()
    stage = GrpoStage(learning_rate=LR, batch_size=len(prompts) * replies, num_generations=replies)
    learner = build_learner(stage, Policy(model, tokenizer, ""), temperature=1.0)
    sampler, count = LocalSampler(model, tokenizer), 0

    def run() -> None:
        nonlocal count
        count += 1
        batch = [prompt for prompt in prompts for _ in range(replies)]
        samples = sampler.sample(
            batch,
            temperature=1.0,
            top_p=1.0,
            max_new_tokens=NEW,
            seeds=range(count * 10_000, count * 10_000 + len(batch)),
            stop_ids=frozenset(),
        )
        traces = [trace(one, str(number // replies)) for number, one in enumerate(samples)]
        flat = flatten(traces)
        estimate = ESTIMATORS[GrpoStage](stage, flat, Evidence(), RoleBaseline())
        data = TokenData(
            advantages=torch.tensor(estimate.advantages, dtype=torch.float32),
            behaviour=torch.tensor(flat.behaviour, dtype=torch.float32),
        )
        tokens = Tokens(data, torch.ones(flat.tokens))
        step(learner, rows_of(learner, flat), tokens, flat.tokens, loss_options(stage, 1, 0.0))

    return run


def trace(sample, group: str) -> Trace:
    before = len(sample.prompt_ids)
    segment = Segment(
        sample.prompt_ids + sample.reply_ids,
        (-1,) * before + (0,) * NEW,
        (0.0,) * before + sample.logprobs,
    )
    return Trace((segment,), (reward(sample.reply_ids),), "words", 0, "", group, "nobody")


def trl(prompts: list[list[int]], replies: int, batch: int) -> Callable[[], None]:
    """One `training_step` and `optimizer.step` of a real GRPOTrainer, without its outer loop."""
    from trl import GRPOConfig, GRPOTrainer

    rows = len(prompts) * replies
    tokenizer = build_tokenizer()
    tokenizer.chat_template = None
    rewards = lambda completion_ids, **_: [reward(ids) for ids in completion_ids]  # noqa: E731
    trainer = GRPOTrainer(
        model=model_of_the_shape(),
        reward_funcs=rewards,
        args=GRPOConfig(
            output_dir=tempfile.mkdtemp(),
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=rows // batch,
            num_generations=replies,
            max_completion_length=NEW,
            generation_kwargs={"eos_token_id": None, "top_k": 0},
            temperature=1.0,
            beta=0.0,
            num_iterations=1,
            scale_rewards="none",
            epsilon_high=0.28,
            learning_rate=LR,
            max_grad_norm=1.0,
            report_to="none",
            logging_steps=10_000,
            max_steps=10_000,
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list([{"prompt": text(prompt)} for prompt in prompts]),
        processing_class=tokenizer,
    )
    return _stepper(trainer, prompts, replies, batch)


def text(ids: list[int]) -> str:
    """A text of as many tokens: our tokenizer has one token a byte, all printable here."""
    return "".join(chr(33 + token % 90) for token in ids)


def _stepper(trainer, prompts, replies: int, batch: int) -> Callable[[], None]:
    trainer.create_optimizer_and_scheduler(num_training_steps=10_000)
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    inputs = [{"prompt": text(prompt)} for prompt in prompts for _ in range(replies)]

    def run() -> None:
        for _ in range(trainer.args.gradient_accumulation_steps):
            trainer.training_step(trainer.model, inputs, num_items_in_batch=None)
        trainer.accelerator.clip_grad_norm_(trainer.model.parameters(), 1.0)
        trainer.optimizer.step()
        trainer.model.zero_grad()
        trainer.state.global_step += 1

    return run


def quickest_trl(prompts: list[list[int]], replies: int) -> Callable[[], None]:
    """TRL with the micro-batch (8, 16 or all rows) whose second step takes least."""
    by_seconds: dict[float, Callable[[], None]] = {}
    for batch in (8, 16, len(prompts) * replies):
        run = trl(prompts, replies, batch)
        run()
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        print(f"  trl, {batch} rows a forward pass: {seconds:.2f} s")
        by_seconds[seconds] = run
    return by_seconds[min(by_seconds)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, action="append")
    args = options(parser, rounds=5)
    for shape in args.shape or SHAPES:
        count, replies, length = SHAPES[shape]
        generator = torch.Generator().manual_seed(1)
        prompts = torch.randint(VOCAB // 2, (count, length), generator=generator).tolist()
        peers = {"trl": quickest_trl(prompts, replies), "ours": ours(prompts, replies)}
        seconds = medians(peers, args.rounds, warm_up=1)
        for name, median in seconds.items():
            print(f"grpo_step_{shape}_{name}_seconds: {median:.3f}")
        print(f"grpo_step_{shape}: {seconds['trl'] / seconds['ours']:.2f}")


if __name__ == "__main__":
    main()
