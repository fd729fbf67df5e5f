"""How often random play succeeds against the same opponents: what has to be beaten by learning."""

from tesuji.core.seeds import stream
from tesuji.episodes.results import rate
from tesuji.episodes.schedule.schedule import Schedule
from tesuji.learners.rl.rollout.play import MatchSetup, outcomes_of

RANDOM_MATCHES = 200


def random_success(schedule: Schedule, setup: MatchSetup) -> float | None:
    """The success rate of random play at the schedule's present stage; None where the game knows no
    winning. In `setup` a random player has the policy's label, and those of its snapshots."""
    size = schedule.group_size
    side = schedule.beside(stream(schedule.seed, "random") % 2**32)
    tasks = side.propose(max(1, RANDOM_MATCHES // size) * size)
    successes, of = rate(outcome.success for outcome in outcomes_of(tasks, setup))
    return successes / of if of else None
