"""Made hands as PokerStars writes them, after what its files say, not after what is read of them.

An uncalled bet goes back before the pot is paid; "collected" is what the pot paid, the rake taken.
Who need not show does not; who lost and mucked is named with his cards in the summary. Whole
dollars have no cents, tournament chips no sign. One player's cards are told, the hero's.
"""

from collections.abc import Iterator, Sequence

from pokerkit import (
    BoardDealing,
    Card,
    CheckingOrCalling,
    ChipsPushing,
    CompletionBettingOrRaisingTo,
    Folding,
    HoleCardsShowingOrMucking,
    Operation,
)

from tesuji.games.poker.card_words import cards_text
from tesuji.games.poker.situation import by_seat
from tesuji.logs.synthetic.poker_play import BLINDS, MadeHand

FIRST_HAND = 230_000_000_000
CENTS = 100  # a made chip is a cent
STREETS = ("FLOP", "TURN", "RIVER")
FEE = 100  # one cent in so many, of a cash-out


def pokerstars_text(made: MadeHand, hero: int, *, cash_out: bool = False) -> str:
    """The hand in the eyes of the player at `hero`; with `cash_out` he sells it before the end,
    for what he collected less a fee."""
    return "\n".join(_Room(made, hero, cash_out).lines()) + "\n\n\n"


def deciding(made: MadeHand) -> list[int]:
    """The seats that had something to decide, in the order of their first decision."""
    return list(dict.fromkeys(at.seat for at in made.situations))


def showing(made: MadeHand) -> set[int]:
    """The seats that stayed to the end of a hand that was not given up: a text names their cards,
    of those who mucked in the summary."""
    shows = [op for op in made.state.operations if isinstance(op, HoleCardsShowingOrMucking)]
    return {op.player_index for op in shows}


def can_cash_out(made: MadeHand, hero: int) -> bool:
    """Whether a cash-out can be told: the hero won a showdown for money."""
    return bool(hero in showing(made) and collected(made)[hero]) and not _tournament(made)


def cashed(paid: int) -> int:
    """What is paid for a hand that would have collected so much."""
    return paid - max(1, paid // FEE)


def collected(made: MadeHand) -> list[int]:
    """What the pots paid each seat: what it gained, and what it had put in after the return."""
    room = _Room(made, made.situations[0].seat, cash_out=False)
    list(room.lines())
    return [won + put for won, put in zip(made.state.payoffs, room.put, strict=True)]


def _tournament(made: MadeHand) -> bool:
    return sum(map(bool, made.state.antes)) > 1


class _Room:
    """Tells a hand line by line and keeps the chips as it goes: `left` in front of each seat,
    `bets` of this round, `put` in all, antes among them."""

    def __init__(self, made: MadeHand, hero: int, cash_out: bool) -> None:
        self.made, self.state, self.hero, self.cash_out = made, made.state, hero, cash_out
        self.names = made.history.players or []
        self.count = len(self.names)
        self.left: list[int] = list(self.state.starting_stacks)
        self.bets, self.put = [0] * self.count, [0] * self.count
        self.board: list[str] = []
        self.folded: dict[int, str] = {}
        self.shown: dict[int, tuple[Card, ...]] = {}
        self.paid: dict[int, int] = {}

    def lines(self) -> Iterator[str]:
        """The whole text."""
        yield from self._head()
        yield from self._posts()
        yield "*** HOLE CARDS ***"
        yield f"Dealt to {self.names[self.hero]} [{cards_text(self._held(self.hero))}]"
        for operation in self.state.operations:
            yield from self._tell(operation)
        yield from self._end()
        yield from self._summary()

    def _money(self, amount: int) -> str:
        if _tournament(self.made):
            return str(amount)
        whole, cents = divmod(int(amount), CENTS)
        return f"${whole}.{cents:02}" if cents else f"${whole}"

    def _place(self, seat: int) -> int:
        """The number of the chair: not everywhere has the button the last one."""
        return (seat + self.made.number) % self.count + 1

    def _head(self) -> Iterator[str]:
        small, big = (f"{self._money(blind)}" for blind in BLINDS)
        number, when = FIRST_HAND + self.made.number, "2024/01/01 12:00:00 ET"
        game, table = f"Hold'em No Limit ({small}/{big} USD)", "Made"
        if _tournament(self.made):
            table = "3100224455 7"
            buy_in, level = "$1.80+$0.20 USD", f"Level II ({small}/{big})"
            game = f"Tournament #3100224455, {buy_in} Hold'em No Limit - {level}"
        yield f"PokerStars Hand #{number}:  {game} - {when}"
        yield f"Table '{table}' 9-max Seat #{self._place(self.count - 1)} is the button"
        for seat in sorted(range(self.count), key=self._place):
            bounty = ", $0.90 bounty" if _tournament(self.made) else ""
            stack = self._money(self.left[seat])
            yield f"Seat {self._place(seat)}: {self.names[seat]} ({stack} in chips{bounty})"
        yield f"Seat 9: Zed ({self._money(5000)} in chips) is sitting out"

    def _posts(self) -> Iterator[str]:
        antes = [int(ante) for ante in by_seat(self.state, self.state.antes)]
        blinds = [int(blind) for blind in by_seat(self.state, self.state.blinds_or_straddles)]
        if _tournament(self.made):
            for seat, ante in enumerate(antes):
                yield f"{self.names[seat]}: posts the ante {self._puts(seat, ante, bet=False)}"
        for seat in range(self.count) if self.count > 2 else (1, 0):
            blind = blinds[seat]
            if not blind or not self.left[seat]:
                continue
            what = {BLINDS[0]: "small blind", 2 * BLINDS[1]: "straddle"}.get(blind, "big blind")
            if blind < 0 and antes[seat]:
                self._puts(seat, antes[seat], bet=False)
                self._puts(seat, -blind)
                yield f"{self.names[seat]}: posts small & big blinds {self._money(sum(BLINDS))}"
            else:
                yield f"{self.names[seat]}: posts {what} {self._puts(seat, abs(blind))}"

    def _puts(self, seat: int, amount: int, *, bet: bool = True) -> str:
        """Move chips forward; the amount in words."""
        amount = min(amount, self.left[seat])
        self.left[seat] -= amount
        self.put[seat] += amount
        self.bets[seat] += amount * bet
        return f"{self._money(amount)}{self._all_in(seat)}"

    def _all_in(self, seat: int) -> str:
        return "" if self.left[seat] else " and is all-in"

    def _held(self, seat: int) -> Sequence[Card]:
        return next(at.hole for at in self.made.situations if at.seat == seat)

    def _tell(self, operation: Operation) -> Iterator[str]:
        match operation:
            case Folding(player_index=seat):
                self.folded[seat] = self._street()
                yield f"{self.names[seat]}: folds"
            case CheckingOrCalling(player_index=seat, amount=amount):
                said = f"calls {self._puts(seat, amount)}" if amount else "checks"
                yield f"{self.names[seat]}: {said}"
            case CompletionBettingOrRaisingTo(player_index=seat, amount=amount):
                yield f"{self.names[seat]}: {self._raises(seat, amount)}"
            case BoardDealing(cards=cards):
                yield from self._returned()
                before = f" [{' '.join(self.board)}]" if self.board else ""
                yield f"*** {STREETS[len(self.board[2:])]} ***{before} [{cards_text(cards)}]"
                self.board += [repr(card) for card in cards]
            case HoleCardsShowingOrMucking(player_index=seat, hole_cards=cards):
                self.shown[seat] = tuple(cards or ())

    def _street(self) -> str:
        return STREETS[len(self.board[2:]) - 1].title() if self.board else "Flop"

    def _raises(self, seat: int, to: int) -> str:
        top = max(self.bets)
        self._puts(seat, to - self.bets[seat])
        by, end = f"{self._money(to - top)} to " if top else "", self._all_in(seat)
        return f"{'raises' if top else 'bets'} {by}{self._money(to)}{end}"

    def _returned(self) -> Iterator[str]:
        """The part of the highest bet that nobody called goes back to its owner."""
        second, top = sorted(self.bets)[-2:]
        if uncalled := top - second:
            seat = self.bets.index(top)
            self.put[seat] -= uncalled
            yield f"Uncalled bet ({self._money(uncalled)}) returned to {self.names[seat]}"
        self.bets = [0] * self.count

    def _end(self) -> Iterator[str]:
        yield from self._returned()
        pots = [op.amounts for op in self.state.operations if isinstance(op, ChipsPushing)]
        if not self.shown:
            winner = next(seat for seat in range(self.count) if seat not in self.folded)
            pots = [[0] * self.count]
            pots[0][winner] = self.state.payoffs[winner] + self.put[winner]
        else:
            yield from self._showdown()
        for place, pot in reversed([*enumerate(pots)]):
            name = ("main pot" if not place else f"side pot-{place}") if pots[1:] else "pot"
            for seat, won in enumerate(pot):
                if won:
                    self.paid[seat] = self.paid.get(seat, 0) + won
                    yield f"{self.names[seat]} collected {self._money(won)} from {name}"
        if not self.shown:
            yield f"{self.names[winner]}: doesn't show hand"
        if self.cash_out:
            paid = self.paid[self.hero]
            price, fee = self._money(cashed(paid)), self._money(paid - cashed(paid))
            yield f"{self.names[self.hero]} cashed out the hand for {price} | Cash Out Fee {fee}"

    def _showdown(self) -> Iterator[str]:
        yield "*** SHOW DOWN ***"
        for seat, cards in self.shown.items():
            shows = f"shows [{cards_text(cards)}] (a hand)" if cards else "mucks hand"
            yield f"{self.names[seat]}: {shows}"

    def _summary(self) -> Iterator[str]:
        total, paid = sum(self.put), sum(self.paid.values())
        yield "*** SUMMARY ***"
        yield f"Total pot {self._money(total)} | Rake {self._money(total - paid)}"
        if self.board:
            yield f"Board [{' '.join(self.board)}]"
        for seat in sorted(range(self.count), key=self._place):
            name = f"{self.names[seat]}{self._role(seat)}"
            yield f"Seat {self._place(seat)}: {name} {self._fate(seat)}"

    def _role(self, seat: int) -> str:
        small = self.count - 1 if self.count == 2 else 0
        roles = {self.count - 1: " (button)"}
        roles[small] = roles.get(small, "") + " (small blind)"
        roles[1 - small if self.count == 2 else 1] = " (big blind)"
        return roles.get(seat, "")

    def _fate(self, seat: int) -> str:
        if seat in self.folded:
            when = f"{'on the' if self.board else 'before'} {self.folded[seat]}"
            return f"folded {when}" + ("" if self.put[seat] else " (didn't bet)")
        won = f" ({self._money(self.paid[seat])})" if seat in self.paid else ""
        if seat not in self.shown:
            return f"collected{won}"
        if not self.shown[seat]:
            return f"mucked [{cards_text(self._held(seat))}]"
        end = f"won{won}" if won else "lost"
        return f"showed [{cards_text(self.shown[seat])}] and {end} with a hand"
