"""What `auto` stands for in a recipe: by how large the model is, how wide, and whether somebody has
trained it. The one table of these rules; `pipeline/settings.py` writes them into a recipe.

The learning rate of supervised fine-tuning is the rule that Thinking Machines fitted to sweeps over
Llama and Qwen models (tinker-cookbook, `get_lr`): 5e-5 at a width of 2,000, less for wider models,
and ten times that for LoRA ("LoRA Without Regret", Schulman et al. 2025; QLoRA, Dettmers et al.
2023, has 2e-4 for 7B). From scratch it is what GPT-3 had (Brown et al. 2020: 2e-4 at 2,048),
continued to the small models measured here (docs/lab). Preferences and play move a policy by less:
DPO 5e-7 to 5e-6 (Rafailov et al. 2023; Zephyr, Tunstall et al. 2023), GRPO 1e-6 (Shao et al. 2024),
reward models 1e-5 (TRL), for whole models of about 7B.

What it simplifies: rank, batch size and the amount of data are left out, so that a rate is right
within a factor of three or so.
"""

from dataclasses import dataclass
from typing import Any, Literal

from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.sections import Auto, LoraSection
from tesuji.recipe.schema.training import Training

TINY = 2_000_000  # parameters: below, a second thread and bfloat16 cost more than they save
LARGE = 20_000_000  # from here on a model has been trained by somebody already
ADAPTED = 100_000_000  # from here on a trained model gets adapters: LoRA
LORA = LoraSection(r=16, alpha=32, target_modules="all-linear")  # what the first study advises

Kind = Literal["scratch", "whole", "lora"]
WIDTH, POWER = 2_000, 0.781  # of the table below; how the rates fall where a model is wider
RATES: dict[str, dict[Kind, float]] = {  # AdamW's peak, by what is learned from
    "sft": {"scratch": 2e-4, "whole": 5e-5, "lora": 5e-4},
    "dpo": {"scratch": 2e-5, "whole": 2.5e-6, "lora": 2.5e-5},
    "reward": {"scratch": 7e-5, "whole": 1e-5, "lora": 1e-4},
    "play": {"scratch": 7e-5, "whole": 2e-6, "lora": 2e-5},
}
MUON = 5  # Muon's rate over AdamW's beside it, from scratch (recipes/*/tiny*.yaml)
UNLIMITED = 1 << 20  # tokens of a row, where neither recipe nor model says
FAST, FATAL = 4, 10  # times the rule: what a trained model is warned of, and what it is refused
SLOW = 10  # times below the rule: what a model from scratch is warned of


@dataclass(frozen=True, slots=True)
class Learner:
    """What the rules go by. `parameters` and `width` (the residual stream) are None for a model
    that has to be downloaded first: it is taken for a large one."""

    base: str
    parameters: int | None
    width: int | None
    lora: bool = False

    @property
    def from_scratch(self) -> bool:
        """Whether it knows nothing yet: built here, or as small as what is built here."""
        return self.base == "tiny" or (self.parameters or LARGE) < LARGE

    @property
    def wants_lora(self) -> bool:
        """Whether `lora: auto` stands for adapters."""
        return not self.from_scratch and (self.parameters or ADAPTED) >= ADAPTED

    @property
    def kind(self) -> Kind:
        """The column of the table."""
        return "scratch" if self.from_scratch else "lora" if self.lora else "whole"


def learning_rate(stage: Training, learner: Learner) -> float:
    """AdamW's peak learning rate for this stage, in two digits."""
    row = RATES["play" if isinstance(stage, RLStage) else str(getattr(stage, "kind"))]  # noqa: B009
    rate = row[learner.kind] * (WIDTH / (learner.width or WIDTH)) ** POWER
    return float(f"{rate:.1e}")


def muon_rate(adamw_rate: float, learner: Learner) -> float:
    """Muon's peak learning rate where this is AdamW's, in two digits. It moves all directions of a
    matrix alike: from scratch that may be fast, on a trained model it is what AdamW's is."""
    return float(f"{adamw_rate * (MUON if learner.from_scratch else 1):.1e}")


def context_of(config: Any) -> int | None:
    """The most tokens a model of this configuration can read, where that is said."""
    longest = getattr(config.get_text_config(), "max_position_embeddings", None)
    return longest if isinstance(longest, int) and longest > 0 else None


def row_limit(max_length: int | Auto, config: Any) -> int:
    """Most tokens of a row to learn from; `auto`: all that a model of this configuration reads."""
    return (context_of(config) or UNLIMITED) if max_length == "auto" else max_length
