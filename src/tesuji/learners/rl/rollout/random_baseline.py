"""How often random play succeeds against the same opponents: what has to be beaten by learning."""

from tesuji.core.seeds import stream
from tesuji.episodes.schedule.schedule import Schedule
from tesuji.learners.rl.rollout.play import MatchSetup, play

RANDOM_MATCHES = 200


class RandomBaseline:
    """The success rate of random play, measured once a stage of the curriculum. `measured` holds it
    by the stage's number, as text: it goes into the checkpoint as JSON."""

    def __init__(self) -> None:
        self.measured: dict[str, float] = {}

    def success(self, schedule: Schedule, setup: MatchSetup) -> float:
        """The rate at the schedule's present stage. In `setup` a random player has the policy's
        label, and those of its snapshots."""
        stage = str(schedule.curriculum.index if schedule.curriculum else 0)
        if stage not in self.measured:
            self.measured[stage] = _success(schedule, setup)
        return self.measured[stage]


def _success(schedule: Schedule, setup: MatchSetup) -> float:
    size = schedule.group_size
    side = schedule.beside(stream(schedule.seed, "random") % 2**32)
    tasks = side.propose(max(1, RANDOM_MATCHES // size) * size)
    outcomes = play(tasks, setup, version=0).outcomes
    return sum(outcome.success for outcome in outcomes) / max(1, len(outcomes))
