"""The reinforcement-learning stages: PPO, GRPO and REINFORCE++ share every key but a few.

Names follow TRL where it has one (`num_generations`, `num_iterations`, `beta`, `loss_type`,
`sync_ref_model`), else Stable-Baselines3 and the papers (`clip_range`, `gae_lambda`, `vf_coef`).
"""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from tesuji.recipe.schema.play import PlaySection, RewardTerm
from tesuji.recipe.schema.sections import Text
from tesuji.recipe.schema.training import Training


class RLStage(Training):
    """What PPO, GRPO and REINFORCE++ have in common."""

    unsettled: ClassVar[float] = 1e-6
    play: PlaySection = PlaySection()
    """What is played, against whom."""
    rewards: dict[str, RewardTerm] = {"returns": RewardTerm(weight=1.0)}
    """Terms of the reward by name: `returns` (what the game pays), `legal`, `format`, `oracle`,
    `tictactoe_table`, `length`, `reward_model` (what the reward stage before learned),
    `wordle_partial`, `wordle_turns`, `wordle_bits`, `tool_format` (the form of function calls), or
    one of another package. A number is its weight."""
    max_steps: int = Field(1000, ge=1, le=1_000_000_000)
    """Rollouts, each followed by its update."""
    batch_size: int = Field(64, ge=1, le=1_000_000)
    """Matches per rollout, over all processes."""
    num_generations: int = Field(1, ge=1, le=100_000)
    """Matches of one task: the size of a group."""
    max_length: int = Field(4096, ge=8, le=10_000_000)
    """Longest segment learned from, in tokens; a seat's play with a longer one is left out of the
    update, and counted."""
    max_staleness: int = Field(0, ge=0, le=100)
    """Rollouts are played while updates run, by the policy of this many steps before (see rl.md);
    0: they take turns."""
    num_iterations: int = Field(1, ge=1, le=1_000)
    """Passes over each rollout."""
    num_mini_batches: int = Field(1, ge=1, le=1_000_000)
    """Optimizer steps per pass."""
    micro_batch_tokens: int = Field(4096, ge=16, le=1_000_000_000)
    """Most tokens in one forward pass of the update, what several texts begin with counted once;
    the gradient does not depend on it."""
    share_prompts: bool = True
    """Forward what several texts begin with once, as a tree of tokens: a prompt for all replies to
    it, the rules for all prompts (same gradient, less work)."""
    lr_scheduler_type: Literal[
        "linear", "cosine", "constant", "constant_with_warmup", "warmup_stable_decay"
    ] = "constant_with_warmup"
    """Learning-rate schedule, as transformers names it."""
    gamma: float = Field(1.0, ge=0.0, le=1.0)
    """Discount from one turn to the same seat's next; inside a turn there is none."""
    clip_range: float = Field(0.2, gt=0.0, lt=1.0)
    """The probability ratio is clipped below at 1 - clip_range (Schulman et al. 2017)."""
    clip_range_high: float | None = Field(0.28, gt=0.0, le=100)
    """... and above at 1 + clip_range_high (clip-higher, DAPO); none: clip_range."""
    dual_clip: float | None = Field(3.0, gt=1.0, le=1_000)
    """Bound of the loss where the advantage is negative, in advantages (Ye et al. 2020)."""
    beta: float = Field(0.0, ge=0.0, le=1_000)
    """Weight of the KL divergence from the reference model; 0: no reference is needed."""
    kl_in: Literal["loss", "reward"] = "loss"
    """`loss`: k3, differentiated. `reward`: k1, taken off each token's reward (classic PPO)."""
    target_kl: float | None = Field(None, gt=0, le=1_000)
    """With `kl_in: reward`: beta is steered to hold the KL near this (Ziegler et al. 2019)."""
    kl_horizon: int = Field(10000, ge=1, le=1_000_000_000)
    """Matches over which that steering acts."""
    sync_ref_model: bool = False
    """Let the reference follow the policy slowly (magnetic mirror descent, Sokota et al. 2023)."""
    ref_model_mixup_alpha: float = Field(0.6, gt=0.0, le=1.0)
    """Weight of the policy in the new reference, at each sync."""
    ref_model_sync_steps: int = Field(512, ge=1, le=1_000_000_000)
    """Steps between two syncs."""
    entropy_coef: float = Field(0.0, ge=0.0, le=1_000)
    """Weight of the entropy bonus."""
    entropy_coef_final: float | None = Field(None, ge=0.0, le=1_000)
    """Weight at the last step, reached linearly; default: entropy_coef throughout."""
    loss_type: Literal["token", "trace"] = "token"
    """`token`: every sampled token counts alike. `trace`: every seat's play of a match does."""
    whiten_advantages: bool = False
    """Scale advantages to mean 0 and deviation 1 over the whole rollout."""
    ema_decay: float | None = Field(None, gt=0.0, lt=1.0)
    """Keep an exponential moving average of the weights; it is what is evaluated and saved."""
    eval_steps: int | None = Field(None, ge=1, le=1_000_000_000)
    """Steps between two looks, against `evaluation.opponents`; default: none while training."""
    eval_episodes: int = Field(100, ge=1, le=10_000_000)
    """Matches per opponent at each."""
    load_best_model_at_end: bool = True
    """With eval_steps: the model that is handed on is the one that scored best there."""
    stop_when: Literal["never", "certificate"] = "never"
    """`certificate`: stop once the greedy policy cannot be beaten (small perfect-information
    games), looking every `stop_check_steps`."""
    stop_check_steps: int = Field(25, ge=1, le=1_000_000_000)
    """Steps between two such looks."""

    @model_validator(mode="after")
    def _whole_groups(self) -> "RLStage":
        if self.batch_size % self.num_generations:
            raise ValueError("batch_size must be a multiple of num_generations")
        return self

    @model_validator(mode="after")
    def _every_key_means_something(self) -> "RLStage":
        entropy = self.entropy_coef or "entropy_coef" in self.model_fields_set
        syncs, looks, stops = self.sync_ref_model, self.eval_steps, self.stop_when != "never"
        self.needs(
            {
                "kl_in": (self.beta, "says where the KL counts: give beta a value above 0"),
                "sync_ref_model": (self.beta, "moves the reference of the KL: needs beta above 0"),
                "ref_model_mixup_alpha": (syncs, "is of syncs: add sync_ref_model: true"),
                "ref_model_sync_steps": (syncs, "is of syncs: add sync_ref_model: true"),
                "target_kl": (
                    self.beta and self.kl_in == "reward",
                    "steers the KL in the reward: add kl_in: reward, and a beta above 0",
                ),
                "kl_horizon": (self.target_kl, "is how slowly target_kl steers: add target_kl"),
                "entropy_coef_final": (entropy, "is where entropy_coef ends: say where it begins"),
                "eval_episodes": (looks, "is of looks while training: add eval_steps"),
                "stop_check_steps": (stops, "is how often stop_when is asked: add stop_when"),
            }
        )
        return self


class GrpoStage(RLStage):
    """Group relative policy optimisation (Shao et al. 2024) without the division by the group's
    deviation (Liu et al. 2025): the baseline is the mean of the others in the group."""

    kind: Literal["grpo"] = "grpo"
    """May be left out where the stage is called so."""
    num_generations: int = Field(8, ge=1, le=100_000)
    """Matches of one task: the size of a group. 1: a moving average per role is the baseline."""
    scale_rewards: Literal["none", "group"] = "none"
    """`group`: divide by the group's standard deviation, as the first paper does."""
    credit: Literal["trajectory", "turn"] = "turn"
    """What a turn is credited with: all its seat earned in the match, or what it earned from this
    turn on (discounted by gamma)."""
    dr_grpo: bool = False
    """Normalise by `max_new_tokens` instead of the sampled tokens, the baseline being the mean of
    the whole group (Dr. GRPO, Liu et al. 2025)."""

    @model_validator(mode="after")
    def _every_grpo_key_means_something(self) -> "GrpoStage":
        groups, dr = self.num_generations > 1, self.dr_grpo
        lone = "compares within a group: num_generations must be more than 1"
        whole = "discounts from turn to turn, credit: trajectory counts whole matches"
        self.needs(
            {
                "dr_grpo": (groups, lone),
                "scale_rewards": (groups, lone),
                "gamma": (self.credit == "turn", whole),
                "loss_type": (not dr, "is a normalisation, and dr_grpo another: leave one out"),
            }
        )
        if dr and self.scale_rewards == "group":
            raise ValueError("dr_grpo is GRPO without the division of scale_rewards: leave one out")
        return self


class PpoStage(RLStage):
    """Proximal policy optimisation (Schulman et al. 2017) with a value head."""

    kind: Literal["ppo"] = "ppo"
    """May be left out where the stage is called so."""
    num_iterations: int = Field(2, ge=1, le=1_000)
    """Passes over each rollout."""
    gae_lambda: float = Field(0.95, ge=0.0, le=1.0)
    """Bias against variance from turn to turn (Schulman et al. 2016); inside a turn it is 1."""
    vf_coef: float = Field(0.5, ge=0.0, le=1_000)
    """Weight of the value loss."""
    clip_range_vf: float | None = Field(0.2, gt=0.0, le=1_000_000)
    """How far a value may move in one update, in units of the returns (the root mean square of
    those of late); none: as far as it likes."""
    value_grad: float = Field(0.0, ge=0.0, le=1.0)
    """How much of the value loss reaches the policy's own weights (0: the head learns alone)."""
    value_learning_rate: float = Field(1e-3, gt=0, le=10)
    """Peak learning rate of the value head."""
    critic: Text | None = None
    """A model of its own as critic: `base` (a second copy), `reward_model` (what the reward stage
    before trained, its head included), a folder, or a Hub id; default: a head on the policy."""
    critic_warmup_steps: int = Field(0, ge=0, le=1_000_000_000)
    """First steps in which only the critic learns."""
    whiten_advantages: bool = True
    """Scale advantages to mean 0 and deviation 1 over the whole rollout."""

    @model_validator(mode="after")
    def _every_ppo_key_means_something(self) -> "PpoStage":
        why = "is of the value loss: vf_coef must be more than 0"
        keys = ("value_grad", "value_learning_rate", "critic_warmup_steps")
        self.needs(dict.fromkeys(keys, (self.vf_coef, why)))
        self.needs({"gae_lambda": (self.gamma, "counts later turns, and gamma 0 leaves them out")})
        self.needs({"clip_range_vf": (self.vf_coef or not self.clip_range_vf, why)})
        return self


class ReinforceStage(RLStage):
    """REINFORCE++ (Hu 2025): discounted return-to-go, whitened over the rollout; no critic."""

    kind: Literal["reinforce++"] = "reinforce++"
    """Write it out: a stage cannot be called so."""
    whiten_advantages: bool = True
    """Scale advantages to mean 0 and deviation 1 over the whole rollout."""
