"""GRPO on a game, the whole of it on one page: play, compare, learn, and again.

    python examples/grpo_from_scratch.py                      # about a minute on a laptop's CPU
    python examples/grpo_from_scratch.py --game kuhn_poker --seed 2

A transformer of 0.1M parameters, fresh from its random weights, learns liar's dice against a player
who bids and calls at random, from nothing but who won. Tesuji gives the rules, the prompt, the
model and the sampler; all that makes it learn is here, in plain torch. It ends near 85% won; the
dice leave nobody more than 89% (pyspiel.nash_conv against uniform play).

GRPO (Shao et al. 2024) plays every situation several times. What one match earned beyond the mean
of its group is the advantage of each move in it: no value network, no labels, and luck with the
dice, which the whole group shares, cancels out.

What it simplifies: one process, no KL term, no checkpoints, a constant learning rate. `tesuji run
tictactoe/tiny-grpo` has all that, from src/tesuji/learners/rl.

Shapes: N replies, P tokens of the longest prompt, R of the longest reply, V in the vocabulary.
"""

import argparse
import random
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from tesuji import load_game
from tesuji.core.statistics import wilson
from tesuji.core.types import Sampled
from tesuji.games.base import Game, Match
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.players.prompting.chat_template import decode_reply, render_prompt, render_reply
from tesuji.players.prompting.prompt import answer_text, build_prompt
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.sections import PromptSection, TinyModel

PROMPT = PromptSection(style="compact", answer="id")  # shows what the seat sees; asks for a number
GROUPS, GROUP_SIZE = 16, 8  # situations in a rollout, matches of each
MINI_BATCHES, LEARNING_RATE = 4, 3e-3
CLIP_LOW, CLIP_HIGH = 0.2, 0.28  # the probability ratio stays between 0.8 and 1.28 (DAPO)


@dataclass
class Play:
    """One match under way: the model sits at `seat`, a random player at the others."""

    match: Match
    seat: int
    dice: random.Random  # what the random player's choices are drawn from
    replies: list[Sampled] = field(default_factory=list)  # the model's, turn by turn

    @property
    def earned(self) -> float:
        return self.match.returns()[self.seat]


class Policy:
    """The model, its tokenizer, and a sampler that draws replies from it."""

    def __init__(self, seed: int) -> None:
        self.model = build_model(TinyModel(), seed)
        self.tokenizer = build_tokenizer()
        self.sampler = LocalSampler(self.model, self.tokenizer)

    def reply(self, game: Game, plays: list[Play], temperature: float) -> list[Sampled]:
        """One reply a match, drawn among its legal moves: token ids and their log-probs."""
        prompts, choices = [], []
        for match, seat in ((play.match, play.seat) for play in plays):
            legal, seen = match.legal_moves(seat), match.observe(seat)
            messages = build_prompt(
                PROMPT, game=game, observation=seen, seat=seat, role=match.role(seat), legal=legal
            )
            prompts.append(render_prompt(self.tokenizer, messages))
            choices.append([render_reply(self.tokenizer, answer_text(PROMPT, m)) for m in legal])
        seeds = [random.getrandbits(60) for _ in plays]
        return self.sampler.sample(
            prompts, choices=choices, seeds=seeds, temperature=temperature, top_p=1.0,
            max_new_tokens=max(len(ids) for legal in choices for ids in legal),
            stop_ids=self.sampler.stop_ids,
        )  # fmt: skip

    def logprobs(self, replies: list[Sampled]) -> Tensor:
        """log p(token | all before it) of every token of the replies, [N, R]; 0 where padded.
        As when they were sampled, tokens that lead to no legal move do not compete."""
        prompt = max(len(reply.prompt_ids) for reply in replies)  # P
        longest = max(len(reply.reply_ids) for reply in replies)  # R
        ids = torch.zeros(len(replies), prompt + longest, dtype=torch.long)
        real = torch.zeros_like(ids)  # 1 where a token stands; prompts are padded on the left
        mask = torch.zeros(len(replies), longest, self.model.config.vocab_size)
        for row, reply in enumerate(replies):
            span = slice(prompt - len(reply.prompt_ids), prompt + len(reply.reply_ids))
            ids[row, span], real[row, span] = torch.tensor(reply.prompt_ids + reply.reply_ids), 1
            for place, legal in reply.allowed.items():
                mask[row, place] = -torch.inf
                mask[row, place, list(legal)] = 0.0
        positions = (real.cumsum(-1) - 1).clamp(min=0)
        logits = self.model(ids, attention_mask=real, position_ids=positions).logits  # [N, P+R, V]
        logps = (logits[:, prompt - 1 : -1] + mask).log_softmax(-1)  # [N, R, V]
        return logps.gather(-1, ids[:, prompt:, None]).squeeze(-1) * real[:, prompt:]


def play_out(policy: Policy, game: Game, plays: list[Play], temperature: float = 1.0) -> None:
    """Play all matches to their ends; the model is asked about all that wait for it at once."""
    while running := [play for play in plays if play.match.to_act]:
        ours = [play for play in running if play.seat in play.match.to_act]
        replies = policy.reply(game, ours, temperature) if ours else []
        for play in running:
            for seat in set(play.match.to_act) - {play.seat}:
                play.match.play(seat, play.dice.choice(play.match.legal_moves(seat)))
        for play, reply in zip(ours, replies, strict=True):
            legal = {str(move.id): move for move in play.match.legal_moves(play.seat)}
            play.match.play(play.seat, legal[decode_reply(policy.tokenizer, reply.reply_ids)])
            play.replies.append(reply)


def rollout(policy: Policy, game: Game, step: int) -> list[Play]:
    """GROUPS situations, one after the other, each GROUP_SIZE times: same dice, same seat."""
    plays = []
    for number in range(GROUPS * GROUP_SIZE):
        group, dice = number // GROUP_SIZE, random.Random(f"{step}/{number}")
        plays.append(Play(game.start(GROUPS * step + group), group % game.num_players, dice))
    play_out(policy, game, plays)
    return plays


def advantages(returns: Tensor) -> Tensor:
    """What each match earned beyond the mean of its group, [GROUPS, GROUP_SIZE] as `returns`; not
    divided by the group's deviation, so that no group counts more than another (Liu et al. 2025).
    """
    return returns - returns.mean(dim=1, keepdim=True)


def clipped_loss(new: Tensor, old: Tensor, advantage: Tensor) -> Tensor:
    """PPO's surrogate (Schulman et al. 2017), meaned over the tokens that were drawn.

    `new`, `old` [N, R]: log-probs now and when sampled; `advantage` [N]. A token that was the only
    one possible has log-prob 0 and nothing to learn.
    """
    ratio, gain = (new - old).exp(), advantage.unsqueeze(1)
    surrogate = torch.minimum(ratio * gain, ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH) * gain)
    drawn = (old != 0).float()
    return -(surrogate * drawn).sum() / drawn.sum().clamp(min=1)


def learn(policy: Policy, optimizer: torch.optim.Optimizer, plays: list[Play]) -> None:
    """One pass over a rollout, in MINI_BATCHES steps."""
    earned = torch.tensor([play.earned for play in plays]).view(GROUPS, GROUP_SIZE)
    rows = [
        (reply, advantage)
        for play, advantage in zip(plays, advantages(earned).flatten(), strict=True)
        for reply in play.replies
        if any(reply.logprobs)
    ]
    random.shuffle(rows)
    for start in range(MINI_BATCHES):
        replies, gains = zip(*rows[start::MINI_BATCHES], strict=True)
        old = [torch.tensor(reply.logprobs) for reply in replies]
        old = torch.nn.utils.rnn.pad_sequence(old, batch_first=True)
        loss = clipped_loss(policy.logprobs(replies), old, torch.stack(gains))
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(policy.model.parameters(), 1.0)
        optimizer.step()


def evaluate(policy: Policy, game: Game, matches: int = 400) -> str:
    """The likeliest moves against the random player, on dice never trained on, all seats alike."""
    seats = game.num_players
    plays = [Play(game.start(-1 - n), n % seats, random.Random(n)) for n in range(matches)]
    play_out(policy, game, plays, temperature=0.0)
    won = sum(play.earned > 0 for play in plays)
    interval = wilson(won, matches)
    return f"wins {won / matches:.0%} (95%: {interval.low:.0%} to {interval.high:.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(description="GRPO on a game, the whole of it on one page.")
    parser.add_argument("--game", default="liars_dice")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    torch.set_num_threads(1)  # a model this small is quickest so
    game, policy, began = load_game(arguments.game), Policy(arguments.seed), time.monotonic()
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    print(f"before:   {evaluate(policy, game)}")
    for step in range(arguments.steps):
        plays = rollout(policy, game, step)
        learn(policy, optimizer, plays)
        if step % 10 == 9:
            mean = sum(play.earned for play in plays) / len(plays)
            print(f"step {step + 1:3}  earns {mean:+.2f} a match  {time.monotonic() - began:.0f} s")
    print(f"after:    {evaluate(policy, game)}")


if __name__ == "__main__":
    main()
