"""A taskset of verifiers as a game: `verifiers:NAME`, where NAME is what verifiers calls it.

    game = load_game("verifiers:my_taskset", {"python": ".venv-verifiers/bin/python"})

verifiers needs versions of its own, so the taskset runs in an environment and a process of its own
(`bridge.py`), and is played as an OpenEnv environment is. A match is one episode of the task that
its seed names; the reward is the episode's, all its rewards with their weights. What the options do
not say of ours is the taskset's own configuration.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tesuji.core.errors import GameError
from tesuji.games.base import GameInfo
from tesuji.games.openenv.game import OpenEnvGame
from tesuji.games.openenv.options import OpenEnvOptions, split_options
from tesuji.games.openenv.verifiers.keeper import Bridge, bridge_to

PREFIX = "verifiers:"
_NAME = re.compile(r"\w[\w./@-]*")


class VerifiersOptions(OpenEnvOptions):
    """What is ours."""

    python: str = ""
    """The Python of the environment that has verifiers; default: TESUJI_VERIFIERS_PYTHON."""


@dataclass(frozen=True)
class VerifiersGame(OpenEnvGame):
    """A taskset, its process started when it is first needed."""

    @cached_property
    def ours(self) -> VerifiersOptions:
        """The options that are ours."""
        return split_options(self.name, self.options, VerifiersOptions)[0]

    @property
    def bridge(self) -> Bridge:
        """Its process, which is started where it does not run."""
        theirs = split_options(self.name, self.options, VerifiersOptions)[1]
        return bridge_to(self.name.removeprefix(PREFIX), theirs, self.ours.python)

    @property
    def url(self) -> str:
        """Where its bridge listens."""
        return self.bridge.url

    @property
    def arguments(self) -> dict[str, Any]:
        """None: the options are the taskset's."""
        return {}

    @property
    def headers(self) -> dict[str, str]:
        """With the bridge's own key."""
        return {"Authorization": f"Bearer {self.bridge.key}"}


def info(name: str) -> GameInfo:
    """Facts about a taskset. Raises as `load` does."""
    return load(name, {}).info


def load(name: str, options: Mapping[str, Any]) -> VerifiersGame:
    """The taskset with these options. Raises GameError where there is none such, or no environment
    with verifiers, and EngineError where its process fails."""
    if not _NAME.fullmatch(name.removeprefix(PREFIX)):
        hint = "write verifiers: and what verifiers calls it"
        raise GameError(f"{name!r} names no taskset", where="game.name", hint=hint)
    game = VerifiersGame(name, dict(options))
    _ = game.fields
    return game
