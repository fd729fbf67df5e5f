"""Whom a careful SecretMafia player names, from what it knows."""

from collections.abc import Callable, Iterable

from tesuji.players.mafia.knowledge import View

NOISE = 0.8  # for one who speaks and never gives a reason


def suspicion(view: View, seat: int) -> float:
    """How likely the player takes `seat` for Mafia; own investigations outweigh all else."""
    if seat in view.findings:
        return 10.0 if view.findings[seat] else -10.0
    points = 0.0
    for speaker, claimed in view.claims.items():
        if seat in claimed and speaker != seat:
            weight = _credit(view, speaker)
            points += weight if claimed[seat] else -0.8 * weight
    points += 0.4 * min(3, view.reasoned[seat]) + 0.1 * min(3, view.accused[seat])
    points += 0.3 * sum(seat in view.accusers.get(dead, ()) for dead in view.murdered)
    if view.turns[seat]:
        points += NOISE * (1 - view.reasons[seat] / view.turns[seat])
    return points


def _credit(view: View, speaker: int) -> float:
    """What a claim of `speaker` weighs: more from one whom the Mafia then killed."""
    if view.findings.get(speaker):
        return 0.0
    if speaker in view.murdered:
        return 6.0
    contested = len([other for other in view.claims if other not in view.murdered]) > 1
    return 2.0 if contested else 4.0


def suspect(view: View) -> int:
    """The living seat that a careful villager holds for the most suspicious."""
    return _most(view.others or view.alive, lambda seat: suspicion(view, seat))


def scapegoat(view: View) -> int:
    """The villager whom a careful Mafioso would have voted out: one already under suspicion, or
    one who accuses a mate."""

    def worth(seat: int) -> float:
        accuses = sum(seat in view.accusers.get(mate, ()) for mate in view.mates)
        return view.accused[seat] + 0.8 * accuses + (1.5 if seat in view.claims else 0.0)

    return _most(view.others or view.alive, worth)


def victim(view: View, valid: Iterable[int]) -> int | None:
    """Whom a careful Mafioso kills: a mate's choice, one who claims to know, one who accuses; None
    where nobody stands out."""
    allowed = set(valid)
    agreed = [seat for seat in view.votes.values() if seat in allowed]
    if agreed:
        return agreed[-1]
    known = [seat for seat in view.claims if seat in allowed]
    loud = [s for mate in sorted(view.mates) for s in sorted(view.accusers.get(mate, ()))]
    return next((seat for seat in (*known, *loud) if seat in allowed), None)


def vote(view: View) -> int:
    """Whom a careful player votes for; votes cast already count as an opinion."""
    if view.evil:
        cast = [seat for seat in view.votes.values() if seat in view.others]
        return max(set(cast), key=lambda s: (cast.count(s), -s)) if cast else scapegoat(view)

    def worth(seat: int) -> float:
        return suspicion(view, seat) + 0.35 * sum(seat == cast for cast in view.votes.values())

    return _most(view.others or view.alive, worth)


def _most(seats: Iterable[int], worth: Callable[[int], float]) -> int:
    """The first of the seats with the highest worth, so that careful players agree."""
    return max(sorted(seats), key=lambda seat: (worth(seat), -seat))
