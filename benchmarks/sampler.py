"""How close the local sampler is to the bare forward passes, and to transformers' `generate`.

    python benchmarks/sampler.py

A Qwen3 shape from a config (6 layers, width 256, 4 heads, vocabulary 512), 64 prompts of 80 tokens,
8 new tokens each, temperature 1, float32, no stop token, so that all do the same work. `generate`
runs with its fastest settings: no warpers, no padding, no scores. The floor is one prefill and
seven decode passes with a cache and nothing else. Median of interleaved rounds in one process.
"""

import argparse
from collections.abc import Callable

import torch
from _peers import VOCAB, medians, model_of_the_shape, options
from transformers import GenerationConfig

from tesuji.learners.model.tiny import build_tokenizer
from tesuji.players.sampling.local import LocalSampler

PROMPTS, LENGTH, NEW = 64, 80, 8


def floor(model, ids: torch.Tensor) -> Callable[[], None]:
    """The forward passes alone: each step reads the same tokens again, nothing is chosen."""

    def run() -> None:
        with torch.inference_mode():
            out = model(input_ids=ids, use_cache=True, logits_to_keep=1)
            for _ in range(NEW - 1):
                cache = out.past_key_values
                out = model(input_ids=ids[:, :1], past_key_values=cache, use_cache=True)

    return run


def generate(model, ids: torch.Tensor) -> Callable[[], None]:
    settings = GenerationConfig(
        do_sample=True, top_k=0, max_new_tokens=NEW, eos_token_id=None, pad_token_id=0
    )
    mask = torch.ones_like(ids)

    def run() -> None:
        with torch.inference_mode():
            model.generate(ids, attention_mask=mask, generation_config=settings)

    return run


def ours(model, ids: torch.Tensor) -> Callable[[], None]:
    sampler = LocalSampler(model, build_tokenizer())
    prompts = ids.tolist()

    def run() -> None:
        sampler.sample(
            prompts,
            temperature=1.0,
            top_p=1.0,
            max_new_tokens=NEW,
            seeds=range(len(prompts)),
            stop_ids=frozenset(),
        )

    return run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    args = options(parser, rounds=15)
    model = model_of_the_shape().eval().to(args.device)
    distinct = torch.randint(VOCAB, (PROMPTS, LENGTH), device=args.device)
    shared = distinct[:8].repeat_interleave(8, dim=0)
    peers = {
        "floor": floor(model, distinct),
        "generate": generate(model, distinct),
        "sampler": ours(model, distinct),
        "generate_shared": generate(model, shared),
        "sampler_shared": ours(model, shared),
    }
    seconds = medians(peers, args.rounds, warm_up=2, device=args.device)
    for name, median in seconds.items():
        print(f"{name}_seconds: {median:.4f}")
    print(f"sampler_vs_generate: {seconds['generate'] / seconds['sampler']:.3f}")
    print(f"sampler_vs_floor: {seconds['sampler'] / seconds['floor']:.3f}")
    print(f"sampler_shared_prefill: {seconds['sampler_shared'] / seconds['sampler']:.3f}")


if __name__ == "__main__":
    main()
