"""What a scripted SecretMafia player knows: only what stood in its own transcript.

The transcript is read as it grows. The words are those of TextArena 0.7 and of `phrases`.
"""

import re
from collections import Counter

from tesuji.games.textarena.secretmafia import (
    MAFIA,
    last_message,
    phase_of,
    role_told,
    seat_told,
    seats_told,
    targets,
)

_SENDER = re.compile(r"^\[(GAME|Player \d+)\] ?", re.M)
_GONE = re.compile(r"Player (\d+) (was eliminated by vote|was killed|has been eliminated)")
_RESULT = re.compile(r"Player (\d+) IS( NOT)? a Mafia member")
_MATES = re.compile(r"Your teammates are: (.*)")
_ACCUSED = re.compile(r"(?:suspect|accuse|vote for|against|blame)\w* Player (\d+)", re.I)
_VOTE = re.compile(r"\[(\d+)\]")
_EVIDENCE = re.compile(r"evidence|pattern|reasoning|logic|deduce|analy[sz]e", re.I)


class View:
    """One player's knowledge, brought up to date by `read`."""

    def __init__(self) -> None:
        self._read = 0
        self.seat, self.role, self.phase, self.day = 0, "", "", 0
        self.alive: list[int] = []
        self.mates: set[int] = set()
        self.targets: list[int] = []
        self.found: dict[int, bool] = {}  # own investigations: seat → is Mafia
        self.claims: dict[int, dict[int, bool]] = {}  # speaker → what it says it found
        self.murdered: list[int] = []
        self.accused: Counter[int] = Counter()  # today, by anybody
        self.accusers: dict[int, set[int]] = {}  # accused → who, ever
        self.reasoned: Counter[int] = Counter()  # accused with reasons, today
        self.votes: dict[int, int] = {}  # of the vote under way
        self.turns: Counter[int] = Counter()  # speeches, by speaker
        self.reasons: Counter[int] = Counter()  # those of them that give reasons
        self.last_accused: int | None = None
        self.last_speaker: int | None = None

    def read(self, shown: str) -> None:
        """Take in what is new in the transcript."""
        if not self._read:
            self._begin(shown)
        new, self._read = shown[self._read :], len(shown)
        senders = list(_SENDER.finditer(new))
        for place, found in enumerate(senders):
            end = senders[place + 1].start() if place + 1 < len(senders) else len(new)
            text = new[found.end() : end].strip()
            if found.group(1) == "GAME":
                self._told(text)
            else:
                self._heard(int(found.group(1)[7:]), text)
        asked = last_message(shown)
        self.phase = phase_of(asked)
        self.targets = [move.id for move in targets(asked)]

    def _begin(self, shown: str) -> None:
        self.seat, self.role = seat_told(shown) or 0, role_told(shown)
        self.alive = list(range(seats_told(shown)))
        if mates := _MATES.search(shown):
            self.mates = set(map(int, re.findall(r"\d+", mates.group(1))))

    def _told(self, text: str) -> None:
        if gone := _GONE.match(text):
            number = int(gone.group(1))
            self.alive = [seat for seat in self.alive if seat != number]
            if gone.group(2) == "was killed":
                self.murdered.append(number)
        elif result := _RESULT.match(text):
            self.found[int(result.group(1))] = result.group(2) is None
        elif phase := phase_of(text):
            self.phase = phase
            self.votes.clear()
            if phase == "discussion":
                self.day += 1
                self.accused.clear()
                self.reasoned.clear()

    def _heard(self, speaker: int, text: str) -> None:
        if self.phase in ("voting", "night_mafia"):
            if vote := _VOTE.findall(text):
                self.votes[speaker] = int(vote[-1])
            return
        self.turns[speaker] += 1
        reasons = bool(_EVIDENCE.search(text))
        self.reasons[speaker] += reasons
        self.last_speaker = speaker
        for number, innocent in _RESULT.findall(text):
            self.claims.setdefault(speaker, {})[int(number)] = not innocent
        for number in set(map(int, _ACCUSED.findall(text))):
            self.accused[number] += 1
            self.accusers.setdefault(number, set()).add(speaker)
            self.reasoned[number] += reasons
            self.last_accused = number

    @property
    def others(self) -> list[int]:
        """Living seats that are neither one's own nor a mate's."""
        return [seat for seat in self.alive if seat != self.seat and seat not in self.mates]

    @property
    def evil(self) -> bool:
        """Whether the player is of the Mafia."""
        return self.role == MAFIA
