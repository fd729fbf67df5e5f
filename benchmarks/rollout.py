"""How fast matches are played with the whole conversation kept, beside the obvious way.

    python benchmarks/rollout.py

64 tic-tac-toe matches at once, both seats the same model (a Qwen3 shape: 6 layers, width 256, 4
heads, vocabulary 512), every turn shown after all earlier turns and replies, answers sampled at
temperature 1 among the legal moves' ids only by the referee (an illegal reply is replaced by a
random move, so that both ways play whole matches). The peer does what most scripts do each turn:
render the messages with the chat template, tokenise them, and call transformers' `generate`.

`rollout_vs_generate` is the ratio of games per second, `rollout_forward_share` the part of our time
spent inside the model's forward passes, `NAME_peak_mb` the most memory that is taken while the
matches are played. Seconds are the process's own (CPU), so that what else runs counts for neither.
"""

import argparse
import statistics
import time

import torch
from _peers import model_of_the_shape, options, peak_mb
from transformers import GenerationConfig

from tesuji.core.types import Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.games.catalogue import load_game
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.model import ModelPlayer
from tesuji.players.prompting.prompt import build_prompt, next_message
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.sections import PromptSection, SamplingSection

MATCHES, NEW = 64, 4
PROMPT = PromptSection(style="compact", answer="id", history="full", retry=False)
RULES = TurnRules(answer="id", retry=False, on_illegal="random")


class GeneratePlayer(Player):
    """The obvious way: messages → template → tokens → `generate`, all of it every turn."""

    name = "generate"

    def __init__(self, model, tokenizer) -> None:
        self.model, self.tokenizer = model, tokenizer
        tokenizer.padding_side = "left"
        self.settings = GenerationConfig(
            do_sample=True,
            top_k=0,
            max_new_tokens=NEW,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )

    def choose(self, requests):
        prompts = [self._messages(request) for request in requests]
        texts = [
            self.tokenizer.apply_chat_template(m, tokenize=False, add_generation_prompt=True)
            for m in prompts
        ]
        batch = self.tokenizer(texts, padding=True, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                generation_config=self.settings,
            )
        replies = self.tokenizer.batch_decode(
            out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
        )
        return [Reply(text=text, prompt=m) for text, m in zip(replies, prompts, strict=True)]

    def _messages(self, request: MoveRequest):
        facts = {
            "observation": request.observation,
            "seat": request.seat,
            "role": request.match.role(request.seat),
            "legal": request.legal,
        }
        if not request.history:
            return build_prompt(PROMPT, game=request.game, **facts)
        last = request.history[-1].attempts[-1]
        reply = {"role": "assistant", "content": last.reply}
        return (*last.prompt, reply, next_message(PROMPT, **facts))


def play(player: Player, seed: int) -> float:
    """Seconds for all matches."""
    game = load_game("tic_tac_toe", {})
    tasks = [Task("tic_tac_toe", seed * MATCHES + n, ("model", "model")) for n in range(MATCHES)]
    start = time.process_time()
    played = list(play_matches(tasks, game=game, players={"model": player}, rules=RULES))
    assert len(played) == MATCHES
    return time.process_time() - start


def ours(model, tokenizer) -> ModelPlayer:
    sampling = SamplingSection(max_new_tokens=NEW)
    sampler = LocalSampler(model, tokenizer, reuse=True)
    return ModelPlayer("ours", sampler, tokenizer, PROMPT, sampling)


class Clock:
    """Time spent inside the model."""

    def __init__(self, model) -> None:
        self.seconds, self.start = 0.0, 0.0
        model.register_forward_pre_hook(self._begin)
        model.register_forward_hook(self._end)

    def _begin(self, *_) -> None:
        self.start = time.process_time()

    def _end(self, *_) -> None:
        self.seconds += time.process_time() - self.start


def main() -> None:
    args = options(argparse.ArgumentParser(), rounds=5)
    model, tokenizer = model_of_the_shape().eval(), build_tokenizer()
    clock = Clock(model)
    seconds: dict[str, list[float]] = {"generate": [], "ours": []}
    players = {"generate": lambda: GeneratePlayer(model, tokenizer)}
    players["ours"] = lambda: ours(model, tokenizer)
    shares = []
    for number in range(args.rounds + 1):  # one round to warm up
        for name in seconds:
            clock.seconds = 0.0
            took = play(players[name](), seed=number)
            if number:
                seconds[name].append(took)
                if name == "ours":
                    shares.append(clock.seconds / took)
    for name, times in seconds.items():
        print(f"{name}_games_per_second: {MATCHES / statistics.median(times):.1f}")
    ratio = statistics.median(seconds["generate"]) / statistics.median(seconds["ours"])
    print(f"rollout_vs_generate: {ratio:.2f}")
    print(f"rollout_forward_share: {statistics.median(shares):.3f}")
    for name, player in players.items():
        print(f"{name}_peak_mb: {peak_mb(lambda player=player: play(player(), seed=1)):.0f}")


if __name__ == "__main__":
    main()
