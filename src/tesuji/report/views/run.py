"""What the pages show of a run, as plain values: the templates only arrange them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tesuji.core.errors import TesujiError
from tesuji.core.redact import visible
from tesuji.core.types import Episode
from tesuji.episodes.show import ending_words
from tesuji.evaluation.matches.against import ALONE, EVALUATED, outcome, seat_of
from tesuji.evaluation.results import Evaluation, MatchScore
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.report.collect import RunSummary, StageSummary, mapping
from tesuji.report.headline import headline
from tesuji.report.tables.held_out import rows_of, rows_view
from tesuji.report.tables.questions import tasks_view
from tesuji.report.tables.roles import role_lines
from tesuji.report.views.pairs import pairs_view
from tesuji.report.views.replay import choose_games, opponent_of, steps
from tesuji.report.words import (
    NO_VERDICT,
    SPLITS,
    certificate_sentence,
    duration,
    exploitability_words,
    find,
    game_words,
    illegal_sentence,
    instead,
    interval,
    mean_return_words,
    number,
    percent,
    positions_sentence,
    seat_name,
    turns_words,
    winnings_sentence,
)

OUTCOMES = {
    "win": "Won",
    "draw": "Drew",
    "loss": "Lost",
    "error": "Broke off",
    "unknown": "Played",  # a game for one seat that does not know winning
}
GAMES_BEFORE = 2  # games of the untrained model, for comparison
GAMES_AFTER = 8
COUNTED = ("wins", "draws", "losses", "illegal", "positions")  # of a certificate's lines


def view(run: RunSummary) -> dict[str, Any]:
    """Everything both pages show. Lists and texts are empty where the run has nothing."""
    after = run.after.evaluation if run.after else None
    return {
        "name": run.name,
        "headline": asdict(headline(after, run.before.evaluation if run.before else None)),
        "notes": list(run.notes),
        **judged(run.looks),
        "tasks": tasks_view(run.looks),
        "held_out": rows_view(rows_of(run.looks)),
        "pairs": pairs_view(run.stages),
        "games": _games(run),
        "data": [
            {"name": stage.name, "facts": _data_facts(stage)}
            for stage in run.stages
            if stage.statistics or "train.jsonl" in stage.rows
        ],
        "training": [
            {"name": stage.name, "facts": facts(_trained(stage.training))}
            for stage in run.stages
            if stage.training
        ],
        "run": _run_facts(run),
        "versions": facts(mapping(run.manifest.get("versions"))),
        "machine": facts(mapping(run.manifest.get("platform"))),
        "stages": [_stage(stage) for stage in run.stages],
        "command": _command(run.manifest.get("command")),
        "recipe": run.recipe,
    }


def judged(looks: Sequence[Evaluation]) -> dict[str, Any]:
    """What the evaluations found, side by side: before, after each stage that was looked at."""
    played = [look for look in looks if look.matches]
    return {
        "game": game_words(looks[-1]) if looks else "",
        "model": looks[-1].model if looks else "",
        "temperature": looks[-1].temperature if looks else 0.0,
        "opponents": _opponents(looks),
        "moves": [_moves(look) for look in looks if look.positions],
        "certificates": [_proofs(look) for look in looks if look.certificates],
        "exploitability": [
            {"label": k.label, **exploitability_words(k.exploitability)}
            for k in looks
            if k.exploitability is not None
        ],
        "roles": [{"label": k.label, "lines": role_lines(k)} for k in looks if k.roles],
        "illegal": [{"label": k.label, "sentence": illegal_sentence(k)} for k in played],
    }


def _opponents(looks: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """Per opponent of the latest evaluation, a row a seat."""
    if not looks:
        return []
    names = dict.fromkeys(row.opponent for row in looks[-1].matches)
    return [{"name": name, "alone": name == ALONE, "rows": _rows(name, looks)} for name in names]


def _rows(opponent: str, looks: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """A row a seat: its cells for each evaluation, and random's own."""
    latest, alone = looks[-1], opponent == ALONE
    rows = []
    for row in (row for row in latest.matches if row.opponent == opponent):
        seat = row.seat
        cells = [_cell(look.label, find(look.matches, opponent, seat), alone) for look in looks]
        cells.append(_cell("a random player", find(latest.baseline, opponent, seat), alone))
        cells += [_cell(name, other, alone) for name, other in instead(latest, row)]
        name = seat_name(seat, latest)
        rows.append({"seat": name, "together": seat is None, "cells": cells})
    return rows


def _cell(label: str, row: MatchScore | None, alone: bool = False) -> dict[str, Any]:
    """One result: shares in percent, intervals, and what else is to be known about it."""
    if row is None or row.games == 0:
        return {"label": label, "games": 0}
    counts = (row.wins, row.draws, row.losses)
    shares = ("–",) * 3 if row.unjudged else (percent(count, row.games) for count in counts)
    win, draw, loss = shares
    return {
        "label": label,
        "games": row.games,
        "win": win,
        "draw": draw,
        "loss": loss,
        "bar": [100 * count / row.games for count in counts],
        "win_interval": NO_VERDICT if row.unjudged else interval(row.win_interval),
        "loss_interval": NO_VERDICT if row.unjudged else interval(row.loss_interval),
        "mean_return": f"{row.mean_return:+.2f}",
        "notes": _remarks(row, alone),
    }


def _remarks(row: MatchScore, alone: bool) -> list[str]:
    remarks = (
        (row.forfeits, "ended by our illegal replies" if alone else "lost by our illegal replies"),
        (row.gifts, "won by the opponent's illegal moves"),
        (row.truncated, "cut off at the move limit"),
        (row.errors, "broken off by an error"),
    )
    won = [winnings_sentence(row.winnings)] if row.winnings else []
    notes = [*won, *(f"{count:,} {words}" for count, words in remarks if count)]
    known = (NO_VERDICT if row.unjudged else "", turns_words(row), mean_return_words(row))
    return [*filter(None, known), *notes] if alone or row.unjudged else notes


def _moves(look: Evaluation) -> dict[str, Any]:
    return {
        "label": look.label,
        "rows": [
            {
                "split": SPLITS.get(score.split, score.split),
                "positions": f"{score.positions:,}",
                "optimal": percent(score.optimal, score.positions),
                "interval": interval(score.optimal_interval, 1),
                "best": percent(score.best, score.positions),
                "legal": percent(score.legal, score.positions),
                "sentence": positions_sentence(score),
            }
            for score in look.positions
        ],
    }


def _proofs(look: Evaluation) -> dict[str, Any]:
    return {
        "label": look.label,
        "rows": [
            {
                "holds": proof.holds,
                "sentence": certificate_sentence(proof),
                **{name: f"{getattr(proof, name):,}" for name in COUNTED},
            }
            for proof in look.certificates
        ],
    }


def _games(run: RunSummary) -> list[dict[str, Any]]:
    games = []
    for stage, most in ((run.after, GAMES_AFTER), (run.before, GAMES_BEFORE)):
        if stage and stage.evaluation:
            chosen = choose_games(stage.episodes, most)
            games += [_game(episode, stage.evaluation) for episode in chosen]
    return games


def _game(episode: Episode, look: Evaluation) -> dict[str, Any]:
    names = [look.model if name == EVALUATED else name for name in episode.players]
    roles = {turn.seat: turn.role for turn in episode.turns}
    place = seat_of(episode)
    role = roles.get(place) or f"seat {place}"
    title = f"{OUTCOMES[outcome(episode)]} against {opponent_of(episode)} as {role}"
    if look.tasks is not None:
        title = f"Earned {episode.returns[0]:g}: {role}"
    return {
        "title": title,
        "outcome": outcome(episode),
        "look": look.label,
        "ending": visible(ending_words(episode)),
        "returns": ", ".join(
            f"{name} {value:+g}" for name, value in zip(names, episode.returns, strict=False)
        ),
        "steps": [asdict(step) for step in steps(episode, names, _open(episode))],
    }


def _open(episode: Episode) -> Game | None:
    """The game to replay the episode with, or None where it is not to be had here."""
    try:
        return load_game(episode.game, episode.options)
    except TesujiError:
        return None


def _trained(training: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a training says of itself; a best step of 0 in words."""
    if training.get("best_step") != 0 or training.get("best_score") is None:
        return training
    none_better = "0: the model before training was the best one, no step made it better"
    return {**training, "best_step": none_better}


def facts(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested numbers and texts as (name, value) lines: `held out › positions`, `452`."""
    lines: list[tuple[str, str]] = []
    for key, item in value.items():
        name = prefix + str(key).replace("_", " ")
        if isinstance(item, Mapping):
            lines += facts(item, f"{name} › ")
        else:
            lines.append((name, _plain(item)))
    return lines


def _plain(item: Any) -> str:
    if isinstance(item, bool) or item is None:
        return {True: "yes", False: "no", None: "–"}[item]
    if isinstance(item, int | float):
        return number(item)
    if isinstance(item, Sequence) and not isinstance(item, str):
        return ", ".join(_plain(part) for part in item)
    return str(item)


def _data_facts(stage: StageSummary) -> list[tuple[str, str]]:
    rows = [(f"rows in {name}", number(count)) for name, count in stage.rows.items()]
    return facts(stage.statistics) + rows


def _run_facts(run: RunSummary) -> list[tuple[str, str]]:
    known = [
        (key.replace("_", " "), str(run.manifest[key]))
        for key in ("created", "seed", "git_commit", "recipe_hash")
        if run.manifest.get(key) is not None
    ]
    seconds = [stage.seconds for stage in run.stages if stage.seconds is not None]
    return known + ([("total time", duration(sum(seconds)))] if seconds else [])


def _stage(stage: StageSummary) -> dict[str, Any]:
    return {
        "name": stage.name,
        "finished": stage.finished,
        "seconds": duration(stage.seconds) if stage.seconds is not None else "–",
    }


def _command(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
