"""Which votes of SecretMafia hit the player who was then voted out.

Read from what the voter was shown at its next turn, in the game's own words: `[GAME] Player 3 was
eliminated by vote.`, or `[GAME] No consensus - nobody was eliminated.` A vote after which the voter
had no further turn (the game ended, or it died in the night) has no answer there: None.
"""

import re

VOTING = "voting"
_RESULT = re.compile(
    r"^\[GAME\]\s*(?:Player (\d+) (?:was|has been) (?:eliminated by vote|voted out)"
    r"|(No consensus))",
    re.MULTILINE | re.IGNORECASE,
)


def voted_out(shown: str) -> int | None:
    """The player the last vote told of in `shown` removed, -1 for nobody, None if none is told."""
    told = list(_RESULT.finditer(shown))
    if not told:
        return None
    return int(told[-1].group(1)) if told[-1].group(1) else -1
