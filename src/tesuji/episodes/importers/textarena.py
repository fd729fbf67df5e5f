"""What TextArena keeps of a match: the log of its state, with rewards and what it says at the end.

    {"env_id": "SecretMafia-v0", "logs": [[-1, "..."], [0, "..."]], "rewards": {"0": 1, ...},
     "game_info": {"0": {"role": "Villager", "invalid_move": false, "reason": "..."}, ...}}

`logs` is `state.logs`: who spoke (-1 is the game) and what. Each message of a player becomes a
turn; what stood in the log before it, since that player's turn before, is what it had seen, as far
as the log tells: messages to one player alone look like all others there.
"""

from collections.abc import Mapping
from typing import Any

from tesuji.core.types import Ending, Episode, Turn
from tesuji.episodes.importers import secretmafia
from tesuji.episodes.importers.base import Importer, Record, Refused

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
        rewards = _by_seat(match.get("rewards"))
        info = match.get("game_info")
        about = (
            {int(k): v for k, v in info.items() if str(k).isdigit()}
            if isinstance(info, Mapping)
            else {}
        )
        seats = [seat for seat, _ in log if seat >= 0]
        count = max([0, *seats, *rewards, *about]) + 1
        if count > 100:
            raise Refused("wrong_type", f"{count} players")
        roles = {
            seat: str(facts.get("role") or "")
            for seat, facts in about.items()
            if isinstance(facts, Mapping)
        }
        game = str(match.get("env_id") or match.get("env_name") or "textarena")
        reason = next(
            (
                str(f["reason"])
                for f in about.values()
                if isinstance(f, Mapping) and f.get("reason")
            ),
            "",
        )
        left_out = "" if seats else "no_actions"
        return Episode(
            game=game,
            options={},
            seed=0,
            players=("",) * count,
            turns=_turns(game, log, roles),
            returns=tuple(rewards.get(seat, NAN) for seat in range(count)),
            ending=Ending.FINISHED,
            reason=reason[:300],
            provenance={
                "kind": self.kind,
                "match": str(match.get("game_id") or match.get("id") or ""),
                "roles": {str(seat): role for seat, role in roles.items() if role},
                **_winners(rewards),
                **({"left_out": left_out} if left_out else {}),
            },
        )


def _entry(item: Any) -> tuple[int, str]:
    pair = item.values() if isinstance(item, Mapping) else item
    values = list(pair) if isinstance(item, Mapping | list | tuple) else []
    if len(values) < 2 or isinstance(values[0], bool) or not isinstance(values[0], int):
        raise Refused("wrong_type", "an entry of the log is not [who, what]")
    if not isinstance(values[1], str) or values[0] >= 100:
        raise Refused("wrong_type", "an entry of the log is not [who, what]")
    return values[0], values[1]


def _by_seat(value: Any) -> dict[int, float]:
    if not isinstance(value, Mapping):
        return {}
    return {
        int(seat): float(paid)
        for seat, paid in value.items()
        if str(seat).isdigit()
        and int(seat) < 100
        and isinstance(paid, int | float)
        and not isinstance(paid, bool)
    }


def _turns(game: str, log: list[tuple[int, str]], roles: Mapping[int, str]) -> tuple[Turn, ...]:
    """A turn for each message of a player, with what came since its turn before."""
    found = []
    since: dict[int, int] = {}
    for place, (seat, said) in enumerate(log):
        if seat < 0:
            continue
        new = "".join(_shown(*entry) for entry in log[since.get(seat, 0) : place])
        message = secretmafia.last_message(new) if "SecretMafia" in game else ""
        phase = secretmafia.phase_of(message)
        legal = secretmafia.targets(message) if phase in secretmafia.NAMED else ()
        attempt = secretmafia.read_action(said, phase, legal)
        turn = Turn(
            seat=seat,
            role=secretmafia.role_named(roles.get(seat)) or roles.get(seat, ""),
            observation=new,
            attempts=(attempt,),
            played=attempt.move,
            phase=phase,
            continues=seat in since,
            legal_moves=legal,
        )
        found.append(turn)
        since[seat] = place
    return tuple(found)


def _shown(seat: int, words: str) -> str:
    return f"[{'GAME' if seat < 0 else f'Player {seat}'}] {words}\n"


def _winners(rewards: Mapping[int, float]) -> dict[str, list[int]]:
    if len(set(rewards.values())) < 2:
        return {}
    return {"winners": [seat for seat, paid in sorted(rewards.items()) if paid > 0]}
