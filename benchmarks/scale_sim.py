"""What a step of reinforcement learning by play would take on 1 to 512 GPUs: a simulation.

    python benchmarks/scale_sim.py [--matches 4096] [--turns 15] [--simulations 500]

No GPU was used. Measured here, when it is run: MCTS simulations a second of one core (connect
four). From published sources, each named beside its number in `Rates`: what an H100 decodes and
learns, its memory, the network. A step is the same on any number of GPUs: so many matches of so
many turns against tree search, then one update, then the weights go to the samplers.

`staleness 0` is one after the other, all GPUs sampling, then all of them learning. With n, the GPUs
are parted (the best of all splits is shown) and sampling runs at most n versions ahead.

What it simplifies: a GPU decodes min(peak, sequences x what memory allows one); of a prompt a
turn's new tokens are read (the rest is in the prefix cache); search is spread evenly over the
cores; an all-reduce takes the gradient's bytes twice over the network; nothing fails.
"""

import argparse
import heapq
import itertools
import random
import time
from dataclasses import dataclass

from tesuji.core.types import Task
from tesuji.episodes.arena import play_matches
from tesuji.games.catalogue import load_game
from tesuji.players.registry import make_player
from tesuji.recipe.schema.sections import PlayerSection


@dataclass(frozen=True)
class Rates:
    """Of an 8B model in bfloat16 on H100s, eight to a machine."""

    # https://www.morphllm.com/vllm-benchmarks (2026-04-05): Llama 3.1 8B, vLLM, one H100
    decode: float = 12_500.0  # tokens a second, many sequences at once
    # 3.35 TB/s (NVIDIA's H100 SXM data sheet) over 16 GB of weights: the most of one sequence
    decode_one: float = 209.0
    # https://github.com/foundation-model-stack/fms-fsdp, 7B, 96 H100 with 800 Gbps
    learn: float = 7_500.0  # tokens a second, forward and backward
    network: float = 100e9  # bytes a second of a machine, the same 800 Gbps
    weights: float = 16e9  # bytes
    gpus_a_machine: int = 8
    cores_a_gpu: int = 16  # an assumption
    dollars: float = 3.95  # an H100 hour on Modal, 2026-07-01

    @property
    def read(self) -> float:
        """Prompt tokens a second: a forward pass is a third of what learning does."""
        return 3 * self.learn


@dataclass(frozen=True)
class Work:
    """A step: `turns` of the policy a match, each with `prompt` new tokens and, on average, `reply`
    tokens of its own."""

    matches: int
    turns: int
    simulations: int
    prompt: int = 60
    reply: int = 80

    @property
    def tokens(self) -> float:
        """Learned from in a step."""
        return self.matches * self.turns * (self.prompt + self.reply)


def measured_simulations(seconds: float = 3.0) -> float:
    """MCTS simulations a second on this core, in connect four."""
    game = load_game("connect_four", {})
    players = {
        "search": make_player(PlayerSection(player="mcts", simulations=100), game=game),
        "random": make_player(PlayerSection(player="random"), game=game),
    }
    tasks = (Task("connect_four", seed, ("search", "random")) for seed in itertools.count())
    start, done = time.process_time(), 0
    for episode in play_matches(tasks, game=game, players=players, concurrent=1):
        done += sum(turn.seat == 0 for turn in episode.turns)
        if time.process_time() - start > seconds:
            break
    return 100 * done / (time.process_time() - start)


def rollout(work: Work, rates: Rates, gpus: int, search: float, seed: int) -> dict[str, float]:
    """Seconds until the last match of a step ends, and how long GPU and cores were busy.

    One GPU's share of the matches with its cores; the slowest of the GPUs is the one that is waited
    for, which a few more draws stand for.
    """
    worst: dict[str, float] = {"seconds": 0.0}
    for draw in range(min(gpus, 4)):
        found = _one_gpu(
            work, rates, -(-work.matches // gpus), search, random.Random(f"{seed} {draw}")
        )
        worst = max(worst, found, key=lambda one: one["seconds"])
    return worst


def _one_gpu(
    work: Work, rates: Rates, matches: int, search: float, draw: random.Random
) -> dict[str, float]:
    cores = [0.0] * rates.cores_a_gpu  # when each is free again
    events = [(0.0, match, work.turns) for match in range(matches)]
    heapq.heapify(events)
    decoding: list[float] = []  # when the sequences under way end
    reader, searched, read = 0.0, 0.0, 0.0
    end = 0.0
    while events:
        now, match, left = heapq.heappop(events)
        reader = max(reader, now) + work.prompt / rates.read
        read += work.prompt / rates.read
        while decoding and decoding[0] <= reader:
            heapq.heappop(decoding)
        speed = min(rates.decode_one, rates.decode / (len(decoding) + 1))
        said = reader + draw.lognormvariate(0, 0.5) * work.reply / 1.13 / speed
        heapq.heappush(decoding, said)
        took = work.simulations / search
        answered = max(said, heapq.heappop(cores)) + took
        heapq.heappush(cores, answered)
        searched += took
        end = max(end, answered)
        if left > 1:
            heapq.heappush(events, (answered, match, left - 1))
    return {"seconds": end, "search": searched / rates.cores_a_gpu, "read": read}


def update(work: Work, rates: Rates, gpus: int) -> float:
    """Seconds of one update: its passes, and between machines the gradients."""
    machines = -(-gpus // rates.gpus_a_machine)
    across = 2 * rates.weights / rates.network * (machines - 1) / machines
    return work.tokens / (rates.learn * gpus) + across


def transfer(rates: Rates, gpus: int) -> float:
    """Seconds until every sampler has new weights, broadcast in a chain of machines; nothing on one
    GPU, which samples from the weights it learns."""
    return rates.weights / rates.network if gpus > 1 else 0.0


def step_seconds(
    work: Work, rates: Rates, samplers: int, learners: int, staleness: int, search: float
) -> tuple[float, dict[str, float]]:
    """Seconds a step in the long run (20 steps), and the parts of one."""
    rolls = [rollout(work, rates, samplers, search, seed) for seed in range(3)]
    learn, send = update(work, rates, learners), transfer(rates, samplers)
    rolled = updated = 0.0
    ends = [0.0] * (staleness + 1)
    for number in range(20):
        begin = max(rolled, ends[-1 - staleness]) if staleness else updated
        rolled = begin + rolls[number % 3]["seconds"]
        updated = max(rolled, updated) + learn + send
        ends.append(updated)
    parts = {**rolls[0], "update": learn, "transfer": send}
    return updated / 20, parts


def best(
    work: Work, rates: Rates, gpus: int, staleness: int, search: float
) -> tuple[float, int, dict[str, float]]:
    """(seconds a step, GPUs that sample, parts) of the best split."""
    if not staleness or gpus == 1:
        seconds, parts = step_seconds(work, rates, gpus, gpus, 0, search)
        return seconds, gpus, parts
    splits = sorted({max(1, min(gpus - 1, gpus * eighth // 8)) for eighth in range(1, 8)})
    found = [(*step_seconds(work, rates, n, gpus - n, staleness, search), n) for n in splits]
    seconds, parts, samplers = min(found, key=lambda one: one[0])
    return seconds, samplers, parts


def bottleneck(parts: dict[str, float]) -> str:
    """What a step waits for most: search on CPUs, decoding, the update or the weights."""
    if parts["seconds"] < parts["update"] or parts["seconds"] < parts["transfer"]:
        return "weights" if parts["transfer"] > parts["update"] else "update"
    return "search" if parts["search"] > 0.6 * parts["seconds"] else "sampling"


def main() -> None:
    """A line a setting."""
    reader = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    reader.add_argument("--matches", type=int, default=4096)
    reader.add_argument("--turns", type=int, default=15)
    reader.add_argument("--simulations", type=int, default=500)
    asked = reader.parse_args()
    work, rates = Work(asked.matches, asked.turns, asked.simulations), Rates()
    search = measured_simulations()
    print(f"mcts_simulations_per_s_per_core: {search:.0f}")
    for gpus in (1, 8, 64, 512):
        for staleness in (0, 1, 2):
            seconds, samplers, parts = best(work, rates, gpus, staleness, search)
            cost = seconds * gpus * rates.dollars / 3600
            waits = " ".join(f"{name} {parts[name]:.1f}" for name in parts)
            print(
                f"gpus_{gpus}_staleness_{staleness}: {seconds:.1f} s a step, ${cost:.2f};"
                f" {samplers} sample; {waits}; waits for {bottleneck(parts)}"
            )


if __name__ == "__main__":
    main()
