"""Poker logs made here: hands of scripted players, in the shapes that importers meet.

    out/phh/*.phh, *.phhs        hand histories, a part of them with cards hidden
    out/pokerstars/*.txt         the text of a poker room
    out/pokerbench/*.json, *.csv rows labelled by the rule of `tight_aggressive`, not by a solver
    out/pairs.jsonl              {prompt, chosen, rejected} by the same rule

The hands of the first two and of the last two are different ones, so that no decision stands on
both sides of a split under two names.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from tesuji.core.files import write_jsonl, write_text
from tesuji.core.progress import SILENT, Progress
from tesuji.games.poker.prompt import decision_prompt
from tesuji.games.poker.situation import Situation
from tesuji.logs.poker.hand_to_episode import GAME
from tesuji.logs.synthetic.poker_bench import bench_postflop, bench_preflop, label_of, others
from tesuji.logs.synthetic.poker_faults import (
    HISTORY_TRAPS,
    cut_text,
    flop_of,
    hidden,
    unknown_decisions,
)
from tesuji.logs.synthetic.poker_play import MadeHand, play
from tesuji.logs.synthetic.poker_room import (
    can_cash_out,
    collected,
    deciding,
    pokerstars_text,
    showing,
)

HANDS_A_FILE = 50
SINGLE_FILES = 10
EVERY = 12  # of so many hands one has a given fault
EQUAL_SHARE = 0.3  # of the pairs, as in sets found in the wild
EVERY_VIEW = 4  # of so many PokerStars hands one has a given fault, or is seen twice
STARS_TRAPS = (
    "hidden_cards", "unknown_decisions", "unfinished", "unbalanced", "cash_outs", "second_views",
)  # fmt: skip
BAD_DECISIONS = ("", "banana", "fold or call", None)


def make_poker_logs(
    out: Path,
    *,
    games: int,
    seed: int,
    traps: bool,
    progress: Progress = SILENT,
) -> dict[str, int]:
    """Play `games` hands and write them under `out`; return what was written and planted.

    `games`, and the records of each kind: `phh`, `pokerstars`, `pokerbench`, `pairs`. Refused by
    the importers for the reason of that name: `unknown_cards`, `not_toml`, `missing_action`,
    `illegal_action`, `not_a_decision`, `bad_row`. Taken: `hidden_cards` (hands some of whose cards
    are unknown), `unknown_decisions` (decisions in these that become no turn), `unfinished`,
    `unbalanced` (the rake is misprinted), `cash_outs`, `second_views` (hands that stand in a second
    file in another player's eyes) and `equal_pairs`. Raises DataError when `out` cannot be written.
    """
    hands = []
    progress.begin("hands", games)
    for number in range(games):
        hands.append(_told(play(number, seed, even=number % 4 == 3)))
        progress.advance()
    even = hands[3::4]
    rest = [hand for hand in hands if hand.number % 4 != 3]
    stars = rest[2::5]
    named = {hand.number for hand in stars}
    counts = Counter({"games": games})
    counts.update(
        _write_phh(out / "phh", [hand for hand in rest if hand.number not in named], traps)
    )
    counts.update(_write_pokerstars(out / "pokerstars", stars, traps))
    counts.update(_write_bench(out, even, Random(f"poker/rows/{seed}"), traps))
    return dict(counts)


def _told(hand: MadeHand) -> MadeHand:
    """With what the pots paid beside it: of every other hand, and where the room took its rake."""
    if hand.number % 2 == 0 and not sum(hand.state.payoffs):
        return hand
    return replace(hand, history=replace(hand.history, winnings=collected(hand)))


def _write_phh(folder: Path, hands: Sequence[MadeHand], traps: bool) -> dict[str, int]:
    counts = dict.fromkeys(("hidden_cards", "unknown_cards", "unknown_decisions", "not_toml"), 0)
    counts |= dict.fromkeys(HISTORY_TRAPS, 0)
    texts = [_phh_text(place, hand, counts, traps) for place, hand in enumerate(hands)]
    for number, text in enumerate(texts[:SINGLE_FILES]):
        write_text(folder / f"hand_{number:03}.phh", text + "\n")
    many = texts[SINGLE_FILES:]
    for start in range(0, len(many), HANDS_A_FILE):
        part = many[start : start + HANDS_A_FILE]
        sections = "\n\n".join(f"[{place + 1}]\n{text}" for place, text in enumerate(part))
        write_text(folder / f"table_{start // HANDS_A_FILE:03}.phhs", sections + "\n")
    return {"phh": len(texts), **(counts if traps else {})}


def _phh_text(place: int, hand: MadeHand, counts: dict[str, int], traps: bool) -> str:
    """The hand's text, with the fault whose turn it is; half of the rest have hidden cards."""
    if not traps:
        return hand.history.dumps()
    if place % EVERY == 0:
        counts["not_toml"] += 1
        return cut_text(hand)
    for number, (name, fault) in enumerate(HISTORY_TRAPS.items(), start=1):
        if place % EVERY == number and (history := fault(hand)) is not None:
            counts[name] += 1
            return history.dumps()
    return _hidden_text(hand, counts) if place % 2 else hand.history.dumps()


def _hidden_text(hand: MadeHand, counts: dict[str, int]) -> str:
    left_out = unknown_decisions(hand)
    if left_out == len(hand.situations):
        counts["unknown_cards"] += 1
    elif left_out:
        counts["hidden_cards"] += 1
        counts["unknown_decisions"] += left_out
    return hidden(hand).dumps()


def _write_pokerstars(folder: Path, hands: Sequence[MadeHand], traps: bool) -> dict[str, int]:
    counts = Counter(dict.fromkeys(STARS_TRAPS, 0))
    texts, others = [], []
    for place, hand in enumerate(hands):
        first, *more = deciding(hand)
        texts.append(_stars_text(place, hand, first, counts, traps))
        if traps and place % EVERY_VIEW == 1 and more:
            counts["second_views"] += 1
            others.append(_seen(hand, more[0], counts))
    for name, part in (("HH20240101 Made.txt", texts), ("HH20240101 Made (2).txt", others)):
        if part:
            write_text(folder / name, "".join(part))
    return {"pokerstars": len(texts) + len(others), **(counts if traps else {})}


def _stars_text(place: int, hand: MadeHand, hero: int, counts: Counter[str], traps: bool) -> str:
    """The hand as its first player to act saw it, with the fault whose turn it is."""
    if traps and place % EVERY_VIEW == 2 and (flop := flop_of(hand, hero)) is not None:
        text, left_out = flop
        counts.update(unfinished=1, hidden_cards=left_out > 0, unknown_decisions=left_out)
        return text
    sellers = [seat for seat in deciding(hand) if can_cash_out(hand, seat)]
    if traps and place % EVERY_VIEW == 0 and sellers:
        counts["cash_outs"] += 1
        return _seen(hand, sellers[0], counts, cash_out=True)
    text = _seen(hand, hero, counts)
    if traps and place % EVERY_VIEW == 3:
        counts["unbalanced"] += 1
        text = re.sub(r"(\| Rake \$?)", r"\g<1>9", text)
    return text


def _seen(hand: MadeHand, hero: int, counts: Counter[str], *, cash_out: bool = False) -> str:
    left_out = unknown_decisions(hand, known=[hero, *showing(hand)])
    counts.update(hidden_cards=left_out > 0, unknown_decisions=left_out)
    return pokerstars_text(hand, hero, cash_out=cash_out)


def _write_bench(out: Path, hands: Sequence[MadeHand], rng: Random, traps: bool) -> dict[str, int]:
    """Rows and pairs of the decisions of these hands: pairs of every third, rows of the rest."""
    decisions = [at for place, hand in enumerate(hands) if place % 3 for at in hand.situations]
    rows: dict[str, list[dict[str, Any]]] = {
        "preflop.json": [_json_row(at) for at in decisions[::2] if at.phase == "preflop"],
        "postflop.json": [_json_row(at) for at in decisions[::2] if at.phase != "preflop"],
        "preflop.csv": [row for at in decisions[1::2] if (row := bench_preflop(at))],
        "postflop.csv": [row for at in decisions[1::2] if (row := bench_postflop(at))],
    }
    planted = _plant(rows) if traps else {}
    for name, table in rows.items():
        if table:
            text = _csv(table) if name.endswith("csv") else json.dumps(table, indent=1)
            write_text(out / "pokerbench" / name, text + "\n")
    compared = [(hand, at) for hand in hands[::3] for at in hand.situations]
    counts = _write_pairs(out / "pairs.jsonl", compared, rng, traps)
    return {"pokerbench": sum(map(len, rows.values())), **planted, **counts}


def _json_row(at: Situation) -> dict[str, Any]:
    return {"instruction": decision_prompt(at), "output": label_of(at)}


def _plant(rows: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
    """Rows without a decision, or with several; and rows whose holding is no two cards."""
    planted = {"not_a_decision": 0, "bad_row": 0}
    if rows["preflop.json"]:
        model = rows["preflop.json"][0]
        rows["preflop.json"] += [{**model, "output": output} for output in BAD_DECISIONS]
        planted["not_a_decision"] = len(BAD_DECISIONS)
    for name, field in (("preflop.csv", "hero_holding"), ("postflop.csv", "holding")):
        if rows[name]:
            rows[name].append({**rows[name][0], field: "KdKd"})
            planted["bad_row"] += 1
    return planted


def _csv(table: Sequence[dict[str, Any]]) -> str:
    """The table with the column of row numbers that pandas writes first, which has no name."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["", *table[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"": number, **row} for number, row in enumerate(table))
    return text.getvalue().rstrip("\n")


def _write_pairs(
    path: Path, decisions: Sequence[tuple[MadeHand, Situation]], rng: Random, traps: bool
) -> dict[str, int]:
    """The rule's decision over another legal one; with `traps` some pairs say the same twice."""
    pairs: list[dict[str, Any]] = []
    for hand, at in decisions:
        label = label_of(at)
        rejected = rng.choice(others(at, label)).text
        row = {"prompt": decision_prompt(at), "chosen": label, "rejected": rejected}
        about = {"match": f"made-{hand.history.table}-{hand.number}", "game": GAME}
        about |= {"phase": at.phase, "role": at.names[at.seat], "by": "oracle"}
        pairs.append({**row, "about": about})
    equal = round(EQUAL_SHARE * len(pairs)) if traps else 0
    for place in rng.sample(range(len(pairs)), equal):
        pairs[place]["rejected"] = pairs[place]["chosen"]
    if pairs:
        write_jsonl(path, pairs)
    return {"pairs": len(pairs), **({"equal_pairs": equal} if traps else {})}
