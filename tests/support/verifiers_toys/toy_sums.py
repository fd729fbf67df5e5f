"""A taskset written with verifiers: sums, one reply each."""

import verifiers.v1 as vf

__all__ = ["Sums"]


class SumData(vf.TaskData):
    answer: int


class SumTask(vf.Task[SumData, vf.State, vf.TaskConfig]):
    @vf.reward
    async def right(self, trace) -> float:
        return float(str(self.data.answer) in trace.last_reply)

    @vf.reward(weight=0.5)
    async def short(self, trace) -> float:
        return float(len(trace.last_reply) < 4)


class SumsConfig(vf.TasksetConfig):
    count: int = 10


class Sums(vf.Taskset[SumTask, SumsConfig]):
    def load(self):
        for number in range(self.config.count):
            yield SumTask(
                SumData(
                    prompt=f"{number} + {number} = ?",
                    system_prompt="Reply with the number.",
                    answer=2 * number,
                ),
                self.config.task,
            )
