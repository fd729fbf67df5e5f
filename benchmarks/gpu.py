"""How fast one GPU samples and learns: SFT, GRPO and PPO steps, beside TRL and vLLM.

    python benchmarks/gpu.py                              # CUDA; at most 8 minutes on an H100
    python benchmarks/gpu.py --device cpu --shape tiny    # tries the script itself

Qwen3 shapes with random weights in bfloat16 (float32 on a CPU), nothing is downloaded: `0.6b`
whole, `4b` with LoRA of rank 16. SFT: 8 rows of 512 prompt tokens and 128 of a reply. GRPO and PPO:
8 prompts of 512 tokens, the first 256 in common, 16 replies of 128 tokens to each, sampled, scored
and learned from in one step; TRL takes 8 rows a forward pass. Rounds are taken in turns.

`NAME_tokens_per_s` counts the tokens rows have, prompts too, whether they are computed once or
often: the same for each peer. `NAME_flop_share` is 6 (LoRA: 4) flops a parameter and such token
over what the GPU's data sheet says; what token trees save shows as a larger share. vLLM is measured
where it is installed in this environment, by its own `LLM` class.

No run on a GPU is known yet.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from _peers import medians
from grpo_step import Shape, ours, trl
from sft_step import ours as our_sft
from sft_step import trainer_options, training
from sft_step import trls as trl_sft
from transformers import AutoModelForCausalLM, Qwen3Config

from tesuji.core.errors import first_line
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, quiet_libraries
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.learners.sft.tokens import TokenRow
from tesuji.pipeline.memory.published import shape_of
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.rl import PpoStage
from tesuji.recipe.schema.sections import LoraSection

PEAK = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "4090": 165}  # TFLOP/s, bf16
PUBLISHED = {"0.6b": "Qwen/Qwen3-0.6B", "4b": "Qwen/Qwen3-4B"}
SFT_ROWS, TRL_ROWS = 8, 8


@dataclass(frozen=True)
class Random(Shape):
    """A Qwen3 shape with random weights on a device."""

    size: str = "tiny"
    device: str = "cpu"

    @property
    def lora(self) -> bool:
        """Whether only an adapter learns."""
        return self.size == "4b"

    @property
    def config(self) -> Qwen3Config:
        if self.size in PUBLISHED:
            return shape_of(PUBLISHED[self.size])
        return Qwen3Config(
            vocab_size=512,
            hidden_size=64,
            intermediate_size=192,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            tie_word_embeddings=True,
        )

    def policy(self) -> Policy:
        torch.manual_seed(0)
        dtype = torch.float32 if self.device == "cpu" else torch.bfloat16
        with torch.device(self.device):
            model = AutoModelForCausalLM.from_config(self.config, dtype=dtype)
        policy = Policy(model, build_tokenizer(), "")
        return with_adapter(policy, LoraSection(r=16)) if self.lora else policy


def shapes(name: str, device: str) -> Random:
    """The prompts and replies of a step; few and short ones for `tiny`."""
    if name == "tiny":
        return Random(4, 4, 64, common=32, new=8, size=name, device=device)
    return Random(8, 16, 512, common=256, new=128, size=name, device=device)


def sft_peers(shape: Random) -> dict[str, Callable[[], None]]:
    """One optimizer step each, of the same rows."""
    ids = replace(shape, prompts=SFT_ROWS).ids(build_tokenizer())
    reply = tuple(range(40, 40 + 8)) * (shape.new // 8)
    rows = [
        TokenRow(tuple(prompt), reply, tuple({token: 1.0} for token in reply)) for prompt in ids
    ]
    peers = {}
    for name, make in {"sft": our_sft, "sft_trl": trl_sft}.items():
        settings = trainer_options(tempfile.mkdtemp(), SFT_ROWS, 1)
        policy = shape.policy()
        settings |= {"use_cpu": shape.device == "cpu", "bf16": shape.device != "cpu"}
        peers[name] = training(make(policy.model, policy.tokenizer, rows, **settings))
    return peers


def sampling(shape: Random) -> Callable[[], None]:
    """The replies of a step by the local sampler, without learning from them."""
    policy = shape.policy()
    sampler = LocalSampler(policy.model, policy.tokenizer)
    batch = [ids for ids in shape.ids(policy.tokenizer) for _ in range(shape.replies)]

    def run() -> None:
        sampler.sample(
            batch,
            temperature=1.0,
            top_p=1.0,
            max_new_tokens=shape.new,
            seeds=range(len(batch)),
            stop_ids=frozenset(),
        )

    return run


def vllm_sampling(shape: Random) -> Callable[[], None]:
    """The same by vLLM's own engine, on the same weights out of a folder."""
    from vllm import LLM, SamplingParams

    policy, folder = shape.policy(), tempfile.mkdtemp()
    model = policy.model.merge_and_unload() if shape.lora else policy.model
    model.save_pretrained(folder)
    del policy, model
    engine = LLM(model=folder, skip_tokenizer_init=True, gpu_memory_utilization=0.4)
    prompts = [{"prompt_token_ids": ids} for ids in shape.ids(build_tokenizer())]
    asked = SamplingParams(n=shape.replies, max_tokens=shape.new, ignore_eos=True, detokenize=False)
    return lambda: engine.generate(prompts, asked, use_tqdm=False) and None


def parameters(shape: Random) -> int:
    """Of the layers and the head, which is the embedding."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape.config)
    return sum(p.numel() for p in model.parameters() if p.dim() > 1)


def peak_flops(asked: float) -> float | None:
    """The GPU's own, in bfloat16, or what was asked for (TFLOP/s); None where nothing is known."""
    if asked or not torch.cuda.is_available():
        return asked * 1e12 or None
    name = torch.cuda.get_device_name()
    return next((flops * 1e12 for known, flops in PEAK.items() if known in name), None)


def measure(
    shape: Random,
    peers: dict[str, Callable[[], None]],
    tokens: int,
    rounds: int,
    peak: float | None,
) -> None:
    """Prints what each peer does with so many tokens."""
    seconds = medians(peers, rounds, warm_up=1, device=shape.device)
    flops = (4 if shape.lora else 6) * parameters(shape) * tokens
    for name, median in seconds.items():
        print(f"{shape.size}_{name}_tokens_per_s: {tokens / median:.0f}")
        if peak and not name.startswith("sampling"):
            print(f"{shape.size}_{name}_flop_share: {flops / median / peak:.3f}")
    first, *others = seconds
    for other in others:
        print(f"{shape.size}_{first}_vs_{other}: {seconds[other] / seconds[first]:.2f}", flush=True)


def run(shape: Random, rounds: int, peak: float | None) -> None:
    """All measurements of a shape; the models of one do not stay for the next."""
    replies = shape.prompts * shape.replies
    rows = replies * (shape.length + shape.new)
    measure(shape, sft_peers(shape), SFT_ROWS * (shape.length + shape.new), rounds, peak)
    measure(shape, {"grpo": ours(shape), "grpo_trl": trl(shape, TRL_ROWS)}, rows, rounds, peak)
    measure(shape, {"ppo": ours(shape, PpoStage)}, rows, rounds, peak)
    samplers = {"sampling": sampling(shape)}
    if importlib.util.find_spec("vllm") is None:
        print("vllm: not installed here, not measured")
    else:
        try:
            samplers["sampling_vllm"] = vllm_sampling(shape)
        except Exception as error:  # of an engine that does not start here: said, not hidden
            print(f"vllm: not measured: {first_line(error)}")
    measure(shape, samplers, replies * shape.new, rounds, peak)


def main() -> None:
    """All shapes asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--shape", choices=("tiny", *PUBLISHED), action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak-tflops", type=float, default=0.0)
    args = parser.parse_args()
    quiet_libraries()
    print(f"device: {torch.cuda.get_device_name() if args.device == 'cuda' else args.device}")
    start = time.perf_counter()
    for name in args.shape or (["tiny"] if args.device == "cpu" else ["0.6b", "4b"]):
        run(shapes(name, args.device), args.rounds, peak_flops(args.peak_tflops))
    print(f"seconds: {time.perf_counter() - start:.0f}")


if __name__ == "__main__":
    main()
