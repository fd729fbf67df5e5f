"""Whom a careful SecretMafia player names, from what it knows."""

from collections.abc import Callable, Iterable

from tesuji.players.mafia.knowledge import Knowledge

NOISE = 0.8  # for one who speaks and never gives a reason


def suspicion(known: Knowledge, seat: int) -> float:
    """How likely the player takes `seat` for Mafia; own investigations outweigh all else."""
    if seat in known.findings:
        return 10.0 if known.findings[seat] else -10.0
    points = 0.0
    for speaker, claimed in known.claims.items():
        if seat in claimed and speaker != seat:
            weight = _credit(known, speaker)
            points += weight if claimed[seat] else -0.8 * weight
    points += 0.4 * min(3, known.reasoned[seat]) + 0.1 * min(3, known.accused[seat])
    points += 0.3 * sum(seat in known.accusers.get(dead, ()) for dead in known.murdered)
    if known.turns[seat]:
        points += NOISE * (1 - known.reasons[seat] / known.turns[seat])
    return points


def _credit(known: Knowledge, speaker: int) -> float:
    """What a claim of `speaker` weighs: more from one whom the Mafia then killed."""
    if known.findings.get(speaker):
        return 0.0
    if speaker in known.murdered:
        return 6.0
    contested = len([other for other in known.claims if other not in known.murdered]) > 1
    return 2.0 if contested else 4.0


def suspect(known: Knowledge) -> int:
    """The living seat that a careful villager holds for the most suspicious."""
    return _most(known.others or known.alive, lambda seat: suspicion(known, seat))


def scapegoat(known: Knowledge) -> int:
    """The villager whom a careful Mafioso would have voted out: one already under suspicion, or
    one who accuses a mate."""

    def worth(seat: int) -> float:
        accuses = sum(seat in known.accusers.get(mate, ()) for mate in known.mates)
        return known.accused[seat] + 0.8 * accuses + (1.5 if seat in known.claims else 0.0)

    return _most(known.others or known.alive, worth)


def victim(known: Knowledge, valid: Iterable[int]) -> int | None:
    """Whom a careful Mafioso kills: a mate's choice, one who claims to know, one who accuses; None
    where nobody stands out."""
    allowed = set(valid)
    agreed = [seat for seat in known.votes.values() if seat in allowed]
    if agreed:
        return agreed[-1]
    claimed = [seat for seat in known.claims if seat in allowed]
    loud = [s for mate in sorted(known.mates) for s in sorted(known.accusers.get(mate, ()))]
    return next((seat for seat in (*claimed, *loud) if seat in allowed), None)


def vote(known: Knowledge) -> int:
    """Whom a careful player votes for; votes cast already count as an opinion."""
    if known.evil:
        cast = [seat for seat in known.votes.values() if seat in known.others]
        return max(set(cast), key=lambda s: (cast.count(s), -s)) if cast else scapegoat(known)

    def worth(seat: int) -> float:
        return suspicion(known, seat) + 0.35 * sum(seat == cast for cast in known.votes.values())

    return _most(known.others or known.alive, worth)


def _most(seats: Iterable[int], worth: Callable[[int], float]) -> int:
    """The first of the seats with the highest worth, so that careful players agree."""
    return max(sorted(seats), key=lambda seat: (worth(seat), -seat))
