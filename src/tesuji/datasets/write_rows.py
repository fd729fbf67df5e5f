"""The second reading of the episodes: the texts of the rows and pairs that were chosen."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import orjson

from tesuji.core.files import atomic_path
from tesuji.core.types import Example, Message, Pair
from tesuji.datasets.candidates import (
    Candidate,
    Pool,
    Seen,
    action_of,
    prompt_of,
    rows_of,
    seen_turns,
    talk_hash,
)
from tesuji.datasets.chosen import Chosen
from tesuji.datasets.filters import FREE_TEXT
from tesuji.datasets.guide_rows import preference_row, prefix, sft_row
from tesuji.datasets.log_pairs import LogPair
from tesuji.datasets.pairs import Plan
from tesuji.datasets.quality import quality
from tesuji.datasets.store import example_row, pair_row

Progress = Callable[[str, int, int], None]
SIDES = ("", "held_out_")
EVERY = 100  # episodes between two words of progress


class Writer:
    """The output files of one data set, each whole or absent; `counts` are the lines in each."""

    def __init__(self, out: Path, stack: ExitStack, *, main: str, scored: bool) -> None:
        self.out, self.main, self.scored = out, main, scored
        self.counts: Counter[str] = Counter()
        self._stack = stack
        self._files: dict[str, IO[bytes]] = {}
        self._shown: set[tuple[str, int]] = set()
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
        if not self.scored or turn.type not in FREE_TEXT:
            return None
        return quality(reply.strip(), won=bool(turn.won), role=turn.role)

    def pair(self, pair: Pair, prompt: int, held_out: bool, legal: Sequence[str] = ()) -> None:
        """One preference, and its prompt."""
        self._write(f"{SIDES[held_out]}pairs.jsonl", pair_row(pair))
        about = {key: value for key, value in pair.about.items() if key not in ("by", "near")}
        self._prompt(prompt, pair.prompt, about, held_out, legal)
        if held_out:
            return
        game = prefix(pair.about["game"]) if pair.about.get("game") else self.main
        type_ = str(pair.about.get("type", ""))
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
        if (name, key) not in self._shown:
            self._shown.add((name, key))
            facts = {k: v for k, v in about.items() if k not in ("won", "legal", "score")}
            moves = {"legal_moves": list(legal)} if legal else {}
            self._write(name, {"prompt": list(prompt), **moves, "about": facts})


def allowed(turn: Candidate) -> list[str]:
    """The legal moves of a turn where they are known; of bets only that one may bet, since more
    sizes are legal than a log can list."""
    texts = turn.legal_moves
    if turn.type == "decision" and "poker" in turn.game:
        texts = tuple(map(action_of, texts))
    return list(dict.fromkeys(texts))


def write_all(
    chosen: Chosen, pool: Pool, processed: Path, writer: Writer, on_progress: Progress
) -> None:
    """Write every row and pair, in the order of the episodes; then the pairs that logs hold."""
    rows: dict[int, list[Candidate]] = defaultdict(list)
    plans: dict[int, list[Plan]] = defaultdict(list)
    for turn in chosen.rows:
        rows[turn.episode].append(turn)
    for made in chosen.plans:
        plans[made.at.episode].append(made)
    last = max([*rows, *plans], default=-1)
    for index, (_, row) in enumerate(rows_of(processed / "episodes.jsonl")):
        if index > last:
            break
        if index in rows or index in plans:
            _episode(row, rows.get(index, ()), plans.get(index, ()), chosen, pool, writer)
        if index % EVERY == 0 or index == last:
            on_progress("writing", index + 1, last + 1)
    _logged(chosen, processed / "pairs.jsonl", writer)


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
            about = about_turn(turn, row["provenance"])
            example = Example(prompt, reply, f"{turn.position:016x}", about=about)
            writer.example(turn, example, chosen.held_out(turn.match))
        for made in paired[seen.place]:
            pair = _pair(made, row, seen, prompt, pool)
            writer.pair(pair, made.key[0], chosen.held_out(made.at.match), allowed(made.at))


def _pair(
    made: Plan, row: Mapping[str, Any], seen: Seen, prompt: tuple[Message, ...], pool: Pool
) -> Pair:
    turn, other = made.at, made.other
    about = {
        k: v
        for k, v in about_turn(turn, row["provenance"]).items()
        if k not in ("won", "legal", "score")
    }
    about |= {"by": made.by, "near": made.near}
    if other is not None and other.shown_match != turn.shown_match:
        about["rejected_match"] = other.shown_match
    shown = prompt_of(row["game"], seen, 0) if made.first else prompt
    rejected = made.rejected
    bad = rejected if isinstance(rejected, str) else pool.replies.get(rejected)
    return Pair(shown, pool.replies.get(made.chosen), bad, f"{turn.position:016x}", about)


def about_turn(turn: Candidate, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of `datasets/about.py` that are known of a turn."""
    file, line = provenance.get("file"), provenance.get("line")
    facts = {
        "match": turn.shown_match,
        "game": turn.game,
        "seat": turn.seat,
        "role": turn.role or None,
        "phase": turn.phase or None,
        "turn": turn.turn,
        "won": turn.won,
        "legal": turn.legal,
        "type": turn.type,
        "source": f"{file}:{line}" if file and line else file,
        "score": turn.score,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _logged(chosen: Chosen, path: Path, writer: Writer) -> None:
    wanted: dict[int, LogPair] = {pair.index: pair for pair in chosen.logged}
    if not wanted:
        return
    for index, (_, row) in enumerate(rows_of(path)):
        if (fact := wanted.get(index)) is None:
            continue
        about = {**(row.get("about") or {}), "by": fact.by, "near": fact.near, "match": fact.match}
        pair = Pair(tuple(row["prompt"]), row["chosen"], row["rejected"], about=about)
        writer.pair(pair, talk_hash(row["prompt"]), chosen.held_out(fact.match))
