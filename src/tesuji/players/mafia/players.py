"""Scripted SecretMafia players: opponents to learn against, and to measure a model by.

    mafia-random     names anybody who can be named, talks about anything
    mafia-follower   a villager who follows the talk: votes for whoever is accused most today
    mafia-bandwagon  votes with the votes cast so far, says what was said before
    mafia-careful    reasons from claims, kills and votes; the strongest of these

They know what stands in their own transcript, and play every role.
"""

import random
from weakref import WeakKeyDictionary

from tesuji.games.base import Match
from tesuji.games.textarena.secretmafia import NAMED
from tesuji.players.base import MoveRequest, OneByOne, Reply
from tesuji.players.mafia.styles import Style, Voice


class Follower(Voice):
    """Speaks as the bandwagon does, and names whoever is accused most."""

    def _choice(self) -> int:
        known = self.known
        valid = [seat for seat in known.targets if seat != known.seat] or known.targets or [0]
        blamed = {seat: known.accused[seat] for seat in valid if known.accused[seat]}
        if known.phase not in NAMED or known.phase == "night_doctor" or not blamed:
            return super()._choice()
        return max(blamed, key=lambda seat: (blamed[seat], known.votes.get(seat, 0), -seat))


class MafiaPlayer(OneByOne):
    """One style for all seats of all matches; what a seat has read is kept while its match is."""

    name = "mafia"
    style: Style = "random"
    voice: type[Voice] = Voice

    def __init__(self) -> None:
        self._voices: WeakKeyDictionary[Match, dict[int, Voice]] = WeakKeyDictionary()

    def reply(self, request: MoveRequest) -> Reply:
        """A reply in words."""
        voices = self._voices.setdefault(request.match, {})
        rng = random.Random(request.seed)
        voice = voices.get(request.seat)
        if voice is None:
            voice = voices[request.seat] = self.voice(self.style, rng)
        voice.rng = rng
        return Reply(text=voice.reply(request.match.transcript(request.seat)))


class MafiaRandom(MafiaPlayer):
    """Names anybody who can be named."""

    name = "mafia-random"


class MafiaFollower(MafiaPlayer):
    """Votes for whoever is accused most."""

    name, style, voice = "mafia-follower", "bandwagon", Follower


class MafiaBandwagon(MafiaPlayer):
    """Votes with the votes cast so far."""

    name, style = "mafia-bandwagon", "bandwagon"


class MafiaCareful(MafiaPlayer):
    """Reasons from what is known."""

    name, style = "mafia-careful", "careful"
