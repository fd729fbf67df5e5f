"""Whether the time that reading takes grows with the length of a text, or with its square."""

from collections.abc import Callable
from time import process_time

BEGIN, END = 1 << 12, 1 << 15  # characters; at END a square shows in tenths of a second
FLOOR = 0.02  # seconds below which times say nothing
MOST = 3.2  # times as long for twice the text: 2 and a little, never 4

SHAPES: dict[str, Callable[[int], str]] = {
    name: (lambda n, piece=piece, end=end: (piece * (n // len(piece) + 1))[:n] + end)
    for name, (piece, end) in {
        "letters": ("a", ""),
        "letters!": ("a", "!"),
        "digits": ("1", ""),
        "digits!": ("1", "!"),
        "digits_": ("1", " to"),
        "spaces": (" ", "x"),
        "newlines": ("\n", "x"),
        "crlf": ("\r\n", "x"),
        "tabs": ("\t", "x"),
        "nothing": ("\x00", ""),
        "brackets": ("[", ""),
        "closing": ("]", ""),
        "pairs": ("[]", ""),
        "nested": ("[1", ""),
        "braces": ("{", ""),
        "objects": ('{"a":', ""),
        "quotes": ('"', ""),
        "apostrophes": ("'", ""),
        "backslashes": ("\\", ""),
        "escapes": ('\\"', ""),
        "dots": (".", ""),
        "dotted": ("a.", "=1"),
        "decimals": ("1.", ""),
        "thousands": ("1,", ""),
        "sharp": ("#", ""),
        "lines of #": ("#\n", ""),
        "equals": ("=", ""),
        "keys": ("a=", ""),
        "commas": (",", ""),
        "colons": (": ", ""),
        "dashes": ("-", ""),
        "words": ("ab ", ""),
        "The ": ("the ", ""),
        "the bets": ("the 1 ", ""),
        "to": ("to ", ""),
        "raises": ("raise ", ""),
        "raise to": ("raise to 1 ", ""),
        "bets": ("bet 5 from ", ""),
        "pots": ("pot ", ""),
        "half pots": ("half the pot bet ", "x"),
        "spaced raise": ("raise" + " " * 50, ""),
        "Player ": ("Player ", ""),
        "Player 1": ("Player 1", ""),
        "[Player": ("[Player ", ""),
        "[Player 1": ("[Player 1] ", ""),
        "lines of players": ("[Player 1] hm\n", ""),
        "lines of the game": ("[GAME] hm\n", ""),
        "calls of the game": ("[GAME] Voting phase\nValid: [1]\n", ""),
        "out": ("[GAME] Player 1 has been eliminated\n", ""),
        "invalid": ("[GAME] Player 1 attempted an invalid move\n", ""),
        "mates": ("Your teammates are: ", ""),
        "suspects": ("suspect", ""),
        "tool calls": ("<tool_call>", ""),
        "empty calls": ("<tool_call></tool_call>", ""),
        "thoughts": ("<think>", ""),
        "ends of thoughts": ("</think>", ""),
        "answers": ("<answer>", ""),
        "empty answers": ("<answer></answer>", ""),
        "ends": ("</answer>", ""),
        "hands": ("PokerStars Hand #1\n", ""),
        "of capitals": ("PokerStars " + "Aa " * 30, ""),
        "posts": ("a: posts ", ""),
        "lines of posts": ("a: posts the ante 1\n", ""),
        "collected": ("a collected ", ""),
        "dealt": ("Dealt to a ", ""),
        "sections": ("[1]\n", ""),
        "cards": ("AcAs", ""),
        "actions": ("p1 f ", ""),
        "flop": ("The flop comes ", ""),
        "holding": ("your holding is [", ""),
        "before": ("Before the flop, a.1", ""),
        "you can": ("You can a", ""),
        "moves": ("o(0,0) ", ""),
        "half moves": ("o(", ""),
        "one to nine": ("1 2 3 4 5 6 7 8 9 ", ""),
        "1-1": ("1-", ""),
        "surrogates": ("\ud800", ""),
        "wide": ("\U0001f600", ""),
        "accents": ("e\u0301", ""),
    }.items()
}


def grows_too_fast(read: Callable[[str], object], shape: Callable[[int], str]) -> str:
    """What was measured where twice the text took more than `MOST` times as long, else ""."""
    size, before = BEGIN, 0.0
    while size <= END:
        now = _seconds(read, shape(size))
        if before > FLOOR and now > MOST * before:
            now = min(now, _seconds(read, shape(size)))  # a pause of the machine is no growth
            if now > MOST * before:
                return f"{before:.2f} s for {size // 2:,} characters, {now:.2f} s for {size:,}"
        size, before = 2 * size, now
    return ""


def _seconds(read: Callable[[str], object], text: str) -> float:
    begin = process_time()
    read(text)
    return process_time() - begin
