"""From episodes to traces: tokens in, tokens out, nothing rendered or tokenised again.

While the next prompt extends what a seat has read and said so far, its tokens are appended to the
segment; where it does not (a fresh board each turn, a template that strips old thoughts), a new
segment begins. Prompts, opponents and environment are in the segments and not in the loss.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tesuji.core.types import Episode, Sampled, Segment, Task, Trace, Turn

Rewarded = Mapping[int, Sequence[float]]


def traces_of(
    episode: Episode, task: Task, rewards: Rewarded, *, learner: str, version: int = 0
) -> list[Trace]:
    """One trace for every seat that `learner` held and in which it sampled at least one token.

    `rewards[seat][k]` is what the seat's k-th turn earned, all turns of the seat counted. What a
    turn earned that was not the learner's (a random opening move) goes to its turn before, if any.
    """
    seats = [seat for seat, label in enumerate(episode.players) if label == learner]
    traces = (_trace(episode, task, seat, rewards[seat], learner, version) for seat in seats)
    return [trace for trace in traces if trace is not None]


def _trace(
    episode: Episode, task: Task, seat: int, rewards: Sequence[float], learner: str, version: int
) -> Trace | None:
    turns = [turn for turn in episode.turns if turn.seat == seat]
    earned: list[float] = []
    ours: list[Turn] = []
    for turn, reward in zip(turns, rewards, strict=True):
        if any(attempt.tokens is not None for attempt in turn.attempts):
            ours.append(turn)
            earned.append(reward)
        elif earned:
            earned[-1] += reward
    segments = segments_of(ours)
    if not segments:
        return None
    opponent = _opponent(episode, seat, learner)
    return Trace(
        segments=tuple(segments),
        rewards=tuple(earned),
        game=episode.game,
        seat=seat,
        role=ours[0].role,
        group=_group(task, seat, opponent),
        opponent=opponent,
        policy_version=version,
        truncated=episode.ending == "truncated",
    )


def _opponent(episode: Episode, seat: int, learner: str) -> str:
    """The class of the others in the match: snapshots are one class, whatever their step."""
    others = [label for other, label in enumerate(episode.players) if other != seat]
    classes = {
        label.partition("-")[0] if label.startswith("snapshot-") else label for label in others
    }
    return (
        " + ".join(sorted("self" if label == learner else label for label in classes)) or "nobody"
    )


def _group(task: Task, seat: int, opponent: str) -> str:
    options = sorted(task.options.items())
    return f"{task.game} {options} seed {task.seed} opening {task.opening} seat {seat} {opponent}"


def segments_of(turns: Iterable[Turn]) -> list[Segment]:
    """The segments of one seat's turns, in order; an attempt that failed is learned from too."""
    segments: list[Segment] = []
    open_: _Open | None = None
    for number, turn in enumerate(turns):
        for sampled in (attempt.tokens for attempt in turn.attempts):
            if sampled is None:
                continue
            if open_ is None or not open_.extended_by(sampled.prompt_ids):
                segments += [open_.close()] if open_ else []
                open_ = _Open()
            open_.take(sampled, number)
    return segments + ([open_.close()] if open_ else [])


@dataclass(slots=True)
class _Open:
    """A segment that may still grow."""

    ids: list[int]
    turns: list[int]
    logprobs: list[float]
    allowed: dict[int, tuple[int, ...]]

    def __init__(self) -> None:
        self.ids, self.turns, self.logprobs, self.allowed = [], [], [], {}

    def extended_by(self, prompt: Sequence[int]) -> bool:
        return len(prompt) >= len(self.ids) and list(prompt[: len(self.ids)]) == self.ids

    def take(self, sampled: Sampled, turn: int) -> None:
        """Append what was read since, and then what was replied."""
        read = sampled.prompt_ids[len(self.ids) :]
        self.ids += read
        self.turns += [-1] * len(read)
        self.logprobs += [0.0] * len(read)
        for place, (token, logprob) in enumerate(
            zip(sampled.reply_ids, sampled.logprobs, strict=True)
        ):
            choices = sampled.allowed.get(place)
            learned = choices is None or len(choices) > 1
            if choices is not None and learned:
                self.allowed[len(self.ids)] = choices
            self.ids.append(token)
            self.turns.append(turn if learned else -1)
            self.logprobs.append(logprob if learned else 0.0)

    def close(self) -> Segment:
        return Segment(tuple(self.ids), tuple(self.turns), tuple(self.logprobs), self.allowed)
