"""Playing over HTTP: who can sit down, what the page shows, and many at once."""

import re
import socket
import threading
from collections.abc import Iterator

import pytest
from llm_server import completion, serving
from made_run import make_run
from tiny_models import tiny_policy
from ui_play import SEATS, begin, play_out, settled, stage
from ui_site import Site, open_site

from tesuji.episodes.store import read_episodes
from tesuji.serve.ui.house import House


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
    assert episode.players == ("run:made/sft", "person") and episode.seed == 4


def test_a_table_can_be_swapped_and_left(site: Site) -> None:
    with site.client() as client:
        table = begin(client, seed=8)
        other = client.post(f"{table}/again", data={"swapped": "true"}).headers["hx-redirect"]
        assert client.get(table).status_code == 404
        part = settled(client, other)
        assert "You are o" in part and "<dd>9</dd>" in part
        assert client.post(f"{other}/leave").headers["hx-redirect"] == "/play"
        assert client.get(f"{other}/part").status_code == 404


def test_an_endpoint_plays(site: Site) -> None:
    """It answers by the text it is sent: the first legal move's number is said to it."""
    with serving(lambda count, body: completion("Let me see: o(2,2)")) as server:
        who = f"openai:model=m,base_url={server.url},retries=0,cache=null"
        with site.client() as client:
            table = begin(client, other=["", who], seed=2)
            part = settled(client, table)
            client.post(f"{table}/move", data={"played": 0, "number": 0})
            part = settled(client, table)
    assert stage(part) == "waiting" and "Let me see: o(2,2)" in part
    assert "Shown to it (user)" in part and len(server.bodies) == 1


def test_an_endpoint_that_is_not_there_is_told_in_words(site: Site) -> None:
    who = "openai:model=m,base_url=http://127.0.0.1:9/v1,retries=0,cache=null"
    with site.client() as client:
        table = begin(client, other=["", who])
        settled(client, table)
        client.post(f"{table}/move", data={"played": 0, "number": 0})
        part = settled(client, table)
    assert stage(part) in ("broken", "over") and "127.0.0.1:9" in part


def test_matches_under_way_are_found_again(site: Site) -> None:
    with site.client() as client:
        table = begin(client, seed=77)
        assert f'href="{table}"' in client.get("/play").text
        client.post(f"{table}/leave")
        assert f'href="{table}"' not in client.get("/play").text


def test_who_does_not_read_holds_nobody_up(site: Site) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    idle = []
    with site.client() as client:
        table = begin(client, seed=3)
        for _ in range(60):
            deaf = socket.create_connection((host, int(port)))
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            deaf.sendall(f"GET {table} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode() * 20)
            idle.append(deaf)
        assert stage(play_out(client, table)) == "over"
    for deaf in idle:
        deaf.close()


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
        assert "held: " not in part
        client.post(f"{table}/move", data={"played": 0, "number": 4})
        end = settled(client, table)
    shares = [float(share) for share in re.findall(r"<td[^>]*>([\d.]+) %</td>", part)]
    assert len(shares) == 9 and abs(sum(shares) - 100) < 1
    assert 0 < float(re.search(r"with probability ([\d.e-]+);", part)[1]) < 1
    [held] = re.findall(r"held: ([^<]+)<", end)
    assert len(re.findall(r"o\(\d,\d\) \d+%", held)) == 4
    assert part.count('class="chance"') == 9 and "the model " in part and ">best</td>" in part
