"""Random streams that follow from names, so that nothing depends on the order of the work."""

import random


def stream(*names: object) -> int:
    """A 63-bit seed that follows from `names` alone (the same on every machine and Python)."""
    return random.Random("/".join(map(str, names))).getrandbits(63)
