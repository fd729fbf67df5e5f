"""What the benchmarks share: a model of a fixed shape, options, and rounds taken in turns."""

import argparse
import ctypes
import gc
import statistics
import threading
import time
from collections.abc import Callable

import psutil
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

VOCAB = 512


def options(parser: argparse.ArgumentParser, rounds: int) -> argparse.Namespace:
    """The command line's, with `--rounds` and `--threads`; torch takes so many threads."""
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


def model_of_the_shape() -> torch.nn.Module:
    """A Qwen3 shape from a config (6 layers, width 256, 4 heads), the same weights every time."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCAB,
        hidden_size=256,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=64,
        intermediate_size=768,
        max_position_embeddings=1024,
    )
    return AutoModelForCausalLM.from_config(config)


def medians(
    peers: dict[str, Callable[[], None]], rounds: int, *, warm_up: int, device: str = "cpu"
) -> dict[str, float]:
    """Median seconds of each peer, one run of each in turn; the first rounds do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    for number in range(rounds + warm_up):
        for name, run in peers.items():
            start = time.perf_counter()
            run()
            if device == "cuda":
                torch.cuda.synchronize()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def peak_mb(run: Callable[[], None]) -> float:
    """The most memory that the process takes while `run` runs, over what it had before; in MB."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what lies free would hide what is taken
    process, over = psutil.Process(), threading.Event()
    sizes = [process.memory_info().rss]

    def watch() -> None:
        while not over.wait(0.002):
            sizes.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        over.set()
        watcher.join()
    return (max(sizes) - sizes[0]) / 1e6
