"""What a stage of logs writes for people and for other tools, and that it writes it again."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import datasets
import pytest
from huggingface_hub import DatasetCard
from made_rows import (
    ASKED,
    LONG,
    PAIRS,
    ROWS,
    built,
    episode,
    rows,
    stage,
    turn,
    vote,
)

from tesuji.core.files import read_json
from tesuji.datasets.columns import FACTS, OF_PAIR, OF_ROW, facts_of
from tesuji.datasets.describe.card import card, front_matter
from tesuji.datasets.describe.distributions import doublings, quantiles
from tesuji.datasets.describe.page import plain
from tesuji.datasets.describe.statistics_page import statistics_page
from tesuji.datasets.files import read_pairs, read_rows
from tesuji.datasets.from_logs.flat_rows import prefix, sft_row
from tesuji.datasets.from_logs.methodology import methodology
from tesuji.datasets.from_logs.statistics import action_of
from tesuji.datasets.from_logs.writer import with_new_facts
from tesuji.episodes.store import write_episodes

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("data") / "out"
    built(out, **ASKED)
    return out


def test_statistics_are_those_of_the_files(made: Path):
    found = read_json(made / "dataset_statistics.json")
    assert read_json(made / "final" / "dataset_statistics.json") == found
    for name in ("rows", "pairs", "prompts"):
        for side, file in (("train", name), ("held_out", f"held_out_{name}")):
            file = {"rows": "train", "held_out_rows": "held_out"}.get(file, file)
            assert len(rows(made / f"{file}.jsonl")) == found[f"{side}_{name}"] > 0
    train = rows(made / "train.jsonl")
    for table, fact in (("roles", "role"), ("phases", "phase"), ("types", "type")):
        told = [row["about"][fact] for row in train]
        assert found[table] == {name: told.count(name) for name in found[table]}
        assert sum(found[table].values()) == len(train)
    lengths = sorted(len(row["completion"]) for row in train)
    assert found["reply_characters"]["0%"] == lengths[0]
    assert found["reply_characters"]["100%"] == lengths[-1]
    assert sum(found["reply_lengths"].values()) == len(train)
    assert found["imported"] == read_json(made / "processed" / "import_summary.json")
    assert (
        found["imported"]["read"] == found["imported"]["accepted"] + found["imported"]["rejected"]
    )
    bad = {
        (row["prompt"][-1]["content"], row["completion"]) for row in rows(made / "held_out.jsonl")
    }
    prompts = {row["prompt"][-1]["content"] for row in train}
    assert found["held_out_rows_with_a_prompt_of_training"] == sum(p in prompts for p, _ in bad)


def test_lengths_and_labels_are_counted_as_they_are_named():
    assert quantiles(range(1, 101)) == {f"{q}%": max(1, q) for q in (0, 5, 25, 50, 75, 95, 100)}
    assert quantiles([]) == {} and quantiles([7])["50%"] == 7
    assert doublings([1, 2, 3, 8]) == {"1": 1, "2-3": 2, "4-7": 0, "8-15": 1}
    said = ["Raise 500", "raise to 1,000", "bet 2.5bb", "fold", "all-in", "x1"]
    assert [action_of(text) for text in said] == ["raise", "raise", "bet", "fold", "all-in", "x1"]


def test_the_rows_read_back_and_have_the_guide_s_shape(made: Path):
    for name in ROWS:
        assert all(set(row.about) == set(OF_ROW) for row in read_rows(made / name))
    for name in PAIRS:
        assert all(set(pair.about) == set(OF_PAIR) for pair in read_pairs(made / name))
    flat = rows(made / "final" / "mafia_sft_dataset.jsonl")
    train = rows(made / "train.jsonl")
    assert len(flat) == len(train)
    for row, own in zip(flat, train, strict=True):
        assert list(row) == ["instruction", "input", "output", "reasoning", "quality_score", "type"]
        system, user = (message["content"] for message in own["prompt"])
        assert (row["instruction"], row["input"], row["output"]) == (
            system,
            user,
            own["completion"],
        )
        assert system.startswith("You are playing Secret Mafia as ") and "\nObservation:\n" in user
        assert re.match(r"Game Phase: \w+\nTurn: \d+\n\nObservation:\n", user)
        assert (row["quality_score"] is None) == (row["type"] != "discussion")
    pairs = rows(made / "final" / "mafia_dpo_dataset.jsonl")
    assert len(pairs) == len(rows(made / "pairs.jsonl"))
    assert all(list(row) == ["prompt", "chosen", "rejected", "type"] for row in pairs)


def test_a_thought_stands_apart_and_games_have_names():
    row = sft_row([{"role": "user", "content": "Q"}], "<think>hm</think>[2]", "vote", None)
    assert (row["instruction"], row["input"], row["output"]) == ("Q", "", "[2]")
    assert row["reasoning"] == "hm"
    names = {"SecretMafia-v0": "mafia", "kuhn_poker": "poker", "tic_tac_toe": "tictactoe"}
    assert {game: prefix(game) for game in names} == names
    assert prefix("../A b") == "a_b" and prefix("☃") == "games" and len(prefix("x" * 999)) == 60


def test_datasets_reads_the_files_and_the_folder(made: Path, tmp_path: Path):
    datasets.disable_progress_bars()
    found = read_json(made / "dataset_statistics.json")
    cache = str(tmp_path)
    files = {"train": str(made / "train.jsonl"), "held_out": str(made / "held_out.jsonl")}
    both = datasets.load_dataset("json", data_files=files, cache_dir=cache)
    assert {k: len(v) for k, v in both.items()} == {
        "train": found["train_rows"], "held_out": found["held_out_rows"]
    }  # fmt: skip
    assert both["train"][0]["prompt"][0]["role"] == "system"
    for config in ("sft", "preference", "prompts"):
        loaded = datasets.load_dataset(str(made), config, cache_dir=cache)
        assert set(loaded) == {"train", "held_out"}
    assert len(loaded["train"]) == found["train_prompts"]


def test_facts_known_late_do_not_stop_a_reader_of_a_large_file(tmp_path: Path):
    datasets.disable_progress_bars()
    shown = "x" * 110_000
    games = [episode(f"a{n}", turn(f"{n}", shown=shown, role=""), winners=None) for n in range(120)]
    games += [episode(f"z{n}", turn(f"{LONG} {n}", role="Doctor")) for n in range(3)]
    write_episodes(tmp_path / "g.jsonl", games)
    rules = {"seats": "all", "quality": True, "min_characters": 0, "min_indicators": 0}
    found = built(tmp_path / "out", [tmp_path / "g.jsonl"], select=rules)
    train = tmp_path / "out" / "train.jsonl"
    assert train.stat().st_size > 10 << 20 and found["train_rows"] == 123
    loaded = datasets.load_dataset("json", data_files=str(train), cache_dir=str(tmp_path / "c"))
    roles = [about["role"] for about in loaded["train"]["about"]]
    assert (roles.count(None), roles.count("Doctor")) == (120, 3)
    told = [{"prompt": f"{shown}{n}", "chosen": "a", "rejected": "b"} for n in range(120)]
    told += [{**told[0], "chosen": "c", "about": {"role": "BTN", "match": "m", "seat": 2}}]
    lines = "".join(json.dumps(row) + "\n" for row in told)
    (tmp_path / "p.jsonl").write_text(lines)
    built(tmp_path / "pairs", [tmp_path / "p.jsonl"])
    pairs = str(tmp_path / "pairs" / "pairs.jsonl")
    loaded = datasets.load_dataset("json", data_files=pairs, cache_dir=str(tmp_path / "c"))
    assert [about["seat"] for about in loaded["train"]["about"]].count(2) == 1
    assert with_new_facts([(n, frozenset("a")) for n in range(200)]) == set()
    assert with_new_facts([*((n, frozenset("a")) for n in range(200)), (7, frozenset("ab"))]) == {7}


def test_facts_are_of_one_type():
    about = {"seat": True, "match": 3, "won": False, "role": "x", "more": 1, "score": 1}
    kept = {name: value for name, value in facts_of(about, FACTS).items() if value is not None}
    assert kept == {"won": False, "role": "x"}


def test_the_card_is_one_the_hub_can_read(made: Path):
    read = DatasetCard.load(made / "README.md")
    found = read_json(made / "dataset_statistics.json")
    front = front_matter(found)
    assert read.data.to_dict() == front
    named = [f["path"] for config in front["configs"] for f in config["data_files"]]
    assert len(named) == 6 and all((made / name).is_file() for name in named)
    assert f"| sft | train | {found['train_rows']:,} |" in read.text
    assert all(plain(warning) in read.text for warning in found["warnings"])
    few = {**found, "train_pairs": 0, "held_out_pairs": 0, "name": "1e5: [x", "games": {"☃": 3}}
    odd = DatasetCard(card(few)).data.to_dict()
    assert odd["pretty_name"] == "1e5: [x" and "" not in odd["tags"]
    assert [config["config_name"] for config in odd["configs"]] == ["sft", "prompts"]


def test_the_methodology_says_what_was_done_and_nothing_else(made: Path):
    said = (made / "METHODOLOGY.md").read_text()
    found = read_json(made / "dataset_statistics.json")
    read, matches = found["imported"], found["matches"]
    assert (
        f"{read['files']:,} files with {read['read']:,} records: {read['accepted']:,} taken" in said
    )
    for rule in found["rules"]:
        assert f"| {rule['rule']} | {rule['dropped']:,} | {rule['left']:,} |" in said
    for reason, count in read["rejected_by_reason"].items():
        assert f"| {plain(reason)} | {count:,} |" in said
    assert (
        f"{matches['held_out']:,} of {matches['all']:,} matches (share 0.25, drawn by seed 1)"
        in said
    )
    assert "- textarena 0." in said and "- tesuji 0." in said and "- seed 1" in said
    assert "No heuristic about the quality of a reply, and no model, decided anything" in said
    assert "The judge" not in said and "words of strategy" not in said
    strict = methodology(stage(compliance="strict"), {**found, "compliance": "strict"})
    assert "Compliance mode: **strict**" in strict and "refused before it starts" in strict
    assert "quality_score" not in strict
    asked = stage(select={"quality": True}, pairs={"by": ["judge"], "judge": {"model": "gpt-x"}})
    rules = [{"rule": "quality", "dropped": 1, "left": 2}]
    other = methodology(asked, {**found, "rules": rules})
    assert (
        "Heuristics were used: a rule about the form of replies (`select.quality`), a judge"
        in other
    )
    assert "No heuristic" not in other and "The judge (gpt-x) was asked:" in other
    assert "those with at least 50 characters, 2 of the words analyze" in other


def test_strict_rows_have_no_score(tmp_path: Path):
    write_episodes(tmp_path / "g.jsonl", [episode("a", turn(LONG), vote("[2]"))])
    built(tmp_path / "out", [tmp_path / "g.jsonl"], compliance="strict")
    flat = rows(tmp_path / "out" / "final" / "mafia_sft_dataset.jsonl")
    assert [row["quality_score"] for row in flat] == [None, None]


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_the_pages_run_nothing_and_show_names_of_logs_as_they_are(tmp_path: Path):
    names = {"role": f"{EVIL}$x$", "phase": "<img src=x onerror=alert(1)>\n# Heading"}
    said = [replace(turn(f"move {n}"), **names) for n in range(9)]
    games = [replace(episode(f"m{n}", said[n]), game=f"{EVIL}-poker") for n in range(9)]
    file = tmp_path / "<img src=x>.jsonl"
    write_episodes(file, games)
    built(tmp_path / "out", [file], held_out=0.2)
    text = (tmp_path / "out" / "statistics.html").read_text()
    page = Page(text)
    assert "script" not in page.tags and "img" not in page.tags
    assert "Content-Security-Policy" in text and "default-src 'none'" in text
    assert not [name for name in page.attributes if name.startswith(("on", "href", "src"))]
    assert "&lt;script&gt;" in text and page.tags.count("svg") >= 5
    assert "http:" not in text and "https:" not in text
    for name in ("README.md", "METHODOLOGY.md"):
        lines = (tmp_path / "out" / name).read_text().splitlines()
        assert not [line for line in lines if line.startswith("# Heading")]
        inert = [line for line in lines if not line.startswith("    ")]  # no block of code
        assert not re.search(r"(?<!\\)<(script|img)", "\n".join(inert)), name
    tags = DatasetCard.load(tmp_path / "out" / "README.md").data.tags
    assert tags == ["games", "tesuji", "script-alert-1-script-poker"]


def test_the_page_of_known_figures_is_the_same_bytes_and_shows_no_secret(made: Path, monkeypatch):
    found = read_json(made / "dataset_statistics.json")
    assert statistics_page(found) == (made / "statistics.html").read_text()
    token = "hf_" + "a" * 30
    text = statistics_page({**found, "warnings": [f"see {token} {EVIL}"]})
    assert token not in text and "[redacted]" in text
    assert EVIL not in text and "&lt;script&gt;" in text
