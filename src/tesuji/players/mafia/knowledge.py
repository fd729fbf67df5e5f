"""What a scripted SecretMafia player knows: only what stood in its own transcript.

The transcript is read as it grows; the game's own words are read by `games/textarena/secretmafia`.
"""

import re
from collections import Counter

from tesuji.games.textarena.secretmafia import (
    MAFIA,
    VOTING,
    departure,
    findings,
    last_message,
    mates_in,
    messages,
    phase_of,
    role_in,
    seat_in,
    seats_in,
    targets,
)

_ACCUSED = re.compile(r"(?:suspect|accuse|vote for|against|blame)\w{0,9} Player (\d+)", re.I)
_VOTE = re.compile(r"\[(\d+)\]")
_EVIDENCE = re.compile(r"evidence|pattern|reasoning|logic|deduce|analy[sz]e", re.I)


class Knowledge:
    """One player's knowledge, brought up to date by `read`."""

    def __init__(self) -> None:
        self._read = 0
        self.seat, self.role, self.phase, self.day = 0, "", "", 0
        self.alive: list[int] = []
        self.mates: set[int] = set()
        self.targets: list[int] = []
        self.findings: dict[int, bool] = {}  # own investigations: seat → is Mafia
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

    def read(self, transcript: str) -> None:
        """Take in what is new in the transcript."""
        if not self._read:
            self._begin(transcript)
        new, self._read = transcript[self._read :], len(transcript)
        for speaker, text in messages(new):
            if speaker is None:
                self._read_game(text)
            else:
                self._read_player(speaker, text)
        call = last_message(transcript)
        self.phase = phase_of(call)
        self.targets = [move.id for move in targets(call)]

    def _begin(self, transcript: str) -> None:
        self.seat, self.role = seat_in(transcript) or 0, role_in(transcript)
        self.alive = list(range(seats_in(transcript)))
        self.mates = mates_in(transcript)

    def _read_game(self, text: str) -> None:
        if gone := departure(text):
            seat, killed = gone
            self.alive = [other for other in self.alive if other != seat]
            if killed:
                self.murdered.append(seat)
        elif text.startswith("Player ") and (result := findings(text)):
            self.findings |= result
        elif phase := phase_of(text):
            self.phase = phase
            self.votes.clear()
            if phase == "discussion":
                self.day += 1
                self.accused.clear()
                self.reasoned.clear()

    def _read_player(self, speaker: int, text: str) -> None:
        if self.phase in (VOTING, "night_mafia"):
            if vote := _VOTE.findall(text):
                self.votes[speaker] = int(vote[-1])
            return
        self.turns[speaker] += 1
        reasons = bool(_EVIDENCE.search(text))
        self.reasons[speaker] += reasons
        self.last_speaker = speaker
        for number, guilty in findings(text).items():
            self.claims.setdefault(speaker, {})[number] = guilty
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
