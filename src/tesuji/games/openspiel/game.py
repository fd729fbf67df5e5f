"""Every game of OpenSpiel behind the `Game`/`Match` contract.

Chance is drawn from the match's own generator. Games that draw from a generator inside the
pyspiel.Game get a pyspiel.Game of their own for each match, seeded from the match's seed (an
`rng_seed` among the options is overruled). In a mean-field game the match is one representative
player; the crowd around it moves uniformly at random.

    game = OpenSpielGame("kuhn_poker", {"players": 3})
    match = game.start(seed=7)
"""

import functools
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyspiel

from tesuji.core.errors import GameError, IllegalMove
from tesuji.core.types import Move
from tesuji.games.base import Game, GameInfo, Match
from tesuji.games.openspiel.facts import describe
from tesuji.games.openspiel.options import inner_game, load_spiel
from tesuji.games.openspiel.rules import rules_of
from tesuji.games.openspiel.views import View, role_of, view_of

_CHANCE = int(pyspiel.PlayerId.CHANCE)
_SIMULTANEOUS = int(pyspiel.PlayerId.SIMULTANEOUS)
_MEAN_FIELD = int(pyspiel.PlayerId.MEAN_FIELD)
_Kind = pyspiel.GameType


@dataclass(frozen=True)
class OpenSpielGame(Game):
    """A game of OpenSpiel. Creating it checks nothing; `load_game` of the catalogue does."""

    @cached_property
    def spiel(self) -> Any:
        """The pyspiel.Game, for search players and solvers. Raises GameError."""
        return load_spiel(self.name, self.options)

    @cached_property
    def kind(self) -> Any:
        """The pyspiel.GameType with these options."""
        return self.spiel.get_type()

    @cached_property
    def inner(self) -> str:
        """The name of the game inside a transformation such as `misere`, or its own."""
        return inner_game(self.name, self.options)

    @cached_property
    def info(self) -> GameInfo:
        """Facts about this game with these options."""
        return describe(self.name, self.options, self.spiel)

    @cached_property
    def num_players(self) -> int:
        """How many seats a match has."""
        return int(self.spiel.num_players())

    @cached_property
    def rules(self) -> str:
        """The rules in words, and what a move looks like."""
        match = self.start(seed=0)
        legal = match.legal_moves(match.to_act[0]) if match.to_act else ()
        return rules_of(self.name, self.inner, self.options, self.info, self.spiel, legal)

    @cached_property
    def view(self) -> View:
        """The function (pyspiel.State, seat) → what that seat may see."""
        return view_of(self.inner, self.kind)

    @cached_property
    def has_chance(self) -> bool:
        """Whether anything is left to chance."""
        return bool(self.kind.chance_mode != _Kind.ChanceMode.DETERMINISTIC)

    @cached_property
    def draws_inside(self) -> bool:
        """Whether random numbers come from within the pyspiel.Game, not from chance nodes."""
        return self.kind.chance_mode == _Kind.ChanceMode.SAMPLED_STOCHASTIC or (
            self.name == "add_noise"
        )

    @cached_property
    def crowd(self) -> Mapping[str, float]:
        """Mean-field games: the share of a uniformly random crowd in each state, by its text."""
        from open_spiel.python.mfg.algorithms.distribution import DistributionPolicy
        from open_spiel.python.policy import UniformRandomPolicy

        uniform = UniformRandomPolicy(self.spiel)
        return dict(DistributionPolicy(self.spiel, uniform).distribution)

    def start(self, seed: int) -> "OpenSpielMatch":
        """Begin a match whose chance moves follow from `seed` alone."""
        return OpenSpielMatch(self, seed)

    def match_at(self, state: Any) -> "OpenSpielMatch":
        """A match that stands at a pyspiel.State of this game (which it copies)."""
        match = self.start(seed=0)
        match.__dict__.update(_state=state.clone(), _chosen={}, _forfeited=None)
        match._advance()
        return match


class OpenSpielMatch(Match):
    """A running match of an OpenSpiel game."""

    _to_act: tuple[int, ...]
    _together: bool
    _views: dict[int, str]
    _legal: dict[int, list[int]]
    _moves: dict[int, tuple[Move, ...]]

    def __init__(self, game: OpenSpielGame, seed: int) -> None:
        self._game = game
        self._seed = seed
        self._state = self._own_spiel().new_initial_state()
        self._random = random.Random(seed) if game.has_chance else None
        self._chosen: dict[int, int] = {}
        self._forfeited: tuple[float, ...] | None = None
        self._advance()

    def _own_spiel(self) -> Any:
        game = self._game
        return load_spiel(game.name, game.options, self._seed) if game.draws_inside else game.spiel

    @property
    def state(self) -> Any:
        """The pyspiel.State itself: for search players, which clone it before they move."""
        return self._state

    @property
    def to_act(self) -> tuple[int, ...]:
        """Seats that still have to choose now; empty when the match is over."""
        return self._to_act

    def observe(self, seat: int) -> str:
        """What `seat` may know now (see `views.py`). Raises GameError for no such seat."""
        view = self._views.get(seat)
        if view is None:
            self._check_seat(seat)
            view = self._views[seat] = self._game.view(self._state, seat)
        return view

    def legal_moves(self, seat: int) -> tuple[Move, ...]:
        """The moves of `seat`, no two with the same text; none where it is not to act."""
        moves = self._moves.get(seat)
        if moves is None:
            ids, name = tuple(self._legal_ids(seat)), self._state.action_to_string
            texts = tuple([name(seat, action) for action in ids])
            moves = self._moves[seat] = _named(ids, texts)
        return moves

    def play(self, seat: int, move: Move) -> None:
        """Choose `move`, by its id. Raises IllegalMove, and then nothing has changed."""
        if move.id not in self._legal_ids(seat):
            raise self._illegal(seat, move)
        if self._together:
            self._choose(seat, move.id)
        else:
            self._state.apply_action(move.id)
            self._advance()

    def forfeit(self, seat: int) -> None:
        """End the match. `seat` gets the lowest return the game knows (where that is infinite:
        what it has). With two seats and a constant sum the other gets the rest; otherwise the
        others keep what they have earned so far. Raises GameError when the match is over.
        """
        self._check_seat(seat)
        if not self._to_act:
            raise GameError(f"{self._game.name}: the match is over, no seat can forfeit")
        earned, spiel = list(self._state.returns()), self._game.spiel
        lowest = float(spiel.min_utility())
        if lowest > float("-inf"):
            earned[seat] = lowest
            total = _constant_sum(self._game)
            if total is not None and len(earned) == 2:
                earned[1 - seat] = total - lowest
        self._forfeited = tuple(earned)
        self._to_act, self.offender = (), seat
        self._forget()

    def returns(self) -> tuple[float, ...]:
        """What each seat has earned so far, in the game's own utility."""
        return self._forfeited or tuple(self._state.returns())

    def role(self, seat: int) -> str:
        """ "x", "White", "North", ... as the rules call it, else "Player 0"."""
        return role_of(self._game.inner, seat)

    @property
    def says_won(self) -> bool:
        """2048: whether the tile that ends the game has been made."""
        return str(self._game.spiel.get_parameters()["max_tile"]) in str(self._state).split()

    def render(self) -> str:
        """The whole position, nothing hidden."""
        return str(self._state)

    def position(self) -> str:
        """A text that identifies the position: who is to act and what that seat is shown.

        With perfect information that is the board, so transpositions meet; rules that look back
        (repetition, ko) are not in it. With hidden information it is the seat's knowledge.
        """
        seat = self._to_act[0] if self._to_act else 0
        key = f"{','.join(map(str, self._to_act))}|{self.observe(seat)}"
        if self._random is None or not self._to_act:
            return key
        return f"{key}|{self._legal_ids(seat)}"  # some boards do not show the dice

    def clone(self) -> "OpenSpielMatch":
        """A copy that goes its own way, with the same chance moves ahead."""
        copy = object.__new__(OpenSpielMatch)
        copy.__dict__.update(self.__dict__)
        copy._state = self._replayed() if self._game.draws_inside else self._state.clone()
        if self._random is not None:
            copy._random = random.Random()
            copy._random.setstate(self._random.getstate())
        copy._chosen = dict(self._chosen)
        copy._views, copy._legal, copy._moves = {}, {}, {}
        return copy

    def _replayed(self) -> Any:
        """The same state in a pyspiel.Game of its own, whose generator stands where ours does."""
        state = self._own_spiel().new_initial_state()
        for action in self._state.history():
            state.apply_action(action)
        return state

    def _forget(self) -> None:
        """Drop the texts and moves of the position that was."""
        self._views = {}
        self._legal = {}
        self._moves = {}

    def _advance(self) -> None:
        """Resolve chance and the crowd until a seat has to choose or the match is over."""
        self._forget()
        state = self._state
        while (player := state.current_player()) < 0:
            if player == _CHANCE:
                self._draw()
            elif player == _MEAN_FIELD:
                support = state.distribution_support()
                state.update_distribution([self._game.crowd.get(at, 0.0) for at in support])
            elif player == _SIMULTANEOUS:
                self._to_act, self._together = self._choosers(), True
                if self._to_act:
                    return
                self._apply_choices()
            else:
                self._to_act = ()
                return
        self._to_act, self._together = (player,), False

    def _draw(self) -> None:
        outcomes = self._state.chance_outcomes()
        assert self._random is not None
        actions, weights = zip(*outcomes, strict=True)
        self._state.apply_action(self._random.choices(actions, weights)[0])

    def _choosers(self) -> tuple[int, ...]:
        return tuple(p for p in range(self._game.num_players) if self._state.legal_actions(p))

    def _choose(self, seat: int, action: int) -> None:
        """Keep the choice hidden until all have chosen."""
        self._chosen[seat] = action
        self._to_act = tuple(other for other in self._to_act if other != seat)
        self._legal.pop(seat, None)
        self._moves.pop(seat, None)
        if not self._to_act:
            self._apply_choices()
            self._advance()

    def _apply_choices(self) -> None:
        """A seat without a choice plays 0, as OpenSpiel asks."""
        seats = range(self._game.num_players)
        self._state.apply_actions([self._chosen.get(seat, 0) for seat in seats])
        self._chosen = {}

    def _legal_ids(self, seat: int) -> list[int]:
        if seat not in self._to_act:
            return []
        ids = self._legal.get(seat)
        if ids is None:
            ids = self._legal[seat] = self._state.legal_actions(seat)
        return ids

    def _check_seat(self, seat: int) -> None:
        count = self._game.num_players
        if not 0 <= seat < count:
            raise GameError(
                f"{self._game.name} has no seat {seat}", hint=f"seats: 0 to {count - 1}"
            )

    def _illegal(self, seat: int, move: Move) -> IllegalMove:
        where = self._game.name
        if not self._to_act:
            return IllegalMove("the match is over", where=where)
        if seat not in self._to_act:
            waiting = ", ".join(str(other) for other in self._to_act)
            return IllegalMove(f"seat {seat} is not to move, but seat {waiting}", where=where)
        legal = [f"{known.id} ({known.text})" for known in self.legal_moves(seat)]
        more = f" and {len(legal) - 10} more" if len(legal) > 10 else ""
        return IllegalMove(
            f"{move.text or move.id!r} (id {move.id}) is not legal for {self.role(seat)}",
            where=where,
            hint="legal: " + ", ".join(legal[:10]) + more,
        )


@functools.lru_cache(maxsize=2048)  # the same lists come again and again; making them is slow
def _named(ids: tuple[int, ...], texts: tuple[str, ...]) -> tuple[Move, ...]:
    """The moves, with the id behind the texts that occur twice."""
    if len(set(texts)) < len(texts):
        texts = tuple(
            f"{text} ({action})" if texts.count(text) > 1 else text
            for action, text in zip(ids, texts, strict=True)
        )
    return tuple(map(Move._make, zip(ids, texts, strict=True)))


def _constant_sum(game: OpenSpielGame) -> float | None:
    """What the returns of all seats add up to, where that is fixed."""
    fixed = (_Kind.Utility.ZERO_SUM, _Kind.Utility.CONSTANT_SUM)
    return float(game.spiel.utility_sum()) if game.kind.utility in fixed else None
