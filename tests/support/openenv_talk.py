"""Run by the Python of the environment that has OpenEnv: its own client against an address.

    python openenv_talk.py http://127.0.0.1:8000 '{"seed": 7}' first|last

Plays one match, taking the first or the last legal move, and prints what came as JSON.
"""

import json
import sys

from openenv.core.generic_client import GenericEnvClient


def play(url: str, arguments: dict[str, object], place: int) -> dict[str, object]:
    with GenericEnvClient(base_url=url).sync() as env:
        result = env.reset(**arguments)
        seen = [result.observation]
        rewards = [result.reward]
        while not result.done:
            result = env.step({"move": result.observation["legal_moves"][place]})
            seen.append(result.observation)
            rewards.append(result.reward)
        return {"seen": seen, "rewards": rewards, "told": result.metadata, "state": env.state()}


if __name__ == "__main__":
    url, arguments, which = sys.argv[1:]
    print(json.dumps(play(url, json.loads(arguments), 0 if which == "first" else -1)))
