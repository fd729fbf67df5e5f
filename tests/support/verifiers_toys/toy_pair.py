"""A taskset for two agents, written with verifiers."""

import verifiers.v1 as vf

__all__ = ["PairEnv", "Pairs"]


class PairEnvConfig(vf.EnvConfig):
    first: vf.AgentConfig = vf.AgentConfig()
    second: vf.AgentConfig = vf.AgentConfig()


class PairEnv(vf.Env[PairEnvConfig]):
    async def run(self, task, agents):
        await agents.first.run(task)
        await agents.second.run(task)


class Pairs(vf.Taskset[vf.Task, vf.TasksetConfig]):
    def load(self):
        yield vf.Task(vf.TaskData(prompt="hello"), self.config.task)
