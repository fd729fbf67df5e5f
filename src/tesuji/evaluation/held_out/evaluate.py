"""One look at one model through held-out rows: other people's games that no training saw.

    found = evaluate_rows(policy, examples=held_out, pairs=held_out_pairs, ...)

Likelihoods and preferences take all rows, replies at most `limit` prompts. Where rows tell who won,
those of the losing side are left out: how a lost game was played is no example. Decisions at poker
stay, whatever the hand brought: there a row is a label.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from tesuji.core.progress import SILENT, Progress
from tesuji.core.statistics import Share
from tesuji.core.types import Example, Pair
from tesuji.evaluation.held_out.likelihood import (
    Reader,
    by_fact,
    likelihood,
    preferences,
    score_examples,
    score_pairs,
)
from tesuji.evaluation.held_out.poker_decisions import DecisionScore, score_decisions
from tesuji.evaluation.held_out.replies import Answered, answer, by_role, judge, questions
from tesuji.evaluation.held_out.results import RowsScore
from tesuji.learners.model.load import Policy
from tesuji.players.poker.read_reply import read_decision
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.sections import PromptSection, SamplingSection

DECISION = "decision"
T = TypeVar("T")
S = TypeVar("S")


def evaluate_rows(
    subject_policy: Policy,
    *,
    examples: Sequence[Example],
    pairs: Sequence[Pair],
    training_labels: Mapping[str, int],
    prompt: PromptSection,
    sampling: SamplingSection,
    max_length: int,
    limit: int,
    seed: int,
    progress: Progress = SILENT,
) -> RowsScore:
    """Read every held-out row and pair, reply to `limit` prompts, and add up what is found.

    `training_labels` counts the decisions taught (`decision_labels`), for the baseline beside the
    model's. Prompt and reply together take at most `max_length` tokens, and what the model can
    hold. `sampling.legal_only` is not followed: replies are free. Raises EngineError.
    """
    started = time.monotonic()
    reader = _reader(subject_policy, prompt, sampling, max_length)
    good = [row for row in examples if not _lost(row)]
    progress.begin("held-out rows", len(good))
    read = score_examples(reader, good, progress)
    progress.begin("held-out pairs", len(pairs))
    compared = score_pairs(reader, pairs, progress)
    asked = questions(good, limit, seed)
    progress.begin("replies to held-out prompts", len(asked))
    answers, cut = answer(reader, asked, sampling, seed, progress)
    decisions, decisions_by_role = _decisions(answers, training_labels)
    return RowsScore(
        rows=len(examples),
        lost=len(examples) - len(good),
        cut=read.cut,
        dropped=read.dropped,
        pairs_cut=compared.cut,
        pairs_dropped=compared.dropped,
        prompts_cut=cut,
        temperature=sampling.temperature,
        seconds=round(time.monotonic() - started, 2),
        likelihood=likelihood(read.rows),
        likelihood_by_role=_each(by_fact(read.rows, "role"), likelihood),
        likelihood_by_phase=_each(by_fact(read.rows, "phase"), likelihood),
        preferences=preferences(compared.rows),
        preferences_by_role=_each(by_fact(compared.rows, "role"), preferences),
        replies=judge(answers),
        replies_by_role=_each(by_role(answers), judge),
        decisions=decisions,
        decisions_by_role=decisions_by_role,
        training_labels=sum(training_labels.values()) if decisions else 0,
    )


def decision_labels(rows: Iterable[Example]) -> Counter[str]:
    """How often each decision stands in the rows to learn from."""
    return Counter(row.reply for row in rows if row.about.get("type") == DECISION)


def _reader(
    policy: Policy, prompt: PromptSection, sampling: SamplingSection, max_length: int
) -> Reader:
    sampler = LocalSampler(policy.model, policy.tokenizer, batch_size=sampling.batch_size)
    longest = min(max_length, sampler.longest or max_length)
    shown = min(longest, prompt.max_length or longest)
    return Reader(sampler, policy.tokenizer, longest, shown, prompt.enable_thinking)


def _lost(row: Example) -> bool:
    return row.about.get("won") is False and row.about.get("type") != DECISION


def _each(groups: Mapping[str, list[T]], measure: Callable[[list[T]], S | None]) -> dict[str, S]:
    found = {name: measure(rows) for name, rows in groups.items()}
    return {name: value for name, value in found.items() if value is not None}


def _decisions(
    answers: Sequence[Answered], training: Mapping[str, int]
) -> tuple[DecisionScore | None, dict[str, tuple[Share, Share]]]:
    """The score on rows whose label can be read, with its baseline, and (action, exact) by role."""
    asked = [one for one in answers if _is_decision(one)]
    if not asked:
        return None, {}
    taught = [label for label, n in training.items() if read_decision(label) for _ in range(n)]
    whole = score_decisions(
        [one.text for one in asked],
        [one.asked.rows[0].reply for one in asked],
        phases=[one.asked.fact("phase") for one in asked],
        training=taught,
    )
    roles = {name: _by_labels(some) for name, some in by_role(asked).items()}
    return whole, {name: (score.action, score.exact) for name, score in roles.items()}


def _is_decision(one: Answered) -> bool:
    labelled = read_decision(one.asked.rows[0].reply) is not None
    return one.asked.fact("type") == DECISION and labelled


def _by_labels(answers: Sequence[Answered]) -> DecisionScore:
    labels = [one.asked.rows[0].reply for one in answers]
    return score_decisions([one.text for one in answers], labels)
