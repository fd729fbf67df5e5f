"""The text of a PokerStars hand as a history that pokerkit plays.

pokerkit's own `PokerStarsParser` skips antes, straddles and late posts, takes "raises $6 to $6" for
a raise by six, and misses winners and mucked cards. The lines, as PokerStars writes them:

    Seat 3: ida ($100 in chips, $5 bounty)    ida: posts small & big blinds $1.50
    ida: raises $2 to $3 and is all-in        Uncalled bet ($2) returned to ida
    ida collected $2.50 from side pot-1       ida cashed out the hand for $1.93 | Cash Out Fee $0.02
    Total pot $5 Main pot $3. Side pot $2. | Rake $0.20
    Seat 1: ana (button) (small blind) mucked [8c Jh]

Of a raise the number after "to" counts. Whoever sits out plays if a line says so: in tournaments
absent players post too. Of a hand dealt out twice the first board is read.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pokerkit import Card, HandHistory, State
from pokerkit.utilities import parse_value

from tesuji.games.poker.history import Amount
from tesuji.logs.base import Refused
from tesuji.logs.poker.results import Ended

SITE = "PokerStars"
HEAD = re.compile(r"^\ufeff?PokerStars (?:[A-Z][A-Za-z]* )*(?:Hand|Game) #(\d*)", re.MULTILINE)
MOST_SEATS = 23
_AMOUNT = (
    r"[^\d\s.]{0,4}(\d[\d,]*(?:\.\d+)?|\.\d+)"  # whatever the currency, and however it was decoded
)
_CARDS = r"\[((?:[2-9TJQKA][cdhs] ?)+)\]"
_GAME = re.compile(r"(?<!6\+ )Hold'em No Limit")
_BLINDS = re.compile(rf"\({_AMOUNT}/{_AMOUNT}")
_TABLE = re.compile(r"^Table '(.+)' ")
_BUTTON = re.compile(r"Seat #(\d{1,3}) is the button")
_SEAT = re.compile(rf"^Seat (\d{{1,3}}): (.{{1,99}}) \({_AMOUNT} in chips[^)]{{0,99}}\)(.*)$")
_POST = re.compile(
    r": posts (?:the |a )?((?:[a-z]+ ){0,2}ante|(?:[a-z]+ )?straddle|dead (?:small |big )?blind"
    rf"|small & big blinds|small blind|big blind) {_AMOUNT}"
)
_ACT = re.compile(r": (folds|checks|calls|bets|raises)\b")
_TO = re.compile(rf" to {_AMOUNT}")
_SIZE = re.compile(rf": bets {_AMOUNT}")
_SHOWN = re.compile(rf": (?:shows|folds) {_CARDS}")
_DEALT = re.compile(rf" {_CARDS}$")
_COLLECTED = re.compile(rf" collected {_AMOUNT} from ")
_CASHED = re.compile(rf" cashed out the hand for {_AMOUNT}")
_BOARD = re.compile(rf"^\*\*\* (?:FIRST )?(?:FLOP|TURN|RIVER) \*\*\*(?: \[[^\]]*\])*? {_CARDS}$")
_FEES = re.compile(rf"\|[^|\d]*?{_AMOUNT}")
_HELD = re.compile(rf"^Seat (\d{{1,3}}): .*?(?:mucked|showed|folded) {_CARDS}")


class _FullBlind(State):
    """pokerkit asks no more for a call than a big blind had that was all-in with less than it."""

    @property
    def checking_or_calling_amount(self) -> Any:
        amount, seat = super().checking_or_calling_amount, self.actor_index
        if amount is None or seat is None:
            return amount
        return min(self.stacks[seat], amount + self._lacking())

    @property
    def min_completion_betting_or_raising_to_amount(self) -> Any:
        amount, seat = super().min_completion_betting_or_raising_to_amount, self.actor_index
        if amount is None or seat is None:
            return amount
        return min(self.stacks[seat] + self.bets[seat], amount + self._lacking())

    def _lacking(self) -> Amount:
        """What the blind lacks, where the hand is not between one player and all-in ones."""
        others = set(self.player_indices) - {self.actor_index}
        if self.street_index or not any(self.statuses[s] and self.stacks[s] for s in others):
            return 0
        lacking: Amount = max(map(abs, self.blinds_or_straddles)) - max(self.bets)
        return max(lacking, 0)


class _History(HandHistory):
    def create_state(self) -> State:
        state = super().create_state()
        state.__class__ = _FullBlind
        return state


class Hand(NamedTuple):
    """A hand as pokerkit plays it, the seat whose view it is, and what its text says of the end."""

    history: HandHistory
    hero: int | None
    ended: Ended


def read_hand_text(text: str) -> Hand:
    """The hand of a text. Raises Refused: `unplayable`, `unread_posts`, `unread_amount`."""
    play, complete, summary = text.partition("*** SUMMARY ***")
    if not complete:
        play = play[: play.rfind("\n") + 1]  # a line torn off may say something else
    head, *lines = play.split("\n")
    if not _GAME.search(head):
        raise Refused("unplayable", f"not no-limit hold'em: {head[:100]}")
    stakes = _BLINDS.search(head)
    table = _Table(tuple(map(amount, stakes.groups())) if stakes else ())
    for line in lines:
        table.read(line.rstrip())
    for line in summary.split("\n"):
        table.read_summary(line.rstrip())
    return _hand(table, head, complete=bool(complete))


def amount(text: str) -> Amount:
    """A number as rooms write it: "1,500", "0.50", and "0,50" of those that count in commas."""
    whole, comma, rest = text.rpartition(",")
    if comma and "." not in text and len(rest) != 3:
        text = f"{whole.replace(',', '')}.{rest}"
    value: Amount = parse_value(text)
    return value


@dataclass
class _Table:
    """What the lines of one hand say, by the names of the players; `stakes` are the blinds."""

    stakes: tuple[Amount, ...] = ()
    seats: dict[str, int] = field(default_factory=dict)
    stacks: dict[str, Amount] = field(default_factory=dict)
    out: set[str] = field(default_factory=set)
    playing: set[str] = field(default_factory=set)
    dealt_to: set[str] = field(default_factory=set)
    cards: dict[str, str] = field(default_factory=dict)
    button: int = 0
    name: str = ""
    antes: dict[str, Amount] = field(default_factory=lambda: defaultdict(int))
    blinds: dict[str, Amount] = field(default_factory=dict)
    posted: set[str] = field(default_factory=set)
    dead: bool = False
    actions: list[tuple[str, str]] = field(default_factory=list)  # player ("": the dealer), what
    paid: dict[str, Amount] = field(default_factory=lambda: defaultdict(int))
    cash_outs: dict[str, Amount] = field(default_factory=dict)
    rake: Amount | None = None
    run_twice: bool = False

    def read(self, line: str) -> None:
        """Take in one line before the summary."""
        if line.startswith("*** "):
            self.run_twice |= line.startswith("*** SECOND ")
            if board := _BOARD.match(line):
                self.actions.append(("", f"d db {_plain(board[1])}"))
        elif seat := _SEAT.match(line):
            self._sit(seat)
        elif line.startswith("Table "):
            self._named(line)
        elif line.startswith("Dealt to "):
            name, rest = self._who(line.removeprefix("Dealt to "))
            if name and (cards := _DEALT.match(rest)):
                self.dealt_to.add(name)
                self._holds(name, cards[1])
        else:
            self._said(*self._who(line))

    def read_summary(self, line: str) -> None:
        """Take in one line of the summary."""
        if line.startswith("Total pot "):
            fees = _FEES.findall(line)
            self.rake = sum(map(amount, fees)) if fees else None
        elif held := _HELD.match(line):
            for name, seat in self.seats.items():
                if seat == int(held[1]):
                    self._holds(name, held[2])

    def _sit(self, seat: re.Match[str]) -> None:
        name = seat[2]
        self.seats[name], self.stacks[name] = int(seat[1]), amount(seat[3])
        if seat[4].strip():
            self.out.add(name)
        if len(self.seats) > MOST_SEATS:
            raise Refused("unplayable", f"more than {MOST_SEATS} players")

    def _named(self, line: str) -> None:
        table, button = _TABLE.match(line), _BUTTON.search(line)
        self.name = table[1] if table else ""
        self.button = int(button[1]) if button else 0

    def _who(self, line: str) -> tuple[str, str]:
        """The player a line begins with, and the rest of it; a name may begin with another's."""
        names = [name for name in self.seats if line.startswith((f"{name}:", f"{name} "))]
        name = max(names, key=len, default="")
        return name, line[len(name) :]

    def _said(self, name: str, rest: str) -> None:
        if not name:
            return
        if rest.startswith(": posts "):
            self._post(name, rest)
        elif act := _ACT.match(rest):
            self._act(name, act[1], rest)
        elif paid := _COLLECTED.match(rest):
            self.paid[name] += amount(paid[1])
        elif cashed := _CASHED.match(rest):
            self.cash_outs[name] = amount(cashed[1])
        if shown := _SHOWN.match(rest):
            self._holds(name, shown[1])

    def _holds(self, name: str, cards: str) -> None:
        if len(cards.split()) == 2:
            self.cards[name] = _plain(cards)

    def _post(self, name: str, rest: str) -> None:
        post = _POST.match(rest)
        if not post:
            raise Refused("unread_posts", f"{name}{rest}"[:120])
        what, posted = post[1], self._in_full(post[1], amount(post[2]), rest)
        self.playing.add(name)
        if what.endswith("ante"):
            self.antes[name] += posted
            return
        big: Amount = max(self.blinds.values(), default=posted)
        if what == "small & big blinds":
            self._dead(name, max(posted - big, 0))
            posted = min(posted, big)
        elif what.startswith("dead") or (what == "small blind" and what in self.posted):
            self._dead(name, posted)
            return
        late = what.endswith("blinds") or (what == "big blind" and what in self.posted)
        self.posted.add(what)
        self.blinds[name] = -posted if late else posted

    def _in_full(self, what: str, posted: Amount, rest: str) -> Amount:
        """What was to be posted; pokerkit itself takes no more than there is in a short stack."""
        if not rest.endswith("all-in"):
            return posted
        full = {"small blind": self.stakes[:1], "big blind": self.stakes[1:]}
        return max(posted, *full.get(what, self.antes.values()), 0)

    def _dead(self, name: str, posted: Amount) -> None:
        self.antes[name] += posted
        self.dead = True

    def _act(self, name: str, what: str, rest: str) -> None:
        self.playing.add(name)
        if what in ("bets", "raises"):
            size = (_SIZE if what == "bets" else _TO).search(rest)
            if not size:
                raise Refused("unread_amount", f"{name}{rest}"[:120])
            what = f"cbr {amount(size[1])}"
        self.actions.append((name, {"folds": "f", "checks": "cc", "calls": "cc"}.get(what, what)))


def _plain(cards: str) -> str:
    return "".join(map(repr, Card.parse(cards)))


def _hand(table: _Table, head: str, *, complete: bool) -> Hand:
    players = _in_order(table, complete=complete)
    antes, blinds = ([of.get(name, 0) for name in players] for of in (table.antes, table.blinds))
    number = HEAD.match(head)
    history = _History(
        variant="NT",
        ante_trimming_status=len(table.antes) > 1 and not table.dead,
        antes=antes if len(players) != 2 else antes[::-1],
        blinds_or_straddles=blinds if len(players) != 2 else blinds[::-1],
        min_bet=max(table.stakes or table.blinds.values(), default=0),
        starting_stacks=[table.stacks[name] for name in players],
        actions=_actions(table, players, complete=complete),
        venue=SITE,
        hand=int(number[1]) if number and number[1] else None,
        table=table.name or None,
        players=players,
        winnings=[table.paid.get(name, 0) for name in players],
    )
    cash_outs = {players.index(name): paid for name, paid in table.cash_outs.items()}
    heroes = table.dealt_to & set(players)
    hero = players.index(heroes.pop()) if len(table.dealt_to) == 1 and heroes else None
    return Hand(history, hero, Ended(table.rake, cash_outs, table.run_twice))


def _in_order(table: _Table, *, complete: bool) -> list[str]:
    """Who plays, from the seat after the button on; of two, the button posts the small blind.

    Of a complete hand those who posted, acted or were dealt cards; of one that breaks off all who
    do not sit out.
    """
    if not table.button:
        raise Refused("unplayable", "no line says which seat is the button")
    playing = table.playing | table.dealt_to
    if not complete:
        playing |= table.seats.keys() - table.out
    players = sorted(
        playing, key=lambda name: (table.seats[name] <= table.button, table.seats[name])
    )
    if len(players) == 2 and 0 < table.blinds.get(players[0], 0) < table.blinds.get(players[1], 0):
        players.reverse()
    return players


def _actions(table: _Table, players: list[str], *, complete: bool) -> list[str]:
    """Deals, bets and boards; the cards of who stayed are shown when the betting is over."""
    place = {name: f"p{number}" for number, name in enumerate(players, start=1)}
    deals = [f"d dh {place[name]} {table.cards.get(name, '????')}" for name in players]
    bets = [f"{place[name]} {what}" if name else what for name, what in table.actions]
    stayed = set(players) - {name for name, what in table.actions if what == "f"}
    if not complete or len(stayed) < 2:
        return deals + bets
    shows = [
        f"{place[name]} sm {table.cards[name]}"
        for name in players
        if name in stayed & table.cards.keys()
    ]
    end = max((n for n, (name, _) in enumerate(table.actions, start=1) if name), default=0)
    return [*deals, *bets[:end], *shows, *bets[end:]]
