"""The environments of TextArena 0.7.4, known without importing it (which takes about a second).

A line of the table is a family of environments: name without `-v0`, seats (fewest-most, behind a
slash the usual number where that is not the fewest), what is hidden, chance, what it needs, and
the endings of its names where there are several (`.` is none). So `Nim 2 open certain nothing .
-medium` are `Nim-v0` and `Nim-v0-medium`. All but BabyAiText come in two further views, which are
not listed but can be played: `-train` (other observations) and `-raw` (no wrappers at all).
`tests/games/textarena/test_textarena_names.py` holds the table against the library's registry.
"""

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VIEWS = ("-train", "-raw")
NO_VIEWS = ("BabyAiText-v0",)
UNBOUNDED = ("Set", "TwoDollar", "NewRecruit", "PublicGoodsGame", "MarketEntryGame", "Bandit")

TABLE = """
2048 1 open chance nothing -ultra-easy -mega-easy -super-easy -very-easy -easy . -hard -very-hard
    -extreme -3x3 -5x5 -6x6 -8x8 -10x10
Bandit 1 hidden chance nothing . -hard
Blackjack 1 hidden chance nothing . -long
Countdown 1 open certain nothing
Crosswords 1 hidden chance nothing . -hardcore
Cryptarithm 1 open certain nothing
FifteenPuzzle 1 open chance nothing
FrozenLake 1 open chance nothing . -random -hardcore
GuessTheNumber 1 hidden chance nothing . -hardcore
GuessWho 1 hidden chance openrouter
Hangman 1 hidden chance words . -hardcore
LightsOut 1 open chance nothing
LogicPuzzle 1 open certain nothing . -hard
Mastermind 1 hidden chance nothing . -hard -extreme
Minesweeper 1 hidden chance nothing . -small -medium -hard
PegJump 1 open certain nothing
RushHour 1 open chance nothing
Secretary 1 hidden chance nothing . -long
Set 1 open chance nothing
Klondike 1 hidden chance source
Slitherlink 1 open certain nothing
Sokoban 1 open chance nothing . -medium
Sudoku 1 open chance nothing -very-easy -easy . -medium -hard
ThreeCardMonte 1 hidden chance nothing
TowerOfHanoi 1 open certain nothing . -medium -hard -hardcore -extreme
TwentyQuestions 1 hidden chance openrouter . -hardcore
WordLadder 1 open chance words . -medium -hard
Wordle 1 hidden chance words . -hardcore -long -long-hardcore
WordSearch 1 open chance words . -hardcore
Alquerque 2 open certain nothing
Battleship 2 hidden chance nothing . -standard -large -extreme
Breakthrough 2 open certain nothing -tiny -small . -large -blind -long
Briscola 2-4 hidden chance nothing
Checkers 2 open certain python3.12 . -long
Chess 2 open certain python3.12 . -long -blind
Chopsticks 2 open certain nothing . -medium -long
ColonelBlotto 2 hidden certain nothing -small . -large -extreme
ConnectFour 2 open certain nothing . -blind -large
Crusade 2 open certain nothing
Debate 2 open chance openrouter . -medium -long
DontSayIt 2 hidden chance words . -hardcore -unlimited
GameOfPureStrategy 2 hidden certain nothing
GermanWhist 2 hidden chance nothing
Golf 2-4 hidden chance nothing . -medium
HighSociety 2 hidden chance nothing
IndianPoker 2 hidden chance nothing -short . -medium -long -extreme
IteratedMatchingPennies 2 hidden certain nothing
IteratedPrisonersDilemma 2 hidden certain nothing
IteratedRockPaperScissors 2 hidden certain nothing
IteratedTwoThirdsAverage 2 hidden certain nothing
IteratedStagHunt 2 hidden chance python3.12 . -randomized
KuhnPoker 2 hidden chance nothing . -short -medium -long -extreme
LinesOfAction 2 open certain nothing
LetterAuction 2 hidden chance words . -medium -hard
MemoryGame 2 hidden chance nothing . -medium -hard
Nim 2 open certain nothing . -medium -large
Othello 2 open certain nothing -tiny -small . -big -huge -hard
PigDice 2 open chance nothing . -short -long -50 -100 -150 -200 -250 -300 -350 -400 -450 -500
QuantumTicTacToe 2 open certain nothing
ReverseTicTacToe 2 open certain python3.12
ScenarioPlanning 2 open chance openrouter
SimpleBlindAuction 2 hidden chance nothing -quick . -rich
SimpleNegotiation 2 hidden chance nothing -short . -long
SimpleTak 2 open certain nothing . -medium -large -extreme
SpellingBee 2 open chance words -small . -large
SpiteAndMalice 2 hidden chance nothing
Stratego 2 hidden chance nothing
Tak 2 open certain nothing . -medium -hard
TicTacToe 2 open certain nothing
TruthAndDeception 2 hidden chance nothing . -long -extreme
TwoDollar 2 hidden chance nothing
UltimateTicTacToe 2 open certain nothing
IteratedUltimatumGame 2 open certain nothing . -alternate
UsedCarNegotiation 2 hidden chance files . -strong-buyer -strong-seller
UsedCar 2 hidden chance files -balanced
WildTicTacToe 2 open certain nothing
WordChains 2 open chance words
Snake 2-15 open chance nothing . -standard -large
Surround 2-15 hidden chance nothing . -standard -large
Taboo 4-16 hidden chance nothing . -animals -cars -city/country -food -literature -people -tv
    -long -full
LiarsDice 2-15 hidden chance nothing -small . -large
Poker 2-15 hidden chance nothing -small . -long -extreme
PublicGoodsGame 2-15/3 hidden certain nothing
MarketEntryGame 2-15/4 hidden certain nothing
ThreePlayerTicTacToe 3 open certain nothing
ThreePlayerGOPS 3 hidden chance nothing
ThreePlayerIPD 3 hidden certain nothing
CharacterConclave 3-15 hidden certain mending . -long -extreme
Codenames 4 hidden chance words . -hardcore
SettlersOfCatan 4 hidden chance nothing
SecretMafia 6-15 hidden chance nothing
SantoriniBaseFixed 2-3 open certain nothing
BabyAiText 1 hidden chance gym
NewRecruit 2 hidden certain nothing
ScorableGames 2-15 hidden chance files . -conservative -game1 -game2 -game3 -7players
    -medicalethics -vendorretailer
UltimateTexasHoldem 2 hidden chance python3.12
"""  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """What the table says of one environment; `seats` are the fewest and the most, `usual` is how
    many sit down when nothing is said, `needs` a key of `reason`."""

    name: str
    seats: tuple[int, int]
    usual: int
    hidden: bool
    chance: bool
    needs: str
    bounded: bool


@cache
def known() -> Mapping[str, Known]:
    """Every environment by name, the further views left out, in the registry's order."""
    found: dict[str, Known] = {}
    for line in TABLE.strip().replace("\n    ", " ").splitlines():
        stem, seats, info, chance, needs, *endings = line.split()
        number, _, usual = seats.partition("/")
        fewest, _, most = number.partition("-")
        for ending in endings or ["."]:
            name = f"{stem}-v0{ending.removeprefix('.')}"
            found[name] = Known(
                name=name,
                seats=(int(fewest), int(most or fewest)),
                usual=int(usual or fewest),
                hidden=info == "hidden",
                chance=chance == "chance",
                needs=needs,
                bounded=stem not in UNBOUNDED,
            )
    return found


@cache
def every_name() -> tuple[str, ...]:
    """All names that can be loaded, the further views among them."""
    views = ((name, ("",) if name in NO_VIEWS else ("", *VIEWS)) for name in known())
    return tuple(f"{name}{view}" for name, endings in views for view in endings)


def facts(name: str) -> Known:
    """What the table says of `name` or of the environment it is a view of."""
    return known().get(name) or known()[name.removesuffix("-train").removesuffix("-raw")]


def reason(needs: str) -> str:
    """Why what `needs` this cannot be played here; "" where it can, as far as can be seen without
    importing anything."""
    if importlib.util.find_spec("textarena") is None:
        return "needs TextArena: pip install 'tesuji[textarena]'"
    if needs == "python3.12":
        old = sys.version_info < (3, 12)
        return "its file is written for Python 3.12 (a syntax error before)" if old else ""
    if needs == "words":
        return "" if _has_words() else "needs NLTK's list of words: python -m nltk.downloader words"
    return {
        "openrouter": "asks a paid language model over the network while it is played",
        "source": "its file is not valid Python (an `elif` after an `else`)",
        "files": "files it reads are missing from the package",
        "mending": "breaks at the first reply (a TypeError of its own)",
        "gym": "needs the packages gym and babyai_text",
    }.get(needs, "")


def _has_words() -> bool:
    """Whether NLTK's word list is where NLTK looks for it."""
    named = [Path(one) for one in os.environ.get("NLTK_DATA", "").split(os.pathsep) if one]
    prefix, local = Path(sys.prefix), Path("/usr/local")
    roots = (Path.home(), prefix, prefix / "share", prefix / "lib")
    system = (Path("/usr/share"), Path("/usr/lib"), local / "share", local / "lib")
    folders = [*named, *(root / "nltk_data" for root in (*roots, *system))]
    corpora = [folder / "corpora" for folder in folders]
    return any((one / "words").is_dir() or (one / "words.zip").is_file() for one in corpora)
