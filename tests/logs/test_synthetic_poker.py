"""Made poker logs: the importers find exactly what was planted."""

import csv
import json
from collections import Counter

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
from tesuji.logs.synthetic.poker_files import pokerstars_text
from tesuji.logs.synthetic.poker_play import play
from tesuji.logs.synthetic.poker_players import in_words
from tesuji.players.poker.tight_aggressive import by_rule, chance

GAMES = 120
REFUSED = (
    "not_toml", "missing_action", "illegal_action", "unknown_cards", "unread_posts",
    "not_a_decision", "bad_row",
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
    assert notes == {"unknown_cards": counts["hidden_cards"], "unfinished": counts["unfinished"]}
    left_out = sum(hand.provenance["unknown_decisions"] for hand in hands)
    assert left_out == counts["unknown_decisions"] > 0


def test_pokerstars_counts_match_what_was_planted(made):
    out, counts = made
    records = texts(PokerStars(), out / "pokerstars")
    _, reasons = taken(PokerStars(), records)
    assert len(records) == counts["pokerstars"]
    assert reasons == {"unread_posts": counts["unread_posts"]}


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


@pytest.mark.parametrize("number", range(12))
def test_pokerstars_text_says_what_was_played(number):
    hand = play(number, 11)
    if any(hand.history.antes):
        return
    episode = PokerStars().read(Record(pokerstars_text(hand, hand.situations[0].seat), "x"))
    assert [won * 100 for won in episode.returns] == [float(one) for one in hand.state.payoffs]
    hero = [at for at in hand.situations if at.seat == hand.situations[0].seat]
    mine = [turn for turn in episode.turns if turn.seat == hero[0].seat]
    assert [turn.phase for turn in mine] == [at.phase for at in hero]


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
