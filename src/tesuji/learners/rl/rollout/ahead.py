"""Rollouts from step to step; with `max_staleness: n` those of the next n while updates run.

    with Rollouts(setup, engine) as rollouts:
        rollout = rollouts.take(step)       # its matches, of all processes; waits for them
        schedule.observe(rollout.outcomes)
        rollouts.order(step)                # those up to step + n, with the weights of step - 1
        ...                                 # update the weights

What plays which rollout follows from n alone, never from how long anything takes: step k's is
played by the policy as it was after step max(0, k - 1 - n), and its tasks are proposed once the
outcomes of step k - n are known. One thread plays, rollout after rollout, with a model of its own;
each process has one for its share. With n = 0 nothing plays ahead: `take` does, with the policy.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import torch

from tesuji.core.types import Task
from tesuji.learners.distributed import gathered
from tesuji.learners.rl.rollout.engine import RolloutEngine
from tesuji.learners.rl.rollout.play import Rollout, joined
from tesuji.learners.rl.rollout.setup import RolloutSetup, Version

PATIENCE_S = 5.0  # for the thread to notice that it is to end


class Abandoned(Exception):
    """Nobody waits for this rollout any more."""


@dataclass
class _Order:
    """This process's share of a rollout, and who plays it."""

    tasks: Sequence[Task]
    version: Version
    played: Future[Rollout] = field(default_factory=Future)


class Rollouts:
    """Orders rollouts and hands them out; `kept` are whole ones of a checkpoint, by their step."""

    def __init__(
        self, setup: RolloutSetup, engine: RolloutEngine, *, kept: Mapping[int, Rollout]
    ) -> None:
        self.setup, self.engine = setup, engine
        self.ahead, self.last = setup.stage.max_staleness, setup.stage.max_steps
        self._whole = dict(kept)
        self._orders: dict[int, _Order] = {}
        self._queue: SimpleQueue[_Order | None] = SimpleQueue()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, step: int) -> Rollout:
        """The rollout of `step`, all processes' shares together. Raises what playing it raised."""
        self._order(step, step - 1)
        if step not in self._whole:
            return joined(gathered([self._orders.pop(step).played.result()]))
        return self._whole.pop(step)

    def order(self, step: int) -> None:
        """Have those played that may be by the policy as it is now, in `step` before its update."""
        for number in range(step + 1, min(step + self.ahead, self.last) + 1):
            self._order(number, step - 1)

    def settle(self) -> None:
        """Wait until nothing plays: whoever else wants to may now. What went wrong is raised when
        its rollout is taken."""
        wait([order.played for order in self._orders.values()])

    def keep(self) -> dict[int, Rollout]:
        """Wait for what was ordered; whole rollouts by their steps, for a checkpoint. One that went
        wrong is not among them: after a resume others are ordered in its place."""
        self.settle()
        for step, order in list(self._orders.items()):
            failed = order.played.exception() is not None
            parts = gathered([None if failed else order.played.result()])
            whole = [part for part in parts if part is not None]
            if len(whole) == len(parts):
                self._whole[step] = joined(whole)
                del self._orders[step]
        return dict(sorted(self._whole.items()))

    def _order(self, step: int, version: int) -> None:
        if step in self._whole or step in self._orders:
            return
        order = _Order(self.setup.propose(), self.setup.version(version))
        self._orders[step] = order
        if not self.ahead:
            self._fulfil(order)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="rollouts", daemon=True)
            self._thread.start()
        self._queue.put(order)

    def _fulfil(self, order: _Order) -> None:
        try:
            self.setup.play_as(order.version)
            order.played.set_result(self.engine.play(order.tasks, order.version.number))
        except BaseException as error:  # raised again by whoever takes the rollout
            order.played.set_exception(error)

    def _work(self) -> None:
        """Play what is ordered, in the thread; on a GPU in a stream of its own."""
        model = self.setup.playing.model
        stop = model.register_forward_pre_hook(self._give_up)
        stream = torch.cuda.Stream(model.device) if model.device.type == "cuda" else None
        with torch.cuda.stream(stream):
            while (order := self._queue.get()) is not None and not self._closed.is_set():
                if stream is not None:  # the copied weights are written there
                    stream.wait_stream(torch.cuda.default_stream(model.device))
                self._fulfil(order)
        stop.remove()

    def _give_up(self, *_: Any) -> None:
        if self._closed.is_set():
            raise Abandoned

    def __enter__(self) -> "Rollouts":
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread, at the model's next token; a player that does not answer is left behind,
        for it does not keep the program from ending."""
        self._closed.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
