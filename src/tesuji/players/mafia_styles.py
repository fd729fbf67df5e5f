"""How scripted SecretMafia players differ.

careful     reasons from claims, kills and votes; speaks of evidence; names only who can be named
bandwagon   says and votes what others did
random      talks about anything, names anybody who can be named
quiet       a word at a time
sloppy      now and then names nobody, or one who cannot be named, which costs it the game
"""

from typing import Literal, get_args

Style = Literal["careful", "bandwagon", "random", "quiet", "sloppy"]
STYLES: tuple[Style, ...] = get_args(Style)
