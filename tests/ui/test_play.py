"""Playing over HTTP: who can sit down, what the page shows, and many at once."""

import re
import threading
from collections.abc import Iterator

import httpx
import pytest
from made_run import make_run
from tiny_models import tiny_policy
from ui_site import Site, open_site

from tesuji.episodes.store import read_episodes
from tesuji.serve.ui.house import House

SEATS = {"seat": ["person", "random"], "other": ["", ""]}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A folder with one run, whose models are tiny and know nothing."""
    house = House(tmp_path_factory.mktemp("runs"))
    run = make_run(house.runs / "made")
    for folder, seed in ((run / "base", 1), (run / "stages" / "02-sft" / "final", 2)):
        policy = tiny_policy(seed)
        policy.model.save_pretrained(folder)
        policy.tokenizer.save_pretrained(folder)
    return house


@pytest.fixture(scope="module")
def site(house: House) -> Iterator[Site]:
    before = set(threading.enumerate())
    with open_site(house) as opened:
        yield opened
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert [thread.name for thread in left if thread.name == "tesuji-table"] == []


def begin(client: httpx.Client, **form: object) -> str:
    answer = client.post("/play", data={"game": "tic_tac_toe", **SEATS, **form})
    assert answer.status_code == 204, answer.text
    return answer.headers["hx-redirect"]


def stage(part: str) -> str:
    return re.search(r'data-stage="(\w+)"', part)[1]


def settled(client: httpx.Client, table: str) -> str:
    """The table once somebody is to move, or all is over."""
    part = client.get(f"{table}/part").text
    while stage(part) in ("opening", "thinking"):
        part = client.get(f"{table}/part").text
    return part


def play_out(client: httpx.Client, table: str) -> str:
    """Always take the first move of the list; return the last part."""
    part = settled(client, table)
    while stage(part) == "waiting":
        played = re.search(r'name="played" value="(\d+)"', part)[1]
        number = re.search(r'name="number" value="(\d+)"', part)[1]
        answer = client.post(f"{table}/move", data={"played": played, "number": number})
        assert answer.status_code == 200
        part = settled(client, table)
    return part


def test_a_run_offers_its_models_and_a_game_its_players(site: Site) -> None:
    page = site.client().get("/play", params={"run": "made"}).text
    for words in ("model of made, after sft", "model of made, before training", "minimax"):
        assert words in page
    assert 'value="equity"' in site.client().get("/play", params={"game": "holdem"}).text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"game": "tick_tack"}, "unknown game"),
        ({"run": "nothing"}, "no run"),
        ({"other": ["", "mcst"]}, "mcst"),
        ({"other": ["", "mcts:simulations=0"]}, "above 0"),
        ({"other": ["", "equity"]}, "cannot play"),
        ({"other": ["", "run:made/dpo"]}, "no model"),
        ({"other": ["", "run:../made"]}, "no run"),
        ({"seat": ["person"], "other": [""]}, "2 seats"),
        ({"options": "size"}, "cannot read"),
    ],
)
def test_what_cannot_be_played_is_said_in_words(site: Site, form: dict, words: str) -> None:
    with site.client() as client:
        client.headers["HX-Request"] = "true"
        answer = client.post("/play", data={"game": "tic_tac_toe", **SEATS, **form})
    assert answer.status_code in (400, 404) and words in answer.text
    assert answer.headers["hx-retarget"] == "#problem"


def test_a_match_against_a_runs_model_is_played_and_kept(site: Site) -> None:
    with site.client() as client:
        table = begin(client, run="made", seat=["run:made/sft", "person"], seed=4, save="true")
        part = play_out(client, table)
    assert stage(part) == "over" and "Earned" in part and "What it said" in part
    [episode] = read_episodes(site.house.runs / "played" / "episodes.jsonl")
    assert episode.players == ("made/sft", "person") and episode.seed == 4


def test_a_table_can_be_swapped_and_left(site: Site) -> None:
    with site.client() as client:
        table = begin(client, seed=8)
        other = client.post(f"{table}/again", data={"swapped": "true"}).headers["hx-redirect"]
        assert client.get(table).status_code == 404
        part = settled(client, other)
        assert "You are o" in part and "<dd>9</dd>" in part
        assert client.post(f"{other}/leave").headers["hx-redirect"] == "/play"
        assert client.get(f"{other}/part").status_code == 404


def test_fifty_people_at_once(site: Site) -> None:
    """Each finishes its match; one in five leaves in between, unread and unannounced."""
    ends: list[str] = []

    def play(place: int) -> None:
        with site.client() as client:
            table = begin(client, seed=place)
            if place % 5 == 0:
                with client.stream("POST", f"{table}/move", data={"played": 0, "number": 4}):
                    return
            ends.append(stage(play_out(client, table)))
            client.post(f"{table}/leave")

    threads = [threading.Thread(target=play, args=(place,)) for place in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ends == ["over"] * 40


def test_what_the_model_holds_of_the_moves_adds_up(site: Site) -> None:
    with site.client() as client:
        table = begin(client, run="made", seat=["person", "run:made"], seed=1)
        settled(client, table)
        client.post(f"{table}/thinking", data={"on": "true"})
        part = settled(client, table)
    shares = [float(share) for share in re.findall(r"<td[^>]*>([\d.]+) %</td>", part)]
    assert len(shares) == 9 and abs(sum(shares) - 100) < 1
    assert 0 < float(re.search(r"with probability ([\d.e-]+);", part)[1]) < 1
    assert part.count('class="chance"') == 9 and "the model " in part and ">best</td>" in part
