"""Matches played over HTTP as the pages play them."""

import re

import httpx

SEATS = {"seat": ["person", "random"], "other": ["", ""]}


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
