"""A reward model as PPO's critic: it knows what replies are worth before the first match.

    critic = critic_from_reward(recipe.model, "runs/x/stages/02-reward/final")
    build_learner(stage, policy, temperature=1.0, critic=critic)

The critic's layers are the reward model's, and the value head begins as its head
(`rl/update/actor_critic.py: value_head`).
"""

from tesuji.learners.model.load import Policy
from tesuji.learners.reward_model.model import load_reward_model, reward_head
from tesuji.recipe.schema.sections import ModelSection


def critic_from_reward(section: ModelSection, source: str) -> Policy:
    """The reward model in `source` (whole or an adapter's folder), to be trained on as a critic.

    Its own head is frozen: the value head is a copy that is trained in its place. Raises
    EngineError where `source` holds no reward model.
    """
    policy = load_reward_model(section, source)
    reward_head(policy.model).requires_grad_(False)
    return policy
