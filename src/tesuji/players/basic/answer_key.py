"""The key as a player: it replies what the game says is right, where games come with answers.

For data to learn from and for tests; it looks where no player may, so it is nobody's opponent.
"""

import random
import string

from tesuji.core.seeds import stream
from tesuji.core.types import Move
from tesuji.players.base import MoveRequest, OneByOne, Reply

NEAR = 6  # letters and digits before the end, one of which a slip changes


class AnswerKeyPlayer(OneByOne):
    """Gives the game's own answer to every question.

    As the oracle of a data stage it teaches, beside each answer, so many `slips`: the same with one
    letter or digit changed. A model that learned from such a teacher is often wrong in one place,
    which reinforcement against the game's own checker can mend.
    """

    name = "answer_key"

    def __init__(self, slips: int = 0) -> None:
        self.slips = slips

    def reply(self, request: MoveRequest) -> Reply:
        """The right reply; an error where the game has no key."""
        answer = request.match.answer(request.seat)
        if answer is None:
            return Reply(error=f"{request.game.name} has no answer to this")
        return Reply(text=answer, move=Move(-1, answer))

    def taught(self, request: MoveRequest) -> tuple[Move, ...]:
        """The answer and its slips; nothing where the game has no key."""
        answer = request.match.answer(request.seat)
        if answer is None:
            return ()
        slips = (slip(answer, number) for number in range(self.slips))
        return tuple(Move(-1, text) for text in dict.fromkeys([answer, *slips]))


def slip(answer: str, number: int) -> str:
    """The answer with one letter or digit changed to another of its kind, near the end, which in a
    call is that of its arguments: the same one for the same answer and number. A text without any
    is returned as it is."""
    draw = random.Random(stream(number, "slip", answer))
    end = answer.rfind("}") if "}" in answer else len(answer)
    places = [place for place, sign in enumerate(answer[:end]) if sign in _SIGNS][-NEAR:]
    if not places:
        return answer
    place = draw.choice(places)
    kind = string.digits if answer[place].isdigit() else string.ascii_lowercase
    other = draw.choice([sign for sign in kind if sign != answer[place].lower()])
    return answer[:place] + other + answer[place + 1 :]


_SIGNS = frozenset(string.ascii_letters + string.digits)
