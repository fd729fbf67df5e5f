"""What scripted SecretMafia players say and whom they name, by style.

careful     reasons from claims, kills and votes; speaks of evidence; names only who can be named
bandwagon   says and votes what others did
random      talks about anything, names anybody who can be named
quiet       a word at a time
sloppy      now and then names nobody, or one who cannot be named, which costs it the game
"""

import random
from typing import Literal, get_args

from tesuji.games.textarena.secretmafia import NAMED
from tesuji.players.mafia import phrases as words
from tesuji.players.mafia.knowledge import View
from tesuji.players.mafia.suspicion import scapegoat, suspect, suspicion, victim, vote

Style = Literal["careful", "bandwagon", "random", "quiet", "sloppy"]
STYLES: tuple[Style, ...] = get_args(Style)
SLIP = 0.3  # of a sloppy player's votes and night actions name nobody who can be named
FAKE = 0.08  # of careful Mafia speeches claim an investigation


class Voice:
    """One seat's player; it keeps what it knows between its turns."""

    def __init__(self, style: Style, rng: random.Random) -> None:
        self.style, self.rng, self.view = style, rng, View()

    def reply(self, transcript: str) -> str:
        """What it says to the transcript `shown`."""
        self.view.read(transcript)
        return self._name() if self.view.phase in NAMED else self._speak()

    def _name(self) -> str:
        seat, rng = self._choice(), self.rng
        if self.style == "sloppy":
            if rng.random() < SLIP:
                return words.slip(rng, seat, self._nobody())
            return words.bare(rng, seat)
        if self.style == "careful":
            return words.reasoned_choice(rng, self.view.phase, seat)
        if self.style == "bandwagon" and self.view.phase == "voting":
            return words.joined_choice(rng, seat)
        return words.bare(rng, seat)

    def _choice(self) -> int:
        view = self.view
        valid = [seat for seat in view.targets if seat != view.seat] or view.targets or [0]
        if self.style == "careful":
            chosen = self._careful(valid)
        elif self.style == "bandwagon":
            cast = list(view.votes.values())
            chosen = max(cast, key=lambda s: (cast.count(s), s)) if cast else view.last_accused
        else:
            chosen = None
        return chosen if chosen in valid else self.rng.choice(valid)

    def _careful(self, valid: list[int]) -> int | None:
        view = self.view
        if view.phase == "voting":
            return vote(view)
        if view.phase == "night_mafia":
            return victim(view, valid)
        if view.phase == "night_doctor":
            return next((seat for seat in view.claims if seat in valid), None)
        unknown = [seat for seat in valid if seat not in view.findings] or valid
        return max(unknown, key=lambda seat: (suspicion(view, seat), self.rng.random()))

    def _nobody(self) -> int:
        """A seat that cannot be named."""
        gone = [seat for seat in range(12) if seat not in self.view.alive]
        return self.rng.choice(gone)

    def _speak(self) -> str:
        view, rng = self.view, self.rng
        other = rng.choice(view.others or view.alive)
        if self.style == "careful":
            return self._reason()
        if self.style == "bandwagon":
            agreed = view.last_accused if view.last_accused in view.others else other
            return words.agreement(rng, agreed, view.last_speaker)
        if self.style == "quiet":
            return words.word(rng)
        if self.style == "sloppy":
            return words.mumble(rng, other)
        return words.chatter(rng, other)

    def _reason(self) -> str:
        view, rng = self.view, self.rng
        if view.evil:
            target = scapegoat(view)
            if rng.random() < FAKE:
                return words.claim(rng, target, True)
            return words.accusation(rng, target)
        guilty = [seat for seat, bad in view.findings.items() if bad and seat in view.alive]
        if guilty:
            return words.claim(rng, guilty[0], True)
        cleared = [seat for seat, bad in view.findings.items() if not bad and seat in view.alive]
        if cleared and rng.random() < 0.35:
            return words.claim(rng, rng.choice(cleared), False)
        target = suspect(view)
        if suspicion(view, target) > 0 or rng.random() < 0.6:
            return words.accusation(rng, target)
        return words.plan(rng, target)
