"""The faults of real SecretMafia logs, to be planted in made ones.

A *form* changes how a record is written; the importer takes it, and notes it. A *fault* makes it
one that is refused, for a reason. Both stand in tables; what an import must come to follows from
what was planted.
"""

from collections.abc import Callable
from typing import Any

import orjson

from tesuji.logs.synthetic.mafia_files import older_record

Record = dict[str, Any]


def role_enum(record: Record) -> Record:
    """The role as a Python enumeration prints it."""
    return {**record, "role": f"Role.{str(record['role']).upper()}"}


def role_lower(record: Record) -> Record:
    """The role in small letters; nothing to note."""
    return {**record, "role": str(record["role"]).lower()}


def role_null(record: Record) -> Record:
    """No role; it stands in the first observation."""
    return {**record, "role": None}


def fractional_reward(record: Record) -> Record:
    """A reward with a share for something else than the outcome."""
    paid = {"win": 1.061, "loss": -0.23}[record["outcome"]]
    return {
        **record,
        "reward": paid,
        "raw_rewards": {**record["raw_rewards"], str(record["player_id"]): paid},
    }


FORMS: dict[str, Callable[[Record], Record]] = {
    "older_shape": older_record,
    "role_enum": role_enum,
    "role_lower": role_lower,
    "role_null": role_null,
    "fractional_reward": fractional_reward,
}


def no_actions(record: Record, number: int) -> Record:
    """The player never acted; every other such game stands under error."""
    outcome = "error" if number % 2 else record["outcome"]
    cut = {"observations": record["observations"][:1], "actions": [], "turn_details": []}
    return {**record, **cut, "outcome": outcome, "total_turns": 0}


def error(record: Record, number: int) -> Record:
    """The game broke off."""
    message = ("connection reset by peer", "invalid JSON from the server")[number % 2]
    stamp = record["timestamp"]
    log = [{"timestamp": stamp, "error": message, "turn": 1}]
    return {**_begun(record), "outcome": "error", "error_log": log, "reward": 0, "raw_rewards": {}}


def timeout(record: Record, number: int) -> Record:
    """Somebody's time ran out; the game still stands under win or loss."""
    late = number % len(record["game_info"])
    reason = (f"Player {late} timed out", f"timeout of Player {late}")[number % 2]
    info = {seat: {**about, "reason": reason} for seat, about in record["game_info"].items()}
    return {**_begun(record), "game_info": info}


def _begun(record: Record) -> Record:
    """The first half of a game, at least one turn."""
    half = max(1, len(record["actions"]) // 2)
    lists = ("observations", "actions", "turn_details")
    return {**record, **{name: record[name][:half] for name in lists}, "total_turns": half}


def wrong_type(record: Record, number: int) -> Record:
    """A field that holds something else than it should."""
    first, *others = record["actions"]
    observation, *later = record["observations"]
    return {
        **record,
        **(
            {"actions": None},
            {"actions": [{**first, "action": 3}, *others]},
            {"observations": [{**observation, "content": None}, *later]},
            {"observations": [[observation["content"]], *later]},
        )[number % 4],
    }


def unknown_kind(record: Record, number: int) -> Record:
    """JSON, but no game: a script's own notes beside its logs."""
    return {"games_played": number, "last_game": record["game_id"], "version": 2}


def whole(record: Record) -> bytes:
    """The file as it should be."""
    return orjson.dumps(record, option=orjson.OPT_INDENT_2)


def truncated(record: Record, number: int) -> bytes:
    """The file as a full disk leaves it."""
    text = whole(record)
    return text[: len(text) * (2 + number % 6) // 9]


def not_json(record: Record, number: int) -> bytes:
    """Python's own notation, or a web page's error, under the name of a JSON file."""
    return (repr(record).encode(), b"<html><body>502 Bad Gateway</body></html>\n")[number % 2]


def bad_utf8(record: Record, number: int) -> bytes:
    """A byte that no text has, be it UTF-8 or what Windows writes."""
    return whole(record).replace(b"Welcome", b"Wel\x81come", 1)


def empty(record: Record, number: int) -> bytes:
    """Nothing, or nothing but a line's end."""
    return (b"", b"\n")[number % 2]


FAULTS: dict[str, Callable[[Record, int], Record | bytes]] = {
    "no_actions": no_actions,
    "error": error,
    "timeout": timeout,
    "truncated": truncated,
    "not_json": not_json,
    "bad_utf8": bad_utf8,
    "empty": empty,
    "wrong_type": wrong_type,
    "unknown_kind": unknown_kind,
}


def _mgc(**changes: Any) -> Callable[[Record], bytes]:
    return lambda row: orjson.dumps({**row, **changes})


MGC_FAULTS: dict[str, Callable[[Record], bytes]] = {
    "mgc_no_actions": _mgc(observations="{}", num_turns=0),
    "mgc_error": _mgc(status="error", reason="the server broke off"),
    "mgc_timeout": _mgc(reason="Player 0 timed out"),
    "mgc_truncated": lambda row: orjson.dumps(row)[:-40],
    "mgc_not_json": lambda row: orjson.dumps({**row, "observations": row["observations"][:-9]}),
    "mgc_wrong_type": _mgc(player_id="nobody"),
}
