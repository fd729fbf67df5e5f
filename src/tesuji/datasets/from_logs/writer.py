"""The second reading of the episodes: the texts of the rows and pairs that were chosen."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import IO, Any

import orjson

from tesuji.core.files import atomic_path
from tesuji.core.progress import Progress
from tesuji.core.types import Example, Message, Pair
from tesuji.datasets.columns import OF_PAIR, OF_ROW, SHOWN, SPEECH, facts_of, known
from tesuji.datasets.files import example_row, pair_row
from tesuji.datasets.from_logs.candidates import (
    Candidate,
    Pool,
    action_of,
    json_rows,
    talk_hash,
)
from tesuji.datasets.from_logs.flat_rows import preference_row, prefix, sft_row
from tesuji.datasets.from_logs.given_pairs import LogPair
from tesuji.datasets.from_logs.pairs import Plan
from tesuji.datasets.from_logs.prompts import Seen, prompt_of, seen_turns
from tesuji.datasets.from_logs.selection import Chosen
from tesuji.datasets.from_logs.strategy_words import quality

SIDES = ("", "held_out_")
EVERY = 100  # episodes between two words of progress


class Writer:
    """The output files of one data set, each whole or absent; `counts` are the lines in each."""

    def __init__(self, out: Path, stack: ExitStack, *, main: str, scored: bool) -> None:
        self.out, self.main, self.scored = out, main, scored
        self.counts: Counter[str] = Counter()
        self._stack = stack
        self._files: dict[str, IO[bytes]] = {}
        self._prompts: set[tuple[str, int]] = set()
        names = ["train.jsonl", "held_out.jsonl"]
        names += [f"{side}{kind}.jsonl" for side in SIDES for kind in ("pairs", "prompts")]
        names += [f"final/{main}_{kind}_dataset.jsonl" for kind in ("sft", "dpo")]
        for name in names:
            self._open(name)

    def _open(self, name: str) -> IO[bytes]:
        if name not in self._files:
            aside = self._stack.enter_context(atomic_path(self.out / name))
            self._files[name] = self._stack.enter_context(aside.open("wb"))
        return self._files[name]

    def _write(self, name: str, row: Mapping[str, Any]) -> None:
        self._open(name).write(orjson.dumps(row) + b"\n")
        self.counts[name] += 1

    def example(self, turn: Candidate, example: Example, held_out: bool) -> None:
        """One row for SFT, and its prompt."""
        self._write("held_out.jsonl" if held_out else "train.jsonl", example_row(example))
        self._prompt(turn.prompt, example.prompt, example.about, held_out, allowed(turn))
        if held_out:
            return
        score = self._score(turn, example.reply)
        name = f"final/{prefix(turn.game)}_sft_dataset.jsonl"
        self._write(name, sft_row(example.prompt, example.reply, turn.type, score))

    def _score(self, turn: Candidate, reply: str) -> float | None:
        if not self.scored or turn.type not in SPEECH:
            return None
        return quality(reply.strip(), won=bool(turn.won), role=turn.role)

    def pair(self, pair: Pair, prompt: int, held_out: bool, legal: Sequence[str] = ()) -> None:
        """One preference, and its prompt."""
        self._write(f"{SIDES[held_out]}pairs.jsonl", pair_row(pair))
        self._prompt(prompt, pair.prompt, pair.about, held_out, legal)
        if held_out:
            return
        game = prefix(pair.about["game"]) if pair.about.get("game") else self.main
        type_ = str(pair.about.get("type") or "")
        row = preference_row(pair.prompt, pair.chosen, pair.rejected, type_)
        self._write(f"final/{game}_dpo_dataset.jsonl", row)

    def _prompt(
        self,
        key: int,
        prompt: Sequence[Message],
        about: Mapping[str, Any],
        held_out: bool,
        legal: Sequence[str],
    ) -> None:
        name = f"{SIDES[held_out]}prompts.jsonl"
        if (name, key) not in self._prompts:
            self._prompts.add((name, key))
            facts = facts_of(about, SHOWN)
            moves = list(legal) or None
            self._write(name, {"prompt": list(prompt), "legal_moves": moves, "about": facts})


def allowed(turn: Candidate) -> list[str]:
    """The legal moves of a turn where they are known; of bets only that one may bet, since more
    sizes are legal than a log can list."""
    texts = turn.legal_moves
    if turn.type == "decision" and "poker" in turn.game:
        texts = tuple(map(action_of, texts))
    return list(dict.fromkeys(texts))


def write_all(
    chosen: Chosen, pool: Pool, processed: Path, writer: Writer, progress: Progress
) -> None:
    """Write every row and pair, in the order of the episodes; then the pairs that logs hold.

    Where some facts are known of late episodes only, one of these stands first: whoever reads
    JSON lines takes the types of the columns from the beginning of the file.
    """
    rows: dict[int, list[Candidate]] = defaultdict(list)
    plans: dict[int, list[Plan]] = defaultdict(list)
    for turn in chosen.rows:
        rows[turn.episode].append(turn)
    for made in chosen.plans:
        plans[made.at.episode].append(made)
    wanted = {*rows, *plans}
    first = _first(chosen)
    progress.begin("writing", max(wanted, default=-1) + 1)
    for now in (first, wanted - first):
        last = max(now, default=-1)
        for index, (_, row) in enumerate(_until(processed / "episodes.jsonl", last)):
            if index in now:
                _episode(row, rows.get(index, ()), plans.get(index, ()), chosen, pool, writer)
            if now is not first and (index % EVERY == 0 or index == last):
                progress.update(index + 1)
    _logged(chosen, processed / "pairs.jsonl", writer)


def _until(path: Path, last: int) -> Iterator[tuple[str, Any]]:
    return islice(json_rows(path), last + 1)


def _first(chosen: Chosen) -> set[int]:
    """Episodes to write before the others: of each side and kind, those that know something which
    the first ones do not."""
    episodes: set[int] = set()
    for side in (False, True):
        turns = [turn for turn in chosen.rows if chosen.held_out(turn.match) is side]
        plans = [made for made in chosen.plans if chosen.held_out(made.at.match) is side]
        episodes |= with_new_facts((t.episode, known(_facts(t)) | _listed(t)) for t in turns)
        episodes |= with_new_facts(
            (p.at.episode, known(_pair_facts(p)) | _listed(p.at)) for p in plans
        )
    return episodes


def _listed(turn: Candidate) -> frozenset[str]:
    return frozenset({"legal_moves"} if turn.legal_moves else ())


def with_new_facts(facts: Iterable[tuple[int, frozenset[str]]]) -> set[int]:
    """Numbers that bring a fact not known of an earlier one; none if all do so among the first."""
    met: frozenset[str] = frozenset()
    numbers: set[int] = set()
    for place, (number, names) in enumerate(facts):
        if place >= EVERY and names - met:
            numbers.add(number)
        met |= names
    return numbers


def _episode(
    row: Mapping[str, Any],
    rows: Sequence[Candidate],
    plans: Sequence[Plan],
    chosen: Chosen,
    pool: Pool,
    writer: Writer,
) -> None:
    wanted = {turn.place: turn for turn in rows}
    paired: dict[int, list[Plan]] = defaultdict(list)
    for made in plans:
        paired[made.at.place].append(made)
    for seen in seen_turns(row):
        if seen.place not in wanted and seen.place not in paired:
            continue
        prompt = prompt_of(row["game"], seen)
        if turn := wanted.get(seen.place):
            reply = pool.replies.get(turn.reply_span)
            about = facts_of({**_facts(turn), "source": source_of(row)}, OF_ROW)
            example = Example(prompt, reply, f"{turn.position:016x}", about=about)
            writer.example(turn, example, chosen.held_out(turn.match))
        for made in paired[seen.place]:
            pair = _pair(made, row, seen, prompt, pool)
            writer.pair(pair, made.key[0], chosen.held_out(made.at.match), allowed(made.at))


def _pair(
    made: Plan, row: Mapping[str, Any], seen: Seen, prompt: tuple[Message, ...], pool: Pool
) -> Pair:
    about = facts_of({**_pair_facts(made), "source": source_of(row)}, OF_PAIR)
    asked_with = prompt_of(row["game"], seen, 0) if made.first else prompt
    rejected = made.rejected
    bad = rejected if isinstance(rejected, str) else pool.replies.get(rejected)
    return Pair(asked_with, pool.replies.get(made.chosen), bad, f"{made.at.position:016x}", about)


def source_of(row: Mapping[str, Any]) -> str | None:
    """The file an episode is from, and the line where the file holds several."""
    about = row.get("provenance", {})
    file, line = about.get("file"), about.get("line")
    return f"{file}:{line}" if file and line else file


def _facts(turn: Candidate) -> dict[str, Any]:
    """The facts of `datasets/columns.py` that a turn itself knows."""
    return {
        "match": turn.shown_match,
        "game": turn.game,
        "seat": turn.seat,
        "role": turn.role or None,
        "phase": turn.phase or None,
        "turn": turn.turn,
        "won": turn.won,
        "legal": turn.legal,
        "type": turn.type,
        "score": turn.score,
        "eliminated": turn.eliminated,
    }


def _pair_facts(made: Plan) -> dict[str, Any]:
    """The same of a pair."""
    turn, other = made.at, made.other
    far = other is not None and other.shown_match != turn.shown_match
    rejected = {"rejected_match": other.shown_match} if far and other is not None else {}
    return {**_facts(turn), "by": made.by, "near": made.near, **rejected}


def _logged(chosen: Chosen, path: Path, writer: Writer) -> None:
    wanted = {pair.index: pair for pair in chosen.logged}
    sides = [[p for p in chosen.logged if chosen.held_out(p.match) is s] for s in (False, True)]
    first = set().union(*(with_new_facts((p.index, p.facts) for p in side) for side in sides))
    for now in (first, wanted.keys() - first):
        _logged_among({index: wanted[index] for index in now}, path, chosen, writer)


def _logged_among(
    wanted: Mapping[int, LogPair], path: Path, chosen: Chosen, writer: Writer
) -> None:
    for index, (_, row) in enumerate(_until(path, max(wanted, default=-1))):
        if (fact := wanted.get(index)) is None:
            continue
        facts = {"by": fact.by, "near": fact.near, "match": fact.match, "type": fact.type}
        about = facts_of({**(row.get("about") or {}), **facts}, OF_PAIR)
        pair = Pair(tuple(row["prompt"]), row["chosen"], row["rejected"], about=about)
        writer.pair(pair, talk_hash(row["prompt"]), chosen.held_out(fact.match))
