"""A taskset of several turns written with verifiers: its environment plays the user."""

import random
import re

import verifiers.v1 as vf

__all__ = ["NumberEnv", "Numbers"]


class NumberData(vf.TaskData):
    number: int


class NumberTask(vf.Task[NumberData]):
    pass


class NumberEnvConfig(vf.EnvConfig):
    guesser: vf.AgentConfig = vf.AgentConfig()


class NumberEnv(vf.Env[NumberEnvConfig]):
    async def run(self, task, agents):
        tries, right = 0, False
        async with agents.guesser.interaction(task) as interaction:
            segment = await interaction.turn()
            while not segment.terminated and tries < 5:
                tries += 1
                guess = int(re.search(r"\d+", segment.last_reply).group())
                right = guess == task.data.number
                if right or tries == 5:
                    break
                hint = "more" if guess < task.data.number else "less"
                segment = await interaction.turn(f"{guess}: {hint}")
        interaction.trace.record_reward("guessed", 1.0 - 0.1 * tries if right else 0.0)


class Numbers(vf.Taskset[NumberTask, vf.TasksetConfig]):
    INFINITE = True

    def load(self):
        seed = 0
        while True:
            number = random.Random(seed).randint(1, 20)
            words = "Guess the number between 1 and 20."
            yield NumberTask(NumberData(prompt=words, number=number), self.config.task)
            seed += 1
