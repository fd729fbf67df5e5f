"""Run by the Python of the environment that has OpenEnv: an environment in its own words.

    python openenv_toy.py PORT SESSIONS

A number from 1 to 20 is to be guessed in five tries; "more" and "less" are told. A right guess pays
1, every other one -0.1; what holds no number breaks the environment.
"""

import random
import re
import sys

import uvicorn
from openenv.core.env_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, ConcurrencyConfig, Observation, State

MOST_TRIES = 5


class Guess(Action):
    guess: str
    comment: str = ""


class Told(Observation):
    prompt: str
    tries_left: int
    hint: str | None = None


class Number(Environment[Guess, Told, State]):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._state = State()
        self._number = self._tries = 0

    def reset(self, seed=None, episode_id=None, highest: int = 20, **more) -> Told:
        self._number = random.Random(seed).randint(1, highest)
        self._tries = 0
        self._state = State(episode_id=episode_id, step_count=0)
        words = f"Guess the number between 1 and {highest}."
        return Told(prompt=words, tries_left=MOST_TRIES, metadata={"highest": highest})

    def step(self, action: Guess, timeout_s=None, **more) -> Told:
        guess = int(re.search(r"\d+", action.guess).group())
        self._tries += 1
        self._state.step_count += 1
        right, left = guess == self._number, MOST_TRIES - self._tries
        words = "Right." if right else "more" if guess < self._number else "less"
        return Told(
            prompt=f"{guess}: {words}",
            tries_left=left,
            done=right or not left,
            reward=1.0 if right else -0.1,
        )

    @property
    def state(self) -> State:
        return self._state


if __name__ == "__main__":
    port, most = map(int, sys.argv[1:])
    config = ConcurrencyConfig(max_concurrent_envs=most)
    app = create_fastapi_app(Number, Guess, Told, concurrency_config=config)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
