"""`dataset_statistics.json`: what is in a data set made of logs, and what to beware of."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tesuji.datasets.columns import SPEECH
from tesuji.datasets.describe.distributions import LONGER, MOST, doublings, quantiles
from tesuji.datasets.from_logs.candidates import Candidate, Pool, action_of
from tesuji.datasets.from_logs.selection import Chosen
from tesuji.logs.formats.chat_fields import UNREAD

FEW_ROWS, FEW_PAIRS = 50, 50
SOME_PAIRS = 10  # of winners, from which on their labels are looked at
SIDED = 0.8  # share of one label among decisions that is warned about
SMALL_SHARE = 0.1  # of the rows left by balancing, under which it is warned about


def label_of(turn: Candidate) -> str:
    """A turn's move as a label: a vote's target, a decision without its size; "" for speech."""
    if turn.type in SPEECH or turn.move is None:
        return ""
    text = turn.move[1]
    return action_of(text) if turn.type == "decision" else text


def statistics(chosen: Chosen, pool: Pool, counts: Counter[str]) -> dict[str, Any]:
    """The facts; `counts` are the lines written into each file."""
    train = [turn for turn in chosen.rows if not chosen.held_out(turn.match)]
    hidden = [turn for turn in chosen.rows if chosen.held_out(turn.match)]
    stats: dict[str, Any] = {
        "turns_with_a_reply": len(pool.candidates),
        "rules": chosen.report.rules,
        "train_rows": len(train),
        "held_out_rows": len(hidden),
        "train_pairs": counts["pairs.jsonl"],
        "held_out_pairs": counts["held_out_pairs.jsonl"],
        "train_prompts": counts["prompts.jsonl"],
        "held_out_prompts": counts["held_out_prompts.jsonl"],
        "held_out_rows_with_a_prompt_of_training": _overlap(train, hidden),
        "matches": {
            "all": chosen.matches,
            "held_out": len(chosen.hidden),
            "in_train_rows": len({turn.match for turn in train}),
            "in_held_out_rows": len({turn.match for turn in hidden}),
        },
        "prompt_characters": quantiles(turn.prompt_characters for turn in train),
        "reply_characters": quantiles(turn.reply_characters for turn in train),
        "prompt_lengths": doublings(turn.prompt_characters for turn in train),
        "reply_lengths": doublings(turn.reply_characters for turn in train),
        "games": _table(train, lambda turn: turn.game),
        "roles": _table(train, lambda turn: turn.role or "unknown"),
        "outcomes": _table(train, lambda turn: _OUTCOMES[turn.won]),
        "phases": _table(train, lambda turn: turn.phase or "none"),
        "types": _table(train, lambda turn: turn.type),
        "bare_brackets_in_discussion": sum(turn.bare for turn in pool.candidates),
        "label_balance": _labels(train),
        "pairs": pair_statistics(chosen),
    }
    return stats


_OUTCOMES = {True: "won", False: "not won", None: "unknown"}


def _overlap(train: Sequence[Candidate], hidden: Sequence[Candidate]) -> int:
    prompts = {turn.prompt for turn in train}
    return sum(turn.prompt in prompts for turn in hidden)


def _table(turns: Sequence[Candidate], name: Callable[[Candidate], str]) -> dict[str, int]:
    return dict(Counter(map(name, turns)).most_common(MOST))


def _labels(turns: Sequence[Candidate]) -> dict[str, dict[str, int]]:
    """Type of reply → move → how often."""
    tables: dict[str, Counter[str]] = {}
    for turn in turns:
        if label := label_of(turn):
            tables.setdefault(turn.type, Counter())[label] += 1
    return {name: dict(table.most_common(MOST)) for name, table in sorted(tables.items())}


def pair_statistics(chosen: Chosen) -> dict[str, Any]:
    """Pairs by who preferred and how near, by type, what was dropped, and how long the replies
    are: a model can learn to prefer long replies instead of good ones."""
    facts = [(p.by, p.near, p.type, p.sizes) for p in chosen.logged]
    facts += [(p.by, p.near, p.at.type, p.sizes) for p in chosen.plans]
    return {
        "by_near": dict(Counter(f"{by}/{near}" for by, near, _, _ in facts).most_common()),
        "types": dict(Counter(type_ for _, _, type_, _ in facts).most_common()),
        "dropped": dict(chosen.dropped.most_common()),
        "mean_characters_chosen": _mean([sizes[0] for *_, sizes in facts]),
        "mean_characters_rejected": _mean([sizes[1] for *_, sizes in facts]),
        "chosen_is_longer": sum(sizes[0] > sizes[1] for *_, sizes in facts),
        "chosen_is_shorter": sum(sizes[0] < sizes[1] for *_, sizes in facts),
    }


def _mean(numbers: Sequence[int]) -> float:
    return round(sum(numbers) / len(numbers), 2) if numbers else 0.0


def warnings(
    stats: dict[str, Any], chosen: Chosen, *, wants_pairs: bool, held_out: float
) -> list[str]:
    """What a person should know before training on this, in sentences."""
    sentences = [*_few(stats, wants_pairs=wants_pairs, held_out=held_out), *_rules(stats["rules"])]
    sentences += _one_sided(stats["label_balance"])
    sentences += _never_chosen(chosen)
    sentences += _winners_labels(chosen)
    if bare := sum(turn.bare for turn in chosen.rows):
        sentences.append(
            f"{bare:,} replies of a discussion are nothing but a bracket, such as [3]; "
            "`select: {spoken: true}` leaves them out"
        )
    sentences += _pairs(stats["pairs"], stats["train_pairs"] + stats["held_out_pairs"])
    sentences += _imported(stats["imported"])
    if same := stats["held_out_rows_with_a_prompt_of_training"]:
        sentences.append(
            f"{same:,} of {stats['held_out_rows']:,} held-out rows have a prompt that also stands "
            "in a training match (openings repeat): what is held out are matches, not prompts"
        )
    return sentences


def _imported(summary: dict[str, Any]) -> Iterable[str]:
    """What of the logs did not become rows or pairs though it was readable."""
    refused = summary["rejected_by_reason"]
    if equal := refused.get("equal_pair", 0):
        yield f"{equal:,} pairs of the logs had chosen = rejected and were left out"
    if bad := refused.get("undesirable", 0):
        yield f"{bad:,} rows of the logs are called bad (KTO) and were left out"
    notes = [note for note in summary["notes"].items() if note[0].startswith(UNREAD)]
    if notes:
        listed = ", ".join(f"{note.removeprefix(UNREAD).strip()} ({n:,})" for note, n in notes)
        yield f"fields of the logs that nothing is made of, with the number of rows: {listed}"


def _few(stats: dict[str, Any], *, wants_pairs: bool, held_out: float) -> Iterable[str]:
    if stats["train_rows"] < FEW_ROWS:
        yield f"only {stats['train_rows']:,} rows to learn from"
    if wants_pairs and stats["train_pairs"] < FEW_PAIRS:
        yield f"only {stats['train_pairs']:,} pairs to learn from"
    if held_out and not stats["held_out_rows"]:
        yield "no held-out rows: nothing can be measured on matches that training did not see"
    if held_out and wants_pairs and stats["train_pairs"] and not stats["held_out_pairs"]:
        yield "no held-out pairs"


def _rules(rules: Sequence[dict[str, Any]]) -> Iterable[str]:
    for rule in rules:
        before = rule["left"] + rule["dropped"]
        unknown = rule.get("why", {}).get("not known who won", 0)
        if before and unknown > before / 2:
            yield (
                f"of {unknown:,} of {before:,} turns it is not known who won, so `seats: winners` "
                "dropped them; `seats: all` takes them"
            )
        if rule["rule"].startswith("balance") and rule["left"] < SMALL_SHARE * before:
            yield f"{rule['rule']} left {rule['left']:,} of {before:,} rows: one class is very rare"


def _one_sided(tables: dict[str, dict[str, int]]) -> Iterable[str]:
    for type_, table in tables.items():
        total, (label, most) = sum(table.values()), next(iter(table.items()))
        if total >= FEW_ROWS and most > SIDED * total:
            yield f"label imbalance: {most / total:.0%} of {total:,} {type_} rows say {label!r}"


def _never_chosen(chosen: Chosen) -> Iterable[str]:
    """Decisions that were to be had and that no row takes: sets from showdowns never fold."""
    rows = [t for t in chosen.rows if t.type == "decision" and "poker" in t.game.lower()]
    offered = Counter(action for t in rows for action in {action_of(m) for m in t.legal_moves})
    labels = {label_of(turn) for turn in rows}
    for action, times in sorted(offered.items()):
        if action not in labels and times >= FEW_ROWS:
            yield f"label imbalance: no row says {action!r}, which was possible in {times:,}"


def _winners_labels(chosen: Chosen) -> Iterable[str]:
    """Winners' pairs that teach one label, whatever the situation, or that never take one: who
    folds does not win, and is not wrong for that."""
    plans = [made for made in chosen.plans if made.by == "outcome" and made.other is not None]
    for type_ in sorted({made.at.type for made in plans}):
        mine = [made for made in plans if made.at.type == type_]
        good = Counter(label for made in mine if (label := label_of(made.at)))
        bad = Counter(label for made in mine if made.other and (label := label_of(made.other)))
        total = good.total()
        if total < SOME_PAIRS:
            continue
        [(label, most)] = good.most_common(1)
        if most > SIDED * total:
            yield (
                f"label imbalance: the winner's reply is {label!r} in {most:,} of {total:,} "
                f"{type_} pairs by outcome; a model may learn to say it always"
            )
        for label, times in sorted(bad.items()) if type_ == "decision" else ():
            if label not in good and times >= SOME_PAIRS:
                yield (
                    f"label imbalance: no winner's reply of {total:,} pairs by outcome is "
                    f"{label!r}, {times:,} losers' replies are; a model may learn never to say it"
                )


def _pairs(pairs: dict[str, Any], total: int) -> Iterable[str]:
    dropped = pairs["dropped"]
    for what in ("equal", "contradictory"):
        if dropped.get(what):
            left = "pair was" if dropped[what] == 1 else "pairs were"
            yield f"{dropped[what]:,} {what} {left} left out"
    good, bad = pairs["mean_characters_chosen"], pairs["mean_characters_rejected"]
    if total and max(good, bad) > LONGER * max(1.0, min(good, bad)):
        yield (
            f"length bias: chosen replies have {good:,.0f} characters on average, rejected ones "
            f"{bad:,.0f}; a model may learn the length"
        )
