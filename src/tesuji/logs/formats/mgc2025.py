"""Rows of the public MindGames set (`mindgameschallenge/MGC2025`): one row a player and game.

`rewards` and `observations` are JSON inside a text. All rows of one `game_id` are one match, so
that a split never tears them apart. SecretMafia's rows are read as SecretMafia; other games'
replies are free text.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from tesuji.core.types import Attempt, Ending, Episode, Found, Move, Turn
from tesuji.episodes.transcript import shortened
from tesuji.games.textarena.secretmafia import is_secretmafia, role_in, team
from tesuji.logs.base import ENDINGS, Importer, Record, Refused
from tesuji.logs.formats import secretmafia_turns as secretmafia
from tesuji.logs.formats.mafia_outcome import broke_off, claim
from tesuji.logs.numbers import payment, payments, seat_number

NAN = float("nan")
FIELDS = {"game_id", "env_name", "player_id", "rewards", "observations"}


class Mgc(Importer):
    """One player's row."""

    kind = "mgc"
    title = "MGC2025 rows (JSON lines, Parquet)"

    def fits(self, value: Any) -> bool:
        """Whether it has the set's fields."""
        return isinstance(value, Mapping) and set(value) >= FIELDS

    def read(self, record: Record) -> Episode:
        """The row. Raises Refused for fields of the wrong type or without JSON in them."""
        row = record.value
        if not isinstance(row, Mapping) or not set(row) >= FIELDS:
            raise Refused("wrong_type", "a row has game_id, env_name, player_id, ...")
        observations, replies = _exchanges(row)
        seat = _seat(row)
        game = str(row.get("env_name") or "")
        first = observations[0] if observations else ""
        role = role_in(first) if is_secretmafia(game) else ""
        rewards = _rewards(row)
        count = max(len(rewards), seat + 1, *(s + 1 for s in rewards), 1)
        outcome, left_out = _outcome(row, rewards.get(seat), replies)
        turns = _turns(game, seat, role, observations, replies)
        notes = secretmafia.odd(turns) if is_secretmafia(game) else []
        verdict = claim(row.get("reason"), team(role)).result if role else ""
        if verdict and outcome in ("win", "loss", "draw") and verdict != outcome:
            notes.append("reward_contradicts_reason")
        return Episode(
            game=game,
            options={},
            seed=0,
            players=_names(row, seat, count),
            turns=turns,
            returns=tuple(rewards.get(place, NAN) for place in range(count)),
            ending=ENDINGS.get(left_out, Ending.FINISHED),
            reason=str(row.get("reason") or "")[:300],
            provenance={
                "kind": self.kind,
                "match": str(row.get("game_id") or ""),
                "seat": seat,
                "outcome": outcome,
                **({"roles": {str(seat): role}} if role else {}),
                **_winners(rewards),
                **({"left_out": left_out} if left_out else {}),
                **({"notes": notes} if notes else {}),
            },
        )


def _exchanges(row: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    by_time = _json(row.get("observations"), "observations")
    if not isinstance(by_time, Mapping):
        raise Refused("wrong_type", "observations is no mapping of times")
    steps = [step for _, step in sorted(by_time.items(), key=lambda item: _time(item[0]))]
    if not all(
        isinstance(step, Mapping)
        and isinstance(step.get("observation"), str)
        and isinstance(step.get("action"), str)
        for step in steps
    ):
        raise Refused("wrong_type", "an observation or an action that is no text")
    return [step["observation"] for step in steps], [step["action"] for step in steps]


def _time(stamp: str) -> tuple[float, str]:
    try:
        return float(stamp), stamp
    except ValueError:
        return 0.0, stamp


def _json(value: Any, name: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Refused("not_json", f"{name}: {error}") from error


def _seat(row: Mapping[str, Any]) -> int:
    if (seat := seat_number(row.get("player_id"))) is None:
        raise Refused("wrong_type", f"player_id {row.get('player_id')!r:.40}")
    return seat


def _rewards(row: Mapping[str, Any]) -> dict[int, float]:
    value = _json(row.get("rewards"), "rewards")
    own = payment(value)
    return payments(value) if own is None else {_seat(row): own}


def _names(row: Mapping[str, Any], seat: int, count: int) -> tuple[str, ...]:
    names = [""] * count
    names[seat] = str(row.get("model_name") or "")
    return tuple(names)


def _outcome(row: Mapping[str, Any], own: float | None, replies: list[str]) -> tuple[str, str]:
    """(outcome, why the game is left out or "")."""
    ended = broke_off(f"{row.get('status') or ''} {row.get('reason') or ''}"[:2000])
    outcome = ended or ("" if own is None else "win" if own > 0 else "loss" if own < 0 else "draw")
    return outcome, "no_actions" if not replies else ended


def _winners(rewards: Mapping[int, float]) -> dict[str, list[int]]:
    if not rewards or (len(set(rewards.values())) == 1 and 0.0 in rewards.values()):
        return {}
    return {"winners": [seat for seat, paid in sorted(rewards.items()) if paid > 0]}


def _turns(
    game: str, seat: int, role: str, observations: list[str], replies: list[str]
) -> tuple[Turn, ...]:
    if is_secretmafia(game):
        return secretmafia.turns(seat, role, secretmafia.in_order(observations, replies))
    return tuple(
        Turn(
            seat=seat,
            role=role,
            observation=part,
            attempts=(_spoken(reply),),
            played=_spoken(reply).move,
            continues=continues,
        )
        for (part, continues), reply in zip(shortened(observations), replies, strict=True)
    )


def _spoken(reply: str) -> Attempt:
    if not reply.strip():
        return Attempt(reply=reply, problem="the reply is empty")
    return Attempt(reply=reply, found=Found.EXACT, move=Move(-1, reply.strip()))
