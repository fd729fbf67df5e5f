"""A competitor's SecretMafia logs: one JSON file a game, one player's view, in two shapes.

The newer shape has `observations` and `actions`, the older one `history` of `observation` and
`response`. What the logs leave open is read from the transcript where it stands there (the role,
the seat, the number of players), else stays unknown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tesuji.core.types import Ending, Episode
from tesuji.games.textarena.secretmafia import (
    GAME,
    MAFIA,
    VILLAGE,
    role_in,
    role_named,
    seat_in,
    seats_in,
    team,
)
from tesuji.logs.base import ENDINGS, Importer, Record, Refused, timed_out
from tesuji.logs.formats.secretmafia_turns import turns
from tesuji.logs.numbers import by_seat, payment, payments, seat_number

OUTCOMES = ("win", "loss", "draw", "error", "timeout")
OF_GAMES = {"game_id", "outcome", "reward", "raw_rewards", "total_turns", "player_id", "game_info"}
NAN = float("nan")


class Mafia(Importer):
    """One player's view of one game."""

    kind = "mafia"
    title = "a competitor's SecretMafia games (JSON, both shapes)"

    def fits(self, value: Any) -> bool:
        """Whether it has the fields of either shape."""
        if not isinstance(value, Mapping):
            return False
        new = isinstance(value.get("observations"), list) and "actions" in value
        other = isinstance(value.get("turns"), list) or "env_name" in value
        return (new or _is_older(value)) and not other

    def read(self, record: Record) -> Episode:
        """The game. Raises Refused: `wrong_type` where a field holds something else."""
        game = record.value
        if not isinstance(game, Mapping):
            raise Refused("wrong_type", "a game is a JSON object")
        observations, replies, notes = _exchanges(game)
        first = observations[0] if observations else ""
        seat = _seat(game, first)
        role = _role(game, first, notes)
        roles = _roles(game, seat, role)
        count = max(seats_in(first), seat + 1, *(s + 1 for s in roles), 1)
        if count > 100:
            raise Refused("wrong_type", f"{count} players")
        earned = _returns(game, seat, count, notes)
        outcome, why = _outcome(game, notes)
        left_out = _left_out(replies, outcome, why)
        return Episode(
            game=GAME,
            options={},
            seed=0,
            players=("",) * count,
            turns=turns(seat, role, observations, replies),
            returns=earned,
            ending=ENDINGS.get(left_out, Ending.FINISHED),
            reason=why[:300],
            provenance={
                "kind": self.kind,
                "match": str(game.get("game_id") or ""),
                "seat": seat,
                "outcome": outcome,
                "roles": {str(s): r for s, r in sorted(roles.items())},
                **_winners(outcome, seat, roles, earned),
                **({"left_out": left_out} if left_out else {}),
                **({"notes": notes} if notes else {}),
            },
        )


def _is_older(value: Mapping[str, Any]) -> bool:
    """Whether a `history` is a game's: rows of chats have one too, of other things, or empty."""
    history = value.get("history")
    if not isinstance(history, list):
        return False
    if not history:
        return len(OF_GAMES & value.keys()) > 1
    return isinstance(history[0], Mapping) and history[0].keys() >= {"observation", "response"}


def _exchanges(game: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """What the player was shown and what it said at each of its turns, and what was odd."""
    if isinstance(game.get("history"), list) and "observations" not in game:
        pairs = [_history(item) for item in game["history"]]
        return [o for o, _ in pairs], [r for _, r in pairs], ["older_shape"]
    observations = _texts(game.get("observations"), "content", "observations")
    replies = _texts(game.get("actions"), "action", "actions")
    if len(replies) > len(observations):
        raise Refused("wrong_type", f"{len(replies)} actions to {len(observations)} observations")
    by_turn = _by_turn(game, replies)
    seen = by_turn if by_turn is not None else observations[: len(replies)]
    return seen, replies, []


def _history(item: Any) -> tuple[str, str]:
    if not isinstance(item, Mapping):
        raise Refused("wrong_type", "history holds something else than objects")
    pair = (item.get("observation"), item.get("response"))
    if not all(isinstance(part, str) for part in pair):
        raise Refused("wrong_type", "an observation or a response that is no text")
    return pair  # type: ignore[return-value]


def _texts(value: Any, key: str, name: str) -> list[str]:
    if not isinstance(value, list):
        raise Refused("wrong_type", f"{name} is no list")
    texts: list[str] = []
    for item in value:
        text = item.get(key) if isinstance(item, Mapping) else item
        if not isinstance(text, str):
            raise Refused("wrong_type", f"{name} holds something else than texts")
        texts.append(text)
    return texts


def _by_turn(game: Mapping[str, Any], replies: Sequence[str]) -> list[str] | None:
    """The observation of each action's own turn, where both lists number their turns; None where
    they do not."""
    items = [*game["observations"], *game["actions"]]
    if not all(isinstance(i, Mapping) and isinstance(i.get("turn"), int) for i in items):
        return None
    by_number = {item["turn"]: item["content"] for item in game["observations"]}
    numbers = [item["turn"] for item in game["actions"]]
    if len(by_number) != len(game["observations"]) or not set(numbers) <= set(by_number):
        return None
    return [by_number[number] for number in numbers]


def _seat(game: Mapping[str, Any], first: str) -> int:
    seat = seat_in(first)
    if seat is not None:
        return seat
    return seat_number(game.get("player_id")) or 0


def _role(game: Mapping[str, Any], first: str, notes: list[str]) -> str:
    value = game.get("role")
    if not (named := role_named(value)):
        if role := role_in(first):
            notes.append("role_from_observation")
        return role
    if isinstance(value, str) and "." in value:
        notes.append("role_enum")
    return named


def _roles(game: Mapping[str, Any], seat: int, role: str) -> dict[int, str]:
    roles = {seat: role} if role else {}
    for other, about in by_seat(game.get("game_info")).items():
        if named := role_named(about.get("role")) if isinstance(about, Mapping) else "":
            roles[other] = named
    return roles


def _returns(game: Mapping[str, Any], seat: int, count: int, notes: list[str]) -> tuple[float, ...]:
    """What each seat earned, as far as the log says: all of it, or the player's own."""
    known = payments(game.get("raw_rewards"))
    if (own := payment(game.get("reward"))) is not None:
        known.setdefault(seat, own)
    if not known.get(seat, 0.0).is_integer():
        notes.append("fractional_reward")
    return tuple(known.get(place, NAN) for place in range(count))


def _outcome(game: Mapping[str, Any], notes: list[str]) -> tuple[str, str]:
    """(win, loss, draw, error or timeout; why in words). A game that a timeout ended may stand
    under win or loss: what the log says elsewhere counts."""
    label = str(game.get("outcome") or "").lower()
    outcome = next((name for name in OUTCOMES if name in label), "")
    words = _reasons(game)
    if timed_out(words) and outcome in ("win", "loss", "draw"):
        notes.append("timeout_under_outcome")
        return "timeout", words
    return outcome, words or label


def _reasons(game: Mapping[str, Any]) -> str:
    """Everything the log says about why the game ended."""
    info = game.get("game_info")
    reasons = (
        [a.get("reason") for a in info.values() if isinstance(a, Mapping)]
        if isinstance(info, Mapping)
        else []
    )
    log = game.get("error_log")
    for item in log if isinstance(log, list) else [log]:
        parts = item.values() if isinstance(item, Mapping) else [item]
        reasons += [part for part in parts if isinstance(part, str)]
    return "; ".join(dict.fromkeys(s for s in reasons if isinstance(s, str) and s))


def _left_out(replies: Sequence[str], outcome: str, why: str) -> str:
    if not replies:
        return "no_actions"
    return outcome if outcome in ("error", "timeout") else ""


def _winners(
    outcome: str, seat: int, roles: Mapping[int, str], earned: Sequence[float]
) -> dict[str, list[int]]:
    """The seats whose team won, as far as roles are known; nothing where nobody knows who won."""
    if outcome not in ("win", "loss"):
        return {}
    own = team(roles.get(seat, ""))
    if not own:
        return {"winners": [seat] if outcome == "win" else []}
    won = own if outcome == "win" else MAFIA if own == VILLAGE else VILLAGE
    return {"winners": [s for s, role in sorted(roles.items()) if team(role) == won]}
