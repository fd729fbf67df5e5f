"""The facts a row of a data set carries about where it comes from, by name.

    match     which match it is of; a match is on one side of the split, with all its rows
    game      name of the game
    seat      seat that replied
    role      its role
    phase     part of the match: "voting", "night_mafia", "flop", ...
    turn      number of the turn among those of its seat, from 0
    won       whether its side won (absent: not known)
    legal     whether the reply was a legal move
    type      what kind of reply: "discussion", "vote", "night", "decision", "chat"
    source    file, and line where the file holds several records
    score     the quality rule's score, where it was asked for
    near      of a pair: what its two replies share ("prompt", "position", "phase")
    by        of a pair: who preferred it ("outcome", "legality", "oracle", "judge", "log")

A fact that is not known is left out. Rows are free to carry more.
"""

FACTS = (
    "match", "game", "seat", "role", "phase", "turn", "won", "legal", "type", "source", "score",
    "near", "by",
)  # fmt: skip
