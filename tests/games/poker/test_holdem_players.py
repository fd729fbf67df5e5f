"""Players at the poker table, what they win, hands written as PHH, and ten hands kept for good."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from places import GOLDEN
from pokerkit import Card, Deck, StandardHighHand, calculate_equities
from rich.console import Console

from tesuji.core.errors import GameError
from tesuji.core.types import Ending, Episode, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.store import read_episodes
from tesuji.evaluation.evaluate import Subject, evaluate
from tesuji.evaluation.matches.against import EVALUATED, play_opponent, winnings
from tesuji.games.catalogue import load_game
from tesuji.games.poker.game import PokerGame
from tesuji.games.poker.hand import PokerMatch
from tesuji.logs.base import Record
from tesuji.logs.formats.phh import Phh
from tesuji.logs.poker.phh_writer import save_hands
from tesuji.players.base import MoveRequest, Player
from tesuji.players.basic.scripted import ScriptedPlayer
from tesuji.players.poker.equity import KINDS, equity, rank
from tesuji.players.registry import make_player, parse_player, players_of
from tesuji.recipe.schema.recipe import EvaluationSection
from tesuji.recipe.schema.sections import PromptSection
from tesuji.report.headline import headline
from tesuji.report.tables.matches import evaluation_table

EPISODES_FILE = GOLDEN / "poker.jsonl"
SHORT = {"small_blind": 1, "big_blind": 2, "stack": 40}


def table(name: str = "holdem", **options: object) -> PokerGame:
    game = load_game(name, {**SHORT, **options})
    assert isinstance(game, PokerGame)
    return game


def player(text: str, game: PokerGame) -> Player:
    return make_player(parse_player(text), game=game)


def duel(
    one: str, other: str, hands: int, game: PokerGame | None = None, seed: int = 1
) -> list[Episode]:
    game = game or table()
    return play_opponent(
        game,
        player(one, game),
        player(other, game),
        episodes=hands,
        seed=seed,
        rules=TurnRules(),
    )


@pytest.mark.parametrize("kind", ["holdem", "short_deck", "omaha"])
def test_hands_rank_as_pokerkit_ranks_them(kind: str) -> None:
    deck, hand = KINDS[kind]
    rng, each = random.Random(kind), 4 if kind == "omaha" else 2
    suited = [card for card in deck if card.suit.value == "h"]
    for number in range(300):
        cards = rng.sample([*deck], each + 5)
        if number % 3 == 0:  # flushes are rare
            rest = [card for card in deck if card not in suited]
            cards = [*rng.sample(suited, 5), *rng.sample(rest, each)]
            rng.shuffle(cards)
        one, two = cards[:each], rng.sample([c for c in deck if c not in cards], each)
        ours, theirs = (hand.from_game(hole, cards[each:]) for hole in (one, two))
        named = [[repr(card) for card in part] for part in (one, two, cards[each:])]
        ranks = rank(kind, named[0], named[2]), rank(kind, named[1], named[2])
        assert (ranks[0] > ranks[1], ranks[0] == ranks[1]) == (ours > theirs, ours == theirs)


@pytest.mark.parametrize(
    ("hole", "board", "low", "high"),
    [("AsAh", "", 0.81, 0.89), ("7c2d", "", 0.30, 0.40), ("AhKh", "QhJhTh", 1.0, 1.0),
     ("2c3d", "AsKsQsJsTs", 0.5, 0.5), ("9c9d", "9h5s2d", 0.93, 0.99)],
)  # fmt: skip
def test_equity_against_a_random_hand(hole: str, board: str, low: float, high: float) -> None:
    cards = tuple(Card.parse(hole)), tuple(Card.parse(board))
    before = random.getstate()
    found = equity("holdem", *cards, 1, samples=800, seed=5)
    assert low <= found <= high
    assert found == equity("holdem", *cards, 1, samples=800, seed=5)
    assert random.getstate() == before
    assert equity("holdem", *cards, 3, samples=400, seed=5) <= found + 0.02


def test_equity_agrees_with_pokerkits_calculator() -> None:
    hole, board = tuple(Card.parse("AdJd")), tuple(Card.parse("Jc8d3d"))
    before = random.getstate()
    theirs = calculate_equities(
        *([[hole], [()]], board, 2, 5, Deck.STANDARD, (StandardHighHand,)), sample_count=600
    )
    random.setstate(before)
    ours = equity("holdem", hole, board, 1, samples=2000, seed=1)
    assert abs(ours - theirs[0]) < 0.06


def test_players_decide_as_they_should() -> None:
    game = table(stack=200)
    deck = ["2c", "7d", "As", "Ah", "Kd", "9c", "4s", "3h", "Qc"]  # BB holds 72, BTN aces
    match = game.start_with(deck)

    assert says(game, match, "equity") == "raise to 6"
    assert says(game, match, "tight_aggressive").startswith("raise to")
    assert says(game, match, "always_call") == "call"
    match.play(1, match.legal_moves(1)[-1])
    assert [says(game, match, who) for who in ("equity", "tight_aggressive", "always_call")] == [
        *("fold", "fold", "call")
    ]


def says(game: PokerGame, match: PokerMatch, who: str) -> str:
    """What this player does now, in words."""
    [seat] = match.to_act
    legal = match.legal_moves(seat)
    asked = MoveRequest(game, match, seat, match.observe(seat), legal, seed=1)
    [reply] = player(who, game).choose([asked])
    assert reply.move in legal
    return reply.move.text


@pytest.mark.parametrize("name", ["holdem", "omaha", "short_deck"])
@pytest.mark.parametrize("bets", ["menu", "text"])
def test_every_player_plays_every_kind(name: str, bets: str) -> None:
    game = table(name, players=4, bets=bets)
    able = players_of(game.info)
    named = {who: player(who if who != "equity" else "equity:samples=5", game) for who in able}
    tasks = [Task(name, seed, tuple((able * 4)[seed : seed + 4])) for seed in range(12)]
    for episode in play_matches(tasks, game=game, players=named):
        assert episode.ending is Ending.FINISHED and sum(episode.returns) == 0


def test_the_script_of_holdem_is_refused_elsewhere_and_the_players_elsewhere_too() -> None:
    with pytest.raises(GameError, match="cannot play omaha"):
        player("tight_aggressive", table("omaha"))
    with pytest.raises(GameError, match="cannot play kuhn_poker"):
        make_player(parse_player("equity"), game=load_game("kuhn_poker"))


def test_better_players_win_and_duplicate_deals_narrow_the_interval() -> None:
    found = winnings(duel("equity:samples=20", "always_call", 200))
    assert found is not None and found.interval.low > 0 and found.deals == 100
    width = found.interval.high - found.interval.low
    assert width < 0.8 * (found.plain.high - found.plain.low)
    lost = winnings(duel("always_call", "tight_aggressive", 300))
    assert lost is not None and lost.interval.high < 0


def test_a_player_against_itself_wins_nothing_on_duplicate_deals() -> None:
    found = winnings(duel("always_call", "always_call", 20))
    assert found is not None
    assert (found.mbb, found.interval.low, found.interval.high) == (0, 0, 0)
    assert found.plain.high > 0


def test_an_odd_number_of_hands_leaves_a_deal_half_played() -> None:
    found = winnings(duel("always_call", "random", 7))
    assert found is not None and found.deals == 4
    assert winnings([]) is None


def test_evaluation_and_report_give_winnings_beside_randoms() -> None:
    game = table()
    found = evaluate(
        Subject("after", "a rule", player("tight_aggressive", game)),
        EvaluationSection.model_validate(
            {"opponents": [{"player": "always_call"}], "episodes": 60, "positions": 0}
        ),
        game=game,
        prompt=PromptSection(),
        questions=(),
        seed=1,
    )
    row, chance = found.matches[0], found.baseline[0]
    assert row.winnings is not None and row.winnings.deals == 30
    assert row.winnings.mbb == pytest.approx(1000 * row.mean_return)
    assert chance.winnings is not None
    console = Console(width=100)
    with console.capture() as shown:
        console.print(evaluation_table(None, found, width=100))
    text = shown.get()
    assert "mbb/hand" in text and "30 deals" in text and "... random" in text
    assert headline(found).sentence.startswith("It wins") and "mbb/hand" in headline(found).sentence


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("holdem", {}),
        ("holdem", {"players": 5, "ante": 1, "bets": "text"}),
        ("omaha", {"players": 3}),
        ("short_deck", {"players": 4}),
        ("short_deck", {}),
    ],
)
def test_hands_are_written_as_phh_and_read_back(
    tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    game = table(name, **options)
    tasks = [Task(name, seed, ("random",) * game.num_players) for seed in range(25)]
    players = {"random": player("random", game)}
    episodes = list(play_matches(tasks, game=game, players=players))
    assert save_hands(tmp_path / "hands.phhs", game, episodes) == 25
    importer = Phh()
    texts = list(importer.split((tmp_path / "hands.phhs").read_text()))
    assert len(texts) == 25
    for (_, text), episode in zip(texts, episodes, strict=True):
        read = importer.read(Record(text, "hands.phhs"))
        chips = tuple(2 * earned for earned in episode.returns)
        assert read.returns == chips and read.players == episode.players
        known = [(t.seat, t.played.text) for t in read.turns if t.played]
        assert known == [(t.seat, t.played.text) for t in episode.turns if t.played]
        assert not read.provenance["notes"] and read.provenance["unknown_decisions"] == 0


def test_forfeited_hands_are_written_with_what_they_cost(tmp_path: Path) -> None:
    game = table(players=3)
    named = {"a": player("always_call", game), "b": ScriptedPlayer()}
    [episode] = play_matches([Task("holdem", 1, ("a", "b", "a"))], game=game, players=named)
    cut = replace(episode, turns=episode.turns[:2], ending=Ending.FORFEIT, offender=1)
    assert save_hands(tmp_path / "h.phhs", game, [cut]) == 1
    text = (tmp_path / "h.phhs").read_text()
    read = Phh().read(Record(text, "h.phhs"))
    assert read.returns == (1.0, -2.0, 1.0) and not read.provenance["notes"]
    assert save_hands(tmp_path / "none.phhs", load_game("kuhn_poker"), [cut]) == 0
    assert not (tmp_path / "none.phhs").exists()


def test_a_hand_cut_off_by_the_move_limit_says_nothing_of_its_end(tmp_path: Path) -> None:
    game = table()
    named = {"a": player("always_call", game)}
    [cut] = play_matches(
        [Task("holdem", 1, ("a", "a"))], game=game, players=named, rules=TurnRules(max_moves=2)
    )
    assert cut.ending is Ending.TRUNCATED and cut.returns == (0.0, 0.0)
    save_hands(tmp_path / "h.phhs", game, [cut])
    read = Phh().read(Record((tmp_path / "h.phhs").read_text(), "h.phhs"))
    assert read.ending is Ending.TRUNCATED and len(read.turns) == 2


def test_ten_golden_hands_are_played_again_as_they_were() -> None:
    golden = list(read_episodes(EPISODES_FILE))
    assert len(golden) == 10 and {episode.game for episode in golden} == set(KINDS)
    for episode in golden:
        match = load_game(episode.game, episode.options).start(episode.seed)
        for turn in episode.turns:
            assert match.to_act == (turn.seat,) and match.observe(turn.seat) == turn.observation
            assert match.role(turn.seat) == turn.role and turn.played is not None
            match.play(turn.seat, turn.played)
        assert match.to_act == () and match.returns() == episode.returns


def test_the_evaluated_player_gets_the_same_cards_in_every_seat() -> None:
    game = table(players=3)
    played = duel("random", "always_call", 6, game)
    deals = {episode.seed for episode in played}
    assert len(deals) == 2
    for seed in deals:
        seats = {e.players.index(EVALUATED) for e in played if e.seed == seed}
        assert seats == {0, 1, 2}
