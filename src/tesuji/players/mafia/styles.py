"""What scripted SecretMafia players say and whom they name, by style.

careful     reasons from claims, kills and votes; speaks of evidence; names only who can be named
bandwagon   says and votes what others did
random      talks about anything, names anybody who can be named
quiet       a word at a time
sloppy      now and then names nobody, or one who cannot be named, which costs it the game
"""

import random
from typing import Literal, get_args

from tesuji.games.textarena.secretmafia import NAMED, VOTING
from tesuji.players.mafia import phrases as words
from tesuji.players.mafia.knowledge import Knowledge
from tesuji.players.mafia.suspicion import scapegoat, suspect, suspicion, victim, vote

Style = Literal["careful", "bandwagon", "random", "quiet", "sloppy"]
STYLES: tuple[Style, ...] = get_args(Style)
SLIP = 0.3  # of a sloppy player's votes and night actions name nobody who can be named
FAKE = 0.08  # of careful Mafia speeches claim an investigation


class Voice:
    """One seat's player; it keeps what it knows between its turns."""

    def __init__(self, style: Style, rng: random.Random) -> None:
        self.style, self.rng, self.known = style, rng, Knowledge()

    def reply(self, transcript: str) -> str:
        """What it says to the transcript `shown`."""
        self.known.read(transcript)
        return self._name() if self.known.phase in NAMED else self._speak()

    def _name(self) -> str:
        seat, rng = self._choice(), self.rng
        if self.style == "sloppy":
            if rng.random() < SLIP:
                return words.slip(rng, seat, self._nobody())
            return words.bare(rng, seat)
        if self.style == "careful":
            return words.reasoned_choice(rng, self.known.phase, seat)
        if self.style == "bandwagon" and self.known.phase == VOTING:
            return words.joined_choice(rng, seat)
        return words.bare(rng, seat)

    def _choice(self) -> int:
        known = self.known
        valid = [seat for seat in known.targets if seat != known.seat] or known.targets or [0]
        if self.style == "careful":
            chosen = self._careful(valid)
        elif self.style == "bandwagon":
            cast = list(known.votes.values())
            chosen = max(cast, key=lambda s: (cast.count(s), s)) if cast else known.last_accused
        else:
            chosen = None
        return chosen if chosen in valid else self.rng.choice(valid)

    def _careful(self, valid: list[int]) -> int | None:
        known = self.known
        if known.phase == VOTING:
            return vote(known)
        if known.phase == "night_mafia":
            return victim(known, valid)
        if known.phase == "night_doctor":
            return next((seat for seat in known.claims if seat in valid), None)
        unknown = [seat for seat in valid if seat not in known.findings] or valid
        return max(unknown, key=lambda seat: (suspicion(known, seat), self.rng.random()))

    def _nobody(self) -> int:
        """A seat that cannot be named."""
        gone = [seat for seat in range(12) if seat not in self.known.alive]
        return self.rng.choice(gone)

    def _speak(self) -> str:
        known, rng = self.known, self.rng
        other = rng.choice(known.others or known.alive)
        if self.style == "careful":
            return self._reason()
        if self.style == "bandwagon":
            agreed = known.last_accused if known.last_accused in known.others else other
            return words.agreement(rng, agreed, known.last_speaker)
        if self.style == "quiet":
            return words.word(rng)
        if self.style == "sloppy":
            return words.mumble(rng, other)
        return words.chatter(rng, other)

    def _reason(self) -> str:
        known, rng = self.known, self.rng
        if known.evil:
            target = scapegoat(known)
            if rng.random() < FAKE:
                return words.claim(rng, target, True)
            return words.accusation(rng, target)
        guilty = [seat for seat, bad in known.findings.items() if bad and seat in known.alive]
        if guilty:
            return words.claim(rng, guilty[0], True)
        cleared = [seat for seat, bad in known.findings.items() if not bad and seat in known.alive]
        if cleared and rng.random() < 0.35:
            return words.claim(rng, rng.choice(cleared), False)
        target = suspect(known)
        if suspicion(known, target) > 0 or rng.random() < 0.6:
            return words.accusation(rng, target)
        return words.plan(rng, target)
