"""What becomes of the candidates: the rows and the pairs, and on which side each stands."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tesuji.core.progress import Progress
from tesuji.core.types import Message
from tesuji.datasets.from_logs.candidates import (
    Candidate,
    Pool,
    hash_of,
    json_rows,
)
from tesuji.datasets.from_logs.filters import Report, apply, content_rules, select
from tesuji.datasets.from_logs.given_pairs import LogPair
from tesuji.datasets.from_logs.pairs import (
    Couple,
    Dropped,
    Plan,
    agreeing,
    by_legality,
    by_oracle,
    by_outcome,
    couples,
    plan,
    telling,
)
from tesuji.datasets.from_logs.prompts import prompt_of, seen_turns
from tesuji.datasets.from_logs.split import held_out_matches
from tesuji.datasets.judge import judged
from tesuji.recipe.schema.data import LogsStage, PairsSection


@dataclass(slots=True)
class Chosen:
    """Rows and pairs of both sides; `hidden` are the matches that training never sees."""

    hidden: frozenset[str]
    matches: int
    rows: list[Candidate] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    logged: list[LogPair] = field(default_factory=list)
    report: Report = field(default_factory=Report)
    dropped: Dropped = field(default_factory=Counter)

    def held_out(self, match: str) -> bool:
        """Whether a match is on the held-out side."""
        return match in self.hidden


def choose(
    stage: LogsStage,
    pool: Pool,
    logged: list[LogPair],
    episodes: Path,
    out: Path,
    seed: int,
    progress: Progress,
) -> Chosen:
    """Apply the rules, split by match, and make the pairs. Raises EngineError for a judge that
    does not answer."""
    matches = {turn.match for turn in pool.candidates} | {pair.match for pair in logged}
    chosen = Chosen(held_out_matches(matches, stage.held_out, seed), len(matches))
    chosen.report.add(
        "a reply that is not empty", len(pool.candidates), Counter({"empty": pool.silent})
    )
    rules = list(content_rules(stage.select, pool.replies))
    good = apply(rules, pool.candidates, chosen.report)
    chosen.rows = select(stage.select, good, chosen.report)
    if stage.pairs is not None:
        phases = stage.select.phases
        others = [turn for turn in pool.candidates if not phases or turn.phase in phases]
        for side in (False, True):
            mine = [turn for turn in good if chosen.held_out(turn.match) is side]
            theirs = [turn for turn in others if chosen.held_out(turn.match) is side]
            work = _Work(stage.pairs, pool, episodes, out, seed, chosen.dropped, progress)
            chosen.plans += work.plans(mine, theirs)
    _keep_agreeing(chosen, logged, seed)
    if stage.pairs is not None and stage.pairs.max_pairs is not None:
        _cap(chosen, stage.pairs.max_pairs, seed)
    return chosen


def _keep_agreeing(chosen: Chosen, logged: list[LogPair], seed: int) -> None:
    keys = [pair.key for pair in logged] + [made.key for made in chosen.plans]
    ranks = [(0, hash_of(f"{seed}|{pair.match}|{pair.key}")) for pair in logged]
    ranks += [(1, made.at.rank) for made in chosen.plans]
    kept = agreeing(keys, ranks, chosen.dropped)
    made = chosen.plans
    chosen.logged = [pair for place, pair in enumerate(logged) if place in kept]
    chosen.plans = [pair for place, pair in enumerate(made, start=len(logged)) if place in kept]


def _cap(chosen: Chosen, most: int, seed: int) -> None:
    keys = [pair.key for pair in chosen.logged] + [made.key for made in chosen.plans]
    if len(keys) <= most:
        return
    order = sorted(range(len(keys)), key=lambda place: hash_of(f"{seed}|{keys[place]}"))
    kept = {keys[place] for place in order[:most]}
    chosen.dropped["max_pairs"] += len(keys) - len(kept)
    chosen.logged = [pair for pair in chosen.logged if pair.key in kept]
    chosen.plans = [pair for pair in chosen.plans if pair.key in kept]


@dataclass(slots=True)
class _Work:
    """The making of one side's pairs."""

    section: PairsSection
    pool: Pool
    episodes: Path
    out: Path
    seed: int
    dropped: Dropped
    progress: Progress

    def plans(self, good: Sequence[Candidate], others: Sequence[Candidate]) -> list[Plan]:
        """The pairs of every kind that is asked for."""
        near, replies = self.section.near, self.pool.replies
        plans: list[Plan] = []
        for by in dict.fromkeys(self.section.by):
            if by == "outcome":
                plans += by_outcome(good, others, near, replies, self.dropped)
            elif by == "legality":
                plans += by_legality(good, others, near, replies, self.dropped)
            elif by == "oracle":
                plans += by_oracle(good, self.seed)
            else:
                plans += self._by_judge(good)
        return plans

    def _by_judge(self, good: Sequence[Candidate]) -> list[Plan]:
        """Two halves of the turns, drawn by rank, compared with each other."""
        even, odd = ([t for t in good if t.rank % 2 == half and t.legal] for half in (0, 1))
        near = self.section.near
        made = list(telling(couples(even, odd, near, self.dropped), self.dropped))
        made = made[: self.section.max_pairs]
        prompts = self._prompts({(c.chosen.episode, c.chosen.place) for c in made})
        replies = self.pool.replies
        items = [
            (
                prompts[c.chosen.episode, c.chosen.place],
                replies.get(c.chosen.reply_span),
                replies.get(c.rejected.reply_span),
            )
            for c in made
        ]
        if not items:
            return []
        better = judged(items, self.section.judge, self.out / "judge.sqlite", self.progress)
        return list(self._judged_plans(made, better))

    def _judged_plans(self, made: Sequence[Couple], better: Sequence[bool | None]) -> list[Plan]:
        plans = []
        for couple, first in zip(made, better, strict=True):
            if first is None:
                self.dropped["judge undecided"] += 1
            else:
                plans.append(plan(couple, "judge", swapped=not first))
        return plans

    def _prompts(self, wanted: set[tuple[int, int]]) -> dict[tuple[int, int], tuple[Message, ...]]:
        """The prompts of some turns, read from the episodes again."""
        episodes = {episode for episode, _ in wanted}
        return {
            (index, seen.place): prompt_of(row["game"], seen)
            for index, (_, row) in enumerate(json_rows(self.episodes))
            if index in episodes
            for seen in seen_turns(row)
            if (index, seen.place) in wanted
        }
