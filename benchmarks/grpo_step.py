"""A whole GRPO step (sample, score, update) beside TRL's GRPOTrainer, in one process.

    python benchmarks/grpo_step.py
    python benchmarks/grpo_step.py --shape 8x8_80 --rounds 10

A step samples R replies of 8 tokens to each of P prompts, takes the reward (share of even ids, the
same function for both), and makes one update: no reference model, one iteration, the whole batch in
one optimizer step, float32, AdamW. No reply stops early, so that both do the same work. Interleaved
rounds, ratio of medians.

- `8x8_80`: 8 prompts of 80 tokens, 8 replies each; `4x16_512`: 4 of 512, 16 each. A Qwen3 shape
  from a config (6 layers, width 256, 4 heads, vocabulary 512); the prompts have nothing in common.
- `smollm2_8x8_190`: SmolLM2-135M-Instruct, its real weights, LoRA r 16 (as in the recipes); 8
  prompts of 190 tokens, the first 120 in common, 8 replies each. A step of TRL's takes minutes
  there: one is taken, without a warm-up.

TRL runs with its fastest settings for a CPU: transformers' generate without warpers, no vLLM (it
needs a GPU), no logging of completions, no reference model, no gradient checkpointing, float32, and
whichever of several micro-batches is quickest for it here (SmolLM2: 8 rows).

`floor` is what the model alone takes for the same: its bare forward passes of sampling (each
distinct token of the prompts once, then 7 steps of all replies on keys and values that stand
ready), and one forward and backward of each distinct token that the update needs, as plain rows of
128 tokens. `peak_mb` is the most memory (resident set) that one step takes over what the process
had before it.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from _peers import medians, model_of_the_shape, options, peak_mb
from datasets import Dataset

from tesuji.core.types import Segment, Trace
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, load_policy
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.learners.rl.advantages import RoleBaseline
from tesuji.learners.rl.token_layout import flatten
from tesuji.learners.rl.update.build import build_learner, loss_options
from tesuji.learners.rl.update.learn import (
    estimate_advantages,
    loss_inputs,
    new_unit,
    score_rollout,
)
from tesuji.learners.rl.update.optimizer_step import rows_of, step
from tesuji.players.sampling.head import layers, own_logits
from tesuji.players.sampling.kv_buffer import roomy_cache
from tesuji.players.sampling.local import LocalSampler
from tesuji.players.sampling.token_tree import plant
from tesuji.recipe.schema.rl import GrpoStage, RLStage
from tesuji.recipe.schema.sections import LoraSection, ModelSection

LR = 1e-4


@dataclass(frozen=True)
class Shape:
    """Prompts of `length` tokens, the first `common` the same in all; replies to each of them."""

    prompts: int
    replies: int
    length: int
    common: int = 0
    smollm2: bool = False
    new: int = 8  # tokens of a reply

    def policy(self) -> Policy:
        """The same weights every time."""
        if not self.smollm2:
            return Policy(model_of_the_shape(), build_tokenizer(), "")
        section = ModelSection(base="smollm2", dtype="float32", device="cpu")
        return with_adapter(load_policy(section, "smollm2"), LoraSection(r=16))

    def texts(self) -> list[str]:
        """The prompts: either tokenizer makes one token of each character."""
        generator = torch.Generator().manual_seed(1)
        drawn = torch.randint(
            10 if self.smollm2 else 90, (self.prompts, self.length), generator=generator
        )
        drawn[:, : self.common] = drawn[0, : self.common]
        first = ord("0") if self.smollm2 else 33
        return ["".join(chr(first + number) for number in row) for row in drawn.tolist()]

    def ids(self, tokenizer) -> list[list[int]]:
        prompts = [tokenizer(text, add_special_tokens=False).input_ids for text in self.texts()]
        assert {len(prompt) for prompt in prompts} == {self.length}
        return prompts


SHAPES = {
    "8x8_80": Shape(8, 8, 80),
    "4x16_512": Shape(4, 16, 512),
    "smollm2_8x8_190": Shape(8, 8, 190, common=120, smollm2=True),
}


def reward(ids) -> float:
    return sum(token % 2 == 0 for token in ids) / len(ids)


def ours(shape: Shape, kind: type[RLStage] = GrpoStage) -> Callable[[], None]:
    """A step of ours: of GRPO, or of PPO with a value head and the generalised advantages."""
    policy, replies = shape.policy(), shape.replies
    prompts = shape.ids(policy.tokenizer)
    stage = kind(learning_rate=LR, batch_size=len(prompts) * replies, num_generations=replies)
    learner = build_learner(stage, policy, temperature=1.0)
    sampler, count = LocalSampler(policy.model, policy.tokenizer), 0

    def run() -> None:
        nonlocal count
        count += 1
        batch = [prompt for prompt in prompts for _ in range(replies)]
        samples = sampler.sample(
            batch,
            temperature=1.0,
            top_p=1.0,
            max_new_tokens=shape.new,
            seeds=range(count * 10_000, count * 10_000 + len(batch)),
            stop_ids=frozenset(),
        )
        traces = [trace(one, str(number // replies)) for number, one in enumerate(samples)]
        flat = flatten(traces)
        scores = score_rollout(stage, learner, None, flat)
        estimate, _ = estimate_advantages(stage, flat, scores, 0.0, RoleBaseline())
        unit = new_unit(learner, estimate)
        tokens = loss_inputs(stage, flat, scores, estimate, policy.model.device, unit)
        step(learner, rows_of(learner, flat), tokens, flat.tokens, loss_options(stage, 1, 0.0))

    return run


def trace(sample, group: str) -> Trace:
    before = len(sample.prompt_ids)
    segment = Segment(
        sample.prompt_ids + sample.reply_ids,
        (-1,) * before + (0,) * len(sample.reply_ids),
        (0.0,) * before + sample.logprobs,
    )
    return Trace((segment,), (reward(sample.reply_ids),), "words", 0, "", group, "nobody")


def floor(shape: Shape) -> Callable[[], None]:
    policy = shape.policy()
    model, vocabulary = policy.model, int(policy.model.config.vocab_size)
    prompts = shape.ids(policy.tokenizer)
    rows = shape.prompts * shape.replies
    replies = torch.randint(vocabulary, (rows, shape.new)).tolist()
    read = [prompts[number // shape.replies] + reply[:-1] for number, reply in enumerate(replies)]
    asked = len(plant(replies)) - rows + shape.prompts  # places that predict a token
    prefill, update = (in_rows(len(plant(texts)), vocabulary) for texts in (prompts, read))
    config = model.config
    heads, depth = config.num_key_value_heads, config.head_dim
    ready = torch.randn(rows, heads, shape.length, depth)

    @torch.inference_mode()
    def sample() -> None:
        model.eval()
        layers(model)(input_ids=prefill, use_cache=True)
        cache = roomy_cache()
        for number in range(config.num_hidden_layers):
            cache.update(ready, ready, number)
        for _ in range(shape.new - 1):
            model(input_ids=torch.zeros(rows, 1, dtype=torch.long), past_key_values=cache)

    def run() -> None:
        sample()
        model.train()
        hidden = layers(model)(input_ids=update, use_cache=False).last_hidden_state.flatten(0, 1)
        logits = own_logits(model, hidden[:asked])
        torch.nn.functional.cross_entropy(logits, update.flatten()[:asked]).backward()
        model.zero_grad()

    return run


def in_rows(tokens: int, vocabulary: int, row: int = 128) -> torch.Tensor:
    """So many tokens, to a row or less, in plain rows."""
    return torch.randint(vocabulary, (round(tokens / row), row))


def trl(shape: Shape, batch: int) -> Callable[[], None]:
    """One `training_step` and `optimizer.step` of a real GRPOTrainer, without its outer loop."""
    from trl import GRPOConfig, GRPOTrainer

    rows = shape.prompts * shape.replies
    policy = shape.policy()
    policy.tokenizer.chat_template = None
    rewards = lambda completion_ids, **_: [reward(ids) for ids in completion_ids]  # noqa: E731
    trainer = GRPOTrainer(
        model=policy.model,
        reward_funcs=rewards,
        args=GRPOConfig(
            output_dir=tempfile.mkdtemp(),
            use_cpu=policy.model.device.type == "cpu",
            bf16=False,
            activation_checkpointing=False,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=rows // batch,
            num_generations=shape.replies,
            max_completion_length=shape.new,
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
        train_dataset=Dataset.from_list([{"prompt": text} for text in shape.texts()]),
        processing_class=policy.tokenizer,
    )
    return _stepper(trainer, shape)


def _stepper(trainer, shape: Shape) -> Callable[[], None]:
    trainer.create_optimizer_and_scheduler(num_training_steps=10_000)
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    inputs = [{"prompt": text} for text in shape.texts() for _ in range(shape.replies)]

    def run() -> None:
        for _ in range(trainer.args.gradient_accumulation_steps):
            trainer.training_step(trainer.model, inputs, num_items_in_batch=None)
        trainer.accelerator.clip_grad_norm_(trainer.model.parameters(), 1.0)
        trainer.optimizer.step()
        trainer.model.zero_grad()
        trainer.state.global_step += 1

    return run


def quickest_trl(shape: Shape) -> Callable[[], None]:
    """TRL with the micro-batch (8, 16 or all rows) whose second step takes least."""
    if shape.smollm2:
        return trl(shape, 8)
    by_seconds: dict[float, Callable[[], None]] = {}
    for batch in (8, 16, shape.prompts * shape.replies):
        run = trl(shape, batch)
        run()
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        print(f"  trl, {batch} rows a forward pass: {seconds:.2f} s")
        by_seconds[seconds] = run
    return by_seconds[min(by_seconds)]


def compare(shape: Shape, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median seconds and the peak memory of each; memory is measured in the warm-up round."""
    peers = {"ours": ours(shape), "floor": floor(shape), "trl": quickest_trl(shape)}
    seconds, peaks = {}, {}
    for name, run in peers.items():
        start = time.perf_counter()
        peaks[name] = peak_mb(run)
        seconds[name] = time.perf_counter() - start
    if shape.smollm2:
        del peers["trl"]
    return seconds | medians(peers, rounds, warm_up=0), peaks


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, action="append")
    args = options(parser, rounds=5)
    for shape in args.shape or SHAPES:
        seconds, peaks = compare(SHAPES[shape], args.rounds)
        for name in seconds:
            print(f"grpo_step_{shape}_{name}_seconds: {seconds[name]:.3f}")
            print(f"grpo_step_{shape}_{name}_peak_mb: {peaks[name]:.0f}")
        print(f"grpo_step_{shape}: {seconds['trl'] / seconds['ours']:.2f}")
        print(f"grpo_step_{shape}_over_floor: {seconds['ours'] / seconds['floor']:.2f}", flush=True)


if __name__ == "__main__":
    main()
