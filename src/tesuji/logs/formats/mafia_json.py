"""A competitor's SecretMafia logs: one JSON file a game, one player's view, in two shapes.

The newer shape has `observations` and `actions`, the older one `history` of `observation` and
`response`. What the logs leave open is read from the transcript where it stands there (the role,
the seat, the number of players), else stays unknown.
"""

from collections.abc import Mapping
from typing import Any

from tesuji.core.types import Ending, Episode
from tesuji.games.textarena.secretmafia import GAME, role_in, role_named, seat_in, seats_in, team
from tesuji.logs.base import ENDINGS, Importer, Record, Refused, timed_out
from tesuji.logs.formats.mafia_outcome import UNKNOWN, Claim, agreed, broke_off, claim, completed
from tesuji.logs.formats.secretmafia_turns import Exchange, in_order, odd, turns
from tesuji.logs.numbers import by_seat, payment, payments, seat_number

OF_GAMES = {"game_id", "outcome", "reward", "raw_rewards", "total_turns", "player_id", "game_info"}
OF_CHATS = {
    "instruction",
    "output",
    "messages",
    "conversations",
    "completion",
    "chosen",
    "rejected",
}
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
        exchanges, first, notes = _exchanges(game)
        seat = _seat(game, first)
        role = _role(game, first, notes)
        roles = _roles(game, seat, role)
        count = max(seats_in(first), seat + 1, *(s + 1 for s in roles), 1)
        if count > 100:
            raise Refused("wrong_type", f"{count} players")
        earned = _returns(game, seat, count, notes)
        won, why = _outcome(game, seat, roles, notes)
        left_out = won.result if won.result in ("error", "timeout") else ""
        left_out = left_out if exchanges else "no_actions"
        played = turns(seat, role, exchanges, _expelled(game, seat))
        notes += odd(played)
        return Episode(
            game=GAME,
            options={},
            seed=0,
            players=("",) * count,
            turns=played,
            returns=earned,
            ending=ENDINGS.get(left_out, Ending.FINISHED),
            reason=why[:300],
            provenance={
                "kind": self.kind,
                "match": str(game.get("game_id") or ""),
                "seat": seat,
                "outcome": won.result,
                "roles": {str(s): r for s, r in sorted(roles.items())},
                **_winners(won, seat, roles),
                **({"left_out": left_out} if left_out else {}),
                **({"notes": notes} if notes else {}),
            },
        )


def _is_older(value: Mapping[str, Any]) -> bool:
    """Whether a `history` is a game's: rows of chats have one too, of other things, or empty."""
    history = value.get("history")
    if not isinstance(history, list) or OF_CHATS & value.keys():
        return False
    if not history:
        return len(OF_GAMES & value.keys()) > 1
    return isinstance(history[0], Mapping) and history[0].keys() >= {"observation", "response"}


def _exchanges(game: Mapping[str, Any]) -> tuple[list[Exchange], str, list[str]]:
    """What the player was shown and replied, the first it was shown, and what was odd."""
    if isinstance(game.get("history"), list) and "observations" not in game:
        pairs = [_history(item) for item in game["history"]]
        seen, replies = [o for o, _ in pairs], [r for _, r in pairs]
        return in_order(seen, replies), seen[0] if seen else "", ["older_shape"]
    observations = _texts(game.get("observations"), "content", "observations")
    replies = _texts(game.get("actions"), "action", "actions")
    if len(replies) > len(observations):
        raise Refused("wrong_type", f"{len(replies)} actions to {len(observations)} observations")
    places = _places(game) or list(range(len(replies)))
    last = len(observations) - 1
    exchanges = [
        Exchange(observations[at], reply, observations[at + 1] if at < last else None)
        for at, reply in zip(places, replies, strict=True)
    ]
    return exchanges, observations[0] if observations else "", []


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


def _places(game: Mapping[str, Any]) -> list[int] | None:
    """Which observation each action replied to, where both lists number their turns and the
    observations stand in that order; None where they do not."""
    items = [*game["observations"], *game["actions"]]
    if not all(isinstance(i, Mapping) and isinstance(i.get("turn"), int) for i in items):
        return None
    numbers = [item["turn"] for item in game["observations"]]
    by_number = {number: place for place, number in enumerate(numbers)}
    asked = [item["turn"] for item in game["actions"]]
    if numbers != sorted(by_number) or not set(asked) <= set(by_number):
        return None
    return [by_number[number] for number in asked]


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


def _outcome(
    game: Mapping[str, Any], seat: int, roles: Mapping[int, str], notes: list[str]
) -> tuple[Claim, str]:
    """(the result, or error or timeout, and the team that won; why in words). A game that a timeout
    ended may stand under win or loss, and one that was won under loss: what the game itself says
    counts."""
    label = game.get("outcome")
    own, words = team(roles.get(seat, "")), _reasons(game)
    written = claim(label, own)
    ended = broke_off(label) if isinstance(label, str) else ""
    if timed_out(words) and (ended or written != UNKNOWN):
        notes.extend(["timeout_under_outcome"] if not ended else [])
        return Claim("timeout"), words
    if ended:
        return Claim(ended), words or str(label)
    if label not in (None, "") and written == UNKNOWN:
        notes.append("outcome_unread")
    told = _verdict(game, seat, roles, notes)
    if UNKNOWN not in (told, written) and agreed([told, written]) == UNKNOWN:
        notes.append("outcome_contradicts_game")
    won = written if told == UNKNOWN else told
    paid = payment(game.get("reward")) or 0.0
    if (won.result == "win" and paid < 0) or (won.result == "loss" and paid > 0):
        notes.append("reward_contradicts_outcome")
    return won, words or str(label or "")


def _verdict(
    game: Mapping[str, Any], seat: int, roles: Mapping[int, str], notes: list[str]
) -> Claim:
    """What `game_info` says of the end: first its reason, then each seat's result by its role."""
    own = team(roles.get(seat, ""))
    info = {s: a for s, a in by_seat(game.get("game_info")).items() if isinstance(a, Mapping)}
    reasons = [claim(about.get("reason"), own) for about in info.values()]
    by_result = [
        completed(Claim(winner=said.winner), own) if other != seat else said
        for other, about in info.items()
        for said in [claim(about.get("outcome"), team(roles.get(other, "")))]
    ]
    reason, result = agreed(reasons), agreed(by_result)
    known = [said for said in (*reasons, *by_result) if said != UNKNOWN]
    if known and agreed(known) == UNKNOWN:
        notes.append("game_info_contradicts_itself")
    return result if reason == UNKNOWN else reason


def _expelled(game: Mapping[str, Any], seat: int) -> bool | None:
    """Whether an invalid move put the player out; None where the log does not tell."""
    about = by_seat(game.get("game_info")).get(seat)
    marked = about.get("invalid_move") if isinstance(about, Mapping) else None
    return marked if isinstance(marked, bool) else None


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


def _winners(won: Claim, seat: int, roles: Mapping[int, str]) -> dict[str, list[int]]:
    """The seats whose team won, as far as roles are known; nothing where nobody knows who won."""
    if won.winner:
        return {"winners": [s for s, role in sorted(roles.items()) if team(role) == won.winner]}
    if won.result in ("win", "loss"):
        return {"winners": [seat] if won.result == "win" else []}
    return {}
