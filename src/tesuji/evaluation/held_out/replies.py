"""Replies of a model's own to held-out prompts, and what can be told of them without an oracle.

Whether a target is valid is read from the prompt itself: the last game message lists them. A reply
agrees when it names what was played there; that is no proof that it is good, so what a random
valid target scores stands beside it.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from tesuji.core.progress import Progress
from tesuji.core.seeds import stream
from tesuji.core.statistics import share
from tesuji.core.types import Example, Message, Move, Sampled
from tesuji.datasets.columns import SPEECH
from tesuji.datasets.from_logs.strategy_words import quality, words_in
from tesuji.evaluation.held_out.reader import Reader
from tesuji.evaluation.held_out.results import Indicators, Replies
from tesuji.evaluation.shares import Share, all_here
from tesuji.games.textarena.secretmafia import NAMED, last_message, read_action, targets
from tesuji.players.prompting.chat_template import decode_reply
from tesuji.players.prompting.parse_reply import split_thought
from tesuji.recipe.schema.data import SelectSection
from tesuji.recipe.schema.sections import SamplingSection

Targets = tuple[Move, ...]

UNJUDGED = (*SPEECH, "decision")  # no single move that was played
RULE = SelectSection()  # the guide's own limits


@dataclass(frozen=True, slots=True)
class HeldOutPrompt:
    """A held-out prompt with every row that replies to it (several, where several moves are
    equally good). Facts are those of the first."""

    messages: tuple[Message, ...]
    rows: tuple[Example, ...]

    def fact(self, name: str) -> str:
        """A fact of the row as text; "" where it is not known."""
        value = self.rows[0].about.get(name)
        return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Answered:
    """A prompt with the model's reply: its text, its tokens, whether it came to its end."""

    prompt: HeldOutPrompt
    text: str
    tokens: int
    finished: bool


def held_out_prompts(rows: Sequence[Example], limit: int, seed: int) -> list[HeldOutPrompt]:
    """At most `limit` distinct prompts of the rows, drawn evenly; in the rows' order."""
    groups: dict[tuple[tuple[str, str], ...], list[Example]] = defaultdict(list)
    for row in rows:
        groups[tuple((m["role"], m["content"]) for m in row.prompt)].append(row)
    prompts = [HeldOutPrompt(some[0].prompt, tuple(some)) for some in groups.values()]
    if len(prompts) <= limit:
        return prompts
    drawn = random.Random(stream(seed, "held-out prompts")).sample(range(len(prompts)), limit)
    return [prompts[place] for place in sorted(drawn)]


def answer(
    reader: Reader,
    prompts: Sequence[HeldOutPrompt],
    sampling: SamplingSection,
    seed: int,
    progress: Progress,
    sharing: Share = all_here,
) -> tuple[list[Answered], int]:
    """One free reply a prompt, and how many prompts were cut at their beginning (`Reader`);
    `sharing` says who replies to which."""
    fitted = reader.prompts([one.messages for one in prompts], sampling)

    def reply(places: Sequence[int]) -> list[Sampled]:
        sampled: dict[int, Sampled] = {}
        for replies in reader.replies(
            {place: fitted[place][0] for place in places},
            sampling,
            lambda place: stream(seed, "held-out reply", place),
            "while replying to held-out prompts",
        ):
            sampled |= replies
            progress.advance(len(replies))
        return [sampled[place] for place in places]

    sampled = sharing(range(len(prompts)), reply)
    answered = [_answered(reader, *pair) for pair in zip(prompts, sampled, strict=True)]
    return answered, sum(cut for _, cut in fitted)


def _answered(reader: Reader, prompt: HeldOutPrompt, sampled: Sampled) -> Answered:
    text = decode_reply(reader.tokenizer, sampled.reply_ids)
    return Answered(prompt, text, len(sampled.reply_ids), sampled.stopped)


def judge(answers: Sequence[Answered]) -> Replies | None:
    """What the replies are like; None of none."""
    if not answers:
        return None
    listed = [(one, valid) for one in answers if (valid := _valid(one.prompt))]
    agreed, chances = _agreement(answers)
    decisive, decisive_chances = _decisive(answers)
    speech = [one for one in answers if one.prompt.fact("type") in SPEECH]
    return Replies(
        replies=len(answers),
        legal=share([target_of(one.text, valid) is not None for one, valid in listed]),
        agree=share(agreed),
        agree_random=_mean(chances),
        decisive=share(decisive),
        decisive_random=_mean(decisive_chances),
        empty=sum(not one.text.strip() for one in answers),
        unfinished=sum(not one.finished for one in answers),
        distinct=len({one.text.strip() for one in answers}),
        mean_characters=fmean(len(one.text) for one in answers),
        mean_tokens=fmean(one.tokens for one in answers),
        said=indicators([(one.text, one.prompt.fact("role")) for one in speech]),
        said_there=indicators(
            [(row.reply, one.prompt.fact("role")) for one in speech for row in one.prompt.rows]
        ),
    )


def _valid(prompt: HeldOutPrompt) -> Targets:
    return valid_targets(prompt.messages) if prompt.fact("type") not in UNJUDGED else ()


def _agreement(answers: Sequence[Answered]) -> tuple[list[bool], list[float]]:
    """Whether each reply names what was played, and how likely a random target is to."""
    agreed, chances = [], []
    for one in answers:
        if one.prompt.fact("type") in UNJUDGED:
            continue
        valid = _valid(one.prompt)
        if not valid:
            agreed.append(
                _without_thought(one.text)
                in {_without_thought(row.reply) for row in one.prompt.rows}
            )
            continue
        played = {target_of(row.reply, valid) for row in one.prompt.rows} - {None}
        if played:
            agreed.append(target_of(one.text, valid) in played)
            chances.append(len(played) / len(valid))
    return agreed, chances


def _decisive(answers: Sequence[Answered]) -> tuple[list[bool], list[float]]:
    """Whether each vote names the player who was then voted out, and a random one's chance."""
    hits, chances = [], []
    for one in answers:
        valid, out = _valid(one.prompt), _voted_out(one.prompt)
        if out is not None and out in {move.id for move in valid}:
            hits.append(target_of(one.text, valid) == out)
            chances.append(1 / len(valid))
    return hits, chances


def _voted_out(prompt: HeldOutPrompt) -> int | None:
    """Who was voted out after this vote, as far as the row tells."""
    eliminated = prompt.rows[0].about.get("eliminated")
    return eliminated if isinstance(eliminated, int) else None


def _without_thought(text: str) -> str:
    return split_thought(text)[1].strip()


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def valid_targets(messages: Sequence[Message]) -> Targets:
    """The players that the prompt's last game message lists; empty where it lists none."""
    observation = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
    return targets(last_message(observation))


def target_of(reply: str, valid: Targets) -> int | None:
    """The valid player that a reply names (the last bracket counts), its thought stripped."""
    move = read_action(split_thought(reply)[1], NAMED[0], valid).move
    return None if move is None else move.id


def indicators(replies: Sequence[tuple[str, str]]) -> Indicators | None:
    """Words and scores over (reply, role of who said it); nobody is taken for a winner, so that
    scores can be compared. None of none."""
    if not replies:
        return None
    words = [words_in(reply) for reply, _ in replies]
    counts = Counter(word for some in words for word in some)
    return Indicators(
        replies=len(replies),
        words=fmean(map(len, words)),
        score=fmean(quality(reply, won=False, role=role) for reply, role in replies),
        passing=share(
            [
                len(reply) >= RULE.min_characters and len(some) >= RULE.min_indicators
                for (reply, _), some in zip(replies, words, strict=True)
            ]
        ),
        counts=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
    )
