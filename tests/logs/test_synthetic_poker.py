"""Made poker logs: the importers find exactly what was planted."""

import csv
import json
from collections import Counter
from dataclasses import replace

import pytest
from listener import Listener

from tesuji.games.poker.situation import legal_moves
from tesuji.logs.base import Record, Refused
from tesuji.logs.formats.phh import Phh
from tesuji.logs.formats.pokerbench import PokerBench
from tesuji.logs.formats.pokerstars import PokerStars
from tesuji.logs.importing import import_logs
from tesuji.logs.poker.label_balance import label_balance
from tesuji.logs.synthetic.poker import make_poker_logs
from tesuji.logs.synthetic.poker_faults import hidden, unknown_decisions
from tesuji.logs.synthetic.poker_play import play
from tesuji.logs.synthetic.poker_players import in_words
from tesuji.logs.synthetic.poker_room import (
    can_cash_out,
    cashed,
    collected,
    deciding,
    pokerstars_text,
)
from tesuji.players.poker.tight_aggressive import by_rule, chance

GAMES = 120
REFUSED = (
    "not_toml", "missing_action", "illegal_action", "unknown_cards", "not_a_decision", "bad_row",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    return out, make_poker_logs(out, games=GAMES, seed=3, traps=True)


def taken(importer, records):
    """(episodes, how many were refused for which reason)."""
    episodes, reasons = [], Counter()
    for value in records:
        try:
            episodes.append(importer.read(Record(value, "a file")))
        except Refused as error:
            reasons[error.reason] += 1
    return episodes, reasons


def texts(importer, folder):
    files = sorted(folder.iterdir())
    return [text for file in files for _, text in importer.split(file.read_text("utf-8"))]


def rows(folder):
    for file in sorted(folder.iterdir()):
        with file.open(encoding="utf-8", newline="") as opened:
            yield from json.load(opened) if file.suffix == ".json" else csv.DictReader(opened)


def test_phh_counts_match_what_was_planted(made):
    out, counts = made
    records = texts(Phh(), out / "phh")
    _, reasons = taken(Phh(), records)
    assert len(records) == counts["phh"]
    expected = ("not_toml", "missing_action", "illegal_action", "unknown_cards")
    assert reasons == {name: counts[name] for name in expected}
    assert min(counts[name] for name in expected) > 0


def test_decisions_with_unknown_cards_are_counted(made):
    out, counts = made
    hands = [*taken(Phh(), texts(Phh(), out / "phh"))[0]]
    hands += taken(PokerStars(), texts(PokerStars(), out / "pokerstars"))[0]
    notes = Counter(note for hand in hands for note in hand.provenance["notes"])
    planted = {"results_disputed": "unbalanced", "cashed_out": "cash_outs"}
    planted |= {"unknown_cards": "hidden_cards", "unfinished": "unfinished"}
    assert notes == {note: counts[name] for note, name in planted.items()}
    assert min(notes.values()) > 0
    left_out = sum(hand.provenance["unknown_decisions"] for hand in hands)
    assert left_out == counts["unknown_decisions"] > 0


def test_pokerstars_counts_match_what_was_planted(made):
    out, counts = made
    records = texts(PokerStars(), out / "pokerstars")
    episodes, reasons = taken(PokerStars(), records)
    assert len(records) == counts["pokerstars"]
    assert not reasons
    matches = Counter(episode.provenance["match"] for episode in episodes)
    assert sum(count == 2 for count in matches.values()) == counts["second_views"] > 0
    assert max(matches.values()) == 2


def test_pokerbench_counts_match_what_was_planted(made):
    out, counts = made
    records = list(rows(out / "pokerbench"))
    episodes, reasons = taken(PokerBench(), records)
    assert len(records) == counts["pokerbench"]
    assert reasons == {name: counts[name] for name in ("not_a_decision", "bad_row")}
    assert all(turn.legal_moves for episode in episodes for turn in episode.turns)
    told = [turn.played in turn.legal_moves for episode in episodes for turn in episode.turns]
    assert sum(told) > 0.7 * len(told)  # the others bet a size between the least and the most


def test_three_in_ten_pairs_are_equal(made):
    out, counts = made
    pairs = [json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines()]
    equal = sum(pair["chosen"] == pair["rejected"] for pair in pairs)
    assert (len(pairs), equal) == (counts["pairs"], counts["equal_pairs"])
    assert equal == round(0.3 * len(pairs)) > 0


def test_the_summary_of_an_import_is_what_was_planted(made, tmp_path):
    out, counts = made
    summary = import_logs([out], tmp_path)
    kinds = ("phh", "pokerstars", "pokerbench", "pairs")
    assert summary.read == sum(counts[kind] for kind in kinds)
    assert summary.read == summary.accepted + summary.rejected
    planted = {name: counts[name] for name in REFUSED}
    assert summary.rejected_by_reason == {**planted, "equal_pair": counts["equal_pairs"]}
    assert summary.notes["unknown_cards"] == counts["hidden_cards"]
    assert summary.endings["truncated"] == counts["unfinished"]


def test_without_traps_everything_is_taken(tmp_path):
    counts = make_poker_logs(tmp_path, games=24, seed=1, traps=False)
    assert set(counts) == {"games", "phh", "pokerstars", "pokerbench", "pairs"}
    for importer, records in (
        (Phh(), texts(Phh(), tmp_path / "phh")),
        (PokerStars(), texts(PokerStars(), tmp_path / "pokerstars")),
        (PokerBench(), rows(tmp_path / "pokerbench")),
    ):
        episodes, reasons = taken(importer, records)
        assert episodes and not reasons
    assert counts["phh"] + counts["pokerstars"] == 18


def test_the_same_seed_makes_the_same_files(tmp_path):
    first, again, other = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    for folder, seed in ((first, 5), (again, 5), (other, 6)):
        make_poker_logs(folder, games=16, seed=seed, traps=True)
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files
    assert all((first / name).read_bytes() == (again / name).read_bytes() for name in files)
    assert any((first / name).read_bytes() != (other / name).read_bytes() for name in files)


def test_progress_and_few_games(tmp_path):
    listener = Listener()
    counts = make_poker_logs(tmp_path, games=1, seed=0, traps=True, progress=listener)
    assert listener.steps == [("hands", 1, 1)]
    assert counts["games"] == 1


def in_chips(made, episode):
    """Name → chips won or lost, where dollars are told of cash games."""
    chip = 1 if sum(map(bool, made.state.antes)) > 1 else 100
    return {
        name: round(won * chip, 6)
        for name, won in zip(episode.players, episode.returns, strict=True)
    }


@pytest.mark.parametrize("seed", range(4))
def test_pokerstars_results_are_those_of_the_engine_that_played(seed):
    words = Counter()
    for made in (play(number, seed) for number in range(100)):
        hero, *_ = deciding(made)
        text = pokerstars_text(made, hero)
        episode = PokerStars().read(Record(text, "x"))
        assert in_chips(made, episode) == made.results
        assert not {"results_disputed", "unfinished"} & {*episode.provenance["notes"]}
        winners = {episode.players[seat] for seat in episode.provenance["winners"]}
        assert winners == {name for name, won in made.results.items() if won > 0}
        mine = [(turn.phase, turn.role) for turn in episode.turns if turn.seat == hero]
        assert mine == [(at.phase, at.names[hero]) for at in made.situations if at.seat == hero]
        words.update(word for word in WORDINGS if word in text)
    assert not {*WORDINGS} - words.keys()


WORDINGS = (
    "Uncalled bet", "doesn't show hand", "side pot", "main pot", "mucked [", "posts the ante",
    "posts straddle", "posts small & big blinds", "and is all-in", "Rake $0.", "bounty", " to $",
)  # fmt: skip


def test_phh_winnings_are_read_as_the_engine_paid_them():
    for made in (play(number, 9) for number in range(100)):
        history = hidden(replace(made, history=replace(made.history, winnings=collected(made))))
        if unknown_decisions(made) == len(made.situations):
            continue  # nobody showed a card: no row, no episode
        episode = Phh().read(Record(history.dumps(), "x"))
        won = dict(zip(episode.players, episode.returns, strict=True))
        assert won == made.results
        assert "results_disputed" not in episode.provenance["notes"]


def test_a_cash_out_pays_its_price_and_says_nothing_of_who_won():
    made = next(made for made in (play(n, 4) for n in range(99)) if can_cash_out(made, 0))
    episode = PokerStars().read(Record(pokerstars_text(made, 0, cash_out=True), "x"))
    name, paid = made.history.players[0], collected(made)[0]
    expected = {**made.results, name: made.results[name] - paid + cashed(paid)}
    assert in_chips(made, episode) == expected
    assert "cashed_out" in episode.provenance["notes"]
    assert "winners" not in episode.provenance and not episode.provenance["outcome"]


def test_the_rule_follows_the_hand_and_says_everything():
    situations = [at for number in range(60) for at in play(number, 2, even=True).situations]
    for at in situations:
        words = in_words(at, by_rule(at))
        kinds = {move.text.split()[0] for move in legal_moves(at)}
        assert words.split()[0] in kinds
    folded = [chance(at) for at in situations if by_rule(at).action == "fold"]
    bet = [chance(at) for at in situations if by_rule(at).action == "bet"]
    assert sum(folded) / len(folded) < 0.45 < 0.65 < sum(bet) / len(bet)
    balance = label_balance([in_words(at, by_rule(at)) for at in situations])
    assert not balance.warnings
    assert set(balance.counts) == {"fold", "check", "call", "bet", "raise", "all-in"}
