"""One look at one model through held-out rows: other people's games that no training saw.

    score = evaluate_rows(policy, examples=held_out, pairs=held_out_pairs, ...)

Likelihoods and preferences take all rows, replies at most `limit` prompts. Where rows tell who won,
those of the losing side are left out: how a lost game was played is no example. Decisions at poker
stay, whatever the hand brought: there a row is a label.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tesuji.core.progress import SILENT, Progress
from tesuji.core.statistics import Share
from tesuji.core.types import Example, Pair
from tesuji.evaluation import shares
from tesuji.evaluation.held_out.likelihood import likelihood, preferences, score_examples
from tesuji.evaluation.held_out.poker_decisions import DecisionScore, score_decisions
from tesuji.evaluation.held_out.reader import Reader, reader_of
from tesuji.evaluation.held_out.replies import (
    Answered,
    HeldOutPrompt,
    answer,
    held_out_prompts,
    judge,
)
from tesuji.evaluation.held_out.results import RowsScore
from tesuji.learners.model.load import Policy
from tesuji.learners.model.logprobs import Scored
from tesuji.learners.model.memory import telling_memory
from tesuji.learners.pairs.accuracy import score_pairs
from tesuji.learners.pairs.tokens import tokenize_pairs
from tesuji.players.poker.read_reply import read_decision
from tesuji.players.sampling.base import Sampler
from tesuji.recipe.schema.sections import PromptSection, SamplingSection

DECISION = "decision"
T = TypeVar("T")
S = TypeVar("S")


def evaluate_rows(
    policy: Policy,
    *,
    examples: Sequence[Example],
    pairs: Sequence[Pair],
    training_labels: Mapping[str, int],
    prompt: PromptSection,
    sampling: SamplingSection,
    max_length: int,
    pair_length: int | None = None,
    limit: int,
    seed: int,
    progress: Progress = SILENT,
    sharing: shares.Share = shares.all_here,
    replier: Sampler | None = None,
) -> RowsScore:
    """Read every held-out row and pair, reply to `limit` prompts, and add up what comes of it.

    `training_labels` counts the decisions taught (`decision_labels`), for the baseline beside the
    model's. Prompt and reply together take at most `max_length` tokens (a pair's `pair_length`,
    where that is another), and what the model can hold. `sampling.legal_only` is not followed:
    replies are free, and sampled by `replier` where it is given; all else is computed in this
    process. `sharing` says who replies to what (`share_replies`). Raises EngineError.
    """
    started = time.monotonic()
    reader = reader_of(policy, prompt, sampling.batch_size, max_length, replier)
    good = [row for row in examples if not _lost(row)]
    figures = _read_rows(reader, good, progress)
    figures |= _read_pairs(reader, pairs, prompt, pair_length or max_length, progress)
    prompts = held_out_prompts(good, limit, seed)
    figures |= _reply(reader, prompts, sampling, seed, training_labels, progress, sharing)
    return RowsScore(
        rows=len(examples),
        lost=len(examples) - len(good),
        temperature=sampling.temperature,
        seconds=round(time.monotonic() - started, 2),
        **figures,
    )


def share_replies(
    policy: Policy,
    sharing: shares.Share,
    *,
    examples: Sequence[Example],
    prompt: PromptSection,
    sampling: SamplingSection,
    max_length: int,
    limit: int,
    seed: int,
    replier: Sampler | None = None,
) -> None:
    """This process's share of the replies, where another one evaluates the rows."""
    reader = reader_of(policy, prompt, sampling.batch_size, max_length, replier)
    good = [row for row in examples if not _lost(row)]
    answer(reader, held_out_prompts(good, limit, seed), sampling, seed, SILENT, sharing)


def _read_rows(reader: Reader, rows: Sequence[Example], progress: Progress) -> dict[str, Any]:
    """The fields of RowsScore that rows give: likelihoods."""
    progress.begin("held-out rows", len(rows))
    with telling_memory("while reading held-out rows"):
        read = score_examples(reader, rows, progress)
    return {
        "cut": read.cut,
        "dropped": read.dropped,
        "likelihood": likelihood(read.rows),
        "likelihood_by_role": _each(read.rows, _about("role"), likelihood),
        "likelihood_by_phase": _each(read.rows, _about("phase"), likelihood),
    }


def _read_pairs(
    reader: Reader,
    pairs: Sequence[Pair],
    prompt: PromptSection,
    max_length: int,
    progress: Progress,
) -> dict[str, Any]:
    """Those that pairs give: preferences, of the pairs and tokens that training would judge."""
    progress.begin("held-out pairs", len(pairs))
    longest = min(max_length, reader.sampler.longest or max_length)
    tokens = tokenize_pairs(pairs, reader.tokenizer, prompt, longest)
    progress.advance(len(pairs) - len(tokens.rows))
    with telling_memory("while reading held-out rows"):
        scored = score_pairs(reader.sampler, tokens.rows, progress)
    return {
        "pairs_cut": tokens.cut,
        "pairs_dropped": len(pairs) - len(tokens.rows),
        "preferences": preferences(scored),
        "preferences_by_role": _each(scored, _about("role"), preferences),
    }


def _reply(
    reader: Reader,
    prompts: Sequence[HeldOutPrompt],
    sampling: SamplingSection,
    seed: int,
    training_labels: Mapping[str, int],
    progress: Progress,
    sharing: shares.Share,
) -> dict[str, Any]:
    """Those that the model's own replies give."""
    progress.begin("replies to held-out prompts", len(prompts))
    answers, cut = answer(reader, prompts, sampling, seed, progress, sharing)
    decisions, decisions_by_role = _decisions(answers, training_labels)
    return {
        "prompts_cut": cut,
        "replies": judge(answers),
        "replies_by_role": _each(answers, _role, judge),
        "decisions": decisions,
        "decisions_by_role": decisions_by_role,
        "training_labels": sum(training_labels.values()) if decisions else 0,
    }


def decision_labels(rows: Iterable[Example]) -> Counter[str]:
    """How often each decision stands in the rows to learn from."""
    return Counter(row.reply for row in rows if row.about.get("type") == DECISION)


def _lost(row: Example) -> bool:
    return row.about.get("won") is False and row.about.get("type") != DECISION


def _each(
    rows: Iterable[T], name_of: Callable[[T], Any], measure: Callable[[list[T]], S | None]
) -> dict[str, S]:
    """The measure of each group of rows by its name, sorted; rows without one are left out."""
    groups: dict[str, list[T]] = defaultdict(list)
    for row in rows:
        if name := name_of(row):
            groups[str(name)].append(row)
    measured = {name: measure(groups[name]) for name in sorted(groups)}
    return {name: value for name, value in measured.items() if value is not None}


def _about(fact: str) -> Callable[[Scored], Any]:
    return lambda scored: scored.row.about.get(fact)


def _role(answered: Answered) -> str:
    return answered.prompt.fact("role")


def _decisions(
    answers: Sequence[Answered], training: Mapping[str, int]
) -> tuple[DecisionScore | None, dict[str, tuple[Share, Share]]]:
    """The score on rows whose label can be read, with its baseline, and (action, exact) by role."""
    decided = [one for one in answers if _is_decision(one)]
    if not decided:
        return None, {}
    taught = [label for label, n in training.items() if read_decision(label) for _ in range(n)]
    whole = score_decisions(
        [one.text for one in decided],
        [one.prompt.rows[0].reply for one in decided],
        phases=[one.prompt.fact("phase") for one in decided],
        training=taught,
    )
    return whole, _each(decided, _role, _right)


def _is_decision(one: Answered) -> bool:
    labelled = read_decision(one.prompt.rows[0].reply) is not None
    return one.prompt.fact("type") == DECISION and labelled


def _right(answers: Sequence[Answered]) -> tuple[Share, Share]:
    """Right actions, and right ones whose size is right too."""
    labels = [one.prompt.rows[0].reply for one in answers]
    score = score_decisions([one.text for one in answers], labels)
    return score.action, score.exact
