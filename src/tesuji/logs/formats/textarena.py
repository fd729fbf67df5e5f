"""What TextArena keeps of a match: the log of its state, with rewards and what it says at the end.

    {"env_id": "SecretMafia-v0", "logs": [[-1, "..."], [0, "..."]], "rewards": {"0": 1, ...},
     "game_info": {"0": {"role": "Villager", "invalid_move": false, "reason": "..."}, ...}}

`logs` is `state.logs`: who spoke (-1 is the game) and what; `rewards` and `game_info` are what
`env.close()` returns. Each thing a player said becomes a turn, and what it had heard since its turn
before is what it was shown (`textarena_audience.py`). TextArena logs no invalid moves, and of the
detective only what it found, so such turns are missing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tesuji.core.types import Ending, Episode, Turn
from tesuji.games.textarena.secretmafia import MAFIA, Seats, is_secretmafia, role_named
from tesuji.logs.base import Importer, Record, Refused, timed_out
from tesuji.logs.formats import secretmafia_turns as secretmafia
from tesuji.logs.formats.textarena_audience import Entry, heard, heard_elsewhere, roles_in
from tesuji.logs.numbers import MOST_SEATS, by_seat, payments

NAN = float("nan")


class TextArena(Importer):
    """One match, all seats."""

    kind = "textarena"
    title = "TextArena matches (JSON with `logs` and `rewards`)"

    def fits(self, value: Any) -> bool:
        """Whether it has a log and rewards."""
        return (
            isinstance(value, Mapping)
            and isinstance(value.get("logs"), list)
            and "rewards" in value
        )

    def read(self, record: Record) -> Episode:
        """The match. Raises Refused: `wrong_type`."""
        match = record.value
        if not self.fits(match):
            raise Refused("wrong_type", "a match has `logs`, a list, and `rewards`")
        log = [_entry(item) for item in match["logs"]]
        game = str(match.get("env_id") or match.get("env_name") or "textarena")
        paid, info = payments(match["rewards"]), by_seat(match.get("game_info"))
        roles = {**roles_in(log), **_roles(info)}
        count = 1 + max([0, *paid, *info, *roles, *(who for who, _ in log)])
        mafia = is_secretmafia(game)
        entries = heard(log, roles) if mafia else heard_elsewhere(log, count)
        turns = tuple(_turns(entries, roles, count))
        ending, reason = _ending(info)
        left_out = _left_out(turns, reason)
        return Episode(
            game=game,
            options={},
            seed=0,
            players=("",) * count,
            turns=turns,
            returns=tuple(paid.get(seat, NAN) for seat in range(count)),
            ending=ending,
            reason=reason[:300],
            provenance={
                "kind": self.kind,
                "match": str(match.get("game_id") or match.get("id") or ""),
                "roles": {str(seat): role for seat, role in sorted(roles.items())},
                **_winners(paid),
                **({"left_out": left_out} if left_out else {}),
                **({} if mafia else {"notes": ["audience_unknown"]}),
            },
        )


def _entry(item: Any) -> Entry:
    values = list(item.values()) if isinstance(item, Mapping) else item
    if not isinstance(values, list) or len(values) < 2:
        raise Refused("wrong_type", "an entry of the log is not [who, what]")
    who, words = values[:2]
    if isinstance(who, bool) or not isinstance(who, int) or not isinstance(words, str):
        raise Refused("wrong_type", "an entry of the log is not [who, what]")
    if who >= MOST_SEATS:
        raise Refused("wrong_type", f"player {who!r:.20} of a match")
    return max(who, -1), words


def _roles(info: Mapping[int, Any]) -> dict[int, str]:
    """Roles told at the end; a game without roles writes "Player 3" there."""
    roles = {seat: about.get("role") for seat, about in info.items() if isinstance(about, Mapping)}
    return {
        seat: role_named(role) or role[:40]
        for seat, role in roles.items()
        if isinstance(role, str) and role and role != f"Player {seat}"
    }


def _ending(info: Mapping[int, Any]) -> tuple[Ending, str]:
    """How the match ended, and why in words."""
    reasons = [about.get("reason") for about in info.values() if isinstance(about, Mapping)]
    reason = next((words for words in reasons if isinstance(words, str) and words), "")
    forfeit = "made an invalid move" in reason.lower()
    return Ending.FORFEIT if forfeit else Ending.FINISHED, reason


def _left_out(turns: tuple[Turn, ...], reason: str) -> str:
    if not turns:
        return "no_actions"
    return "timeout" if timed_out(reason) else ""


def _turns(
    entries: Iterable[tuple[int, str, Seats, str]], roles: Mapping[int, str], count: int
) -> Iterator[Turn]:
    """A turn for each thing a player said, with what that player heard since its turn before."""
    unread: list[list[str]] = [[] for _ in range(count)]
    spoke = set()
    for who, words, seats, call in entries:
        if who >= 0:
            observation, role = "".join(unread[who]), roles.get(who, "")
            mates = {who} | {seat for seat, other in roles.items() if role == other == MAFIA}
            asked = secretmafia.Asked(call, frozenset(mates))
            yield secretmafia.turn(who, role, observation, who in spoke, words, asked)
            unread[who].clear()
            spoke.add(who)
        for seat in range(count) if seats is None else seats & set(range(count)):
            unread[seat].append(f"[{'GAME' if who < 0 else f'Player {who}'}] {words}\n")


def _winners(paid: Mapping[int, float]) -> dict[str, list[int]]:
    if len(set(paid.values())) < 2:
        return {}
    return {"winners": [seat for seat, amount in sorted(paid.items()) if amount > 0]}
