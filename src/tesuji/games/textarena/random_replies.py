"""Random replies to free-text games: for baselines, and to try every environment."""

import random
import re

LOOKED_AT = 3000  # characters at either end of what was shown
CHANGED = 0.5  # how often numbers are drawn anew
SPOKEN = ("I pass.", "I agree.", "Let us wait and see.", "I am not sure.", "Trust me.")
_TOKEN = re.compile(r"\[([^\[\]\n]{1,40})\]")
_SENDER = re.compile(r"^\[(?:GAME|Player \d+)\]", re.M)
_NUMBER = re.compile(r"\d+")


def random_reply(observation: str, rng: random.Random) -> str:
    """Something that stands in brackets in what was shown, the latest more often; a sentence where
    nothing does, and now and then anyway."""
    if len(observation) > 2 * LOOKED_AT:
        observation = f"{observation[:LOOKED_AT]}\n{observation[-LOOKED_AT:]}"
    text = _SENDER.sub("", observation)
    tokens = list(dict.fromkeys(_TOKEN.findall(text)))
    if not tokens or rng.random() < 0.05:
        return rng.choice(SPOKEN)
    if rng.random() < 0.5:
        tokens = list(dict.fromkeys(_TOKEN.findall(text[text.rfind("\n", 0, -400) :]))) or tokens
    token = rng.choice(tokens)
    if rng.random() < CHANGED:
        most = max([9, *(int(n) for n in _NUMBER.findall(token) if len(n) < 4)])
        token = _NUMBER.sub(lambda _: str(rng.randint(0, most)), token)
    return f"[{token}]"
