"""Small recipes: of one RL stage, and as the text of a file."""

from typing import Any

from tesuji.recipe.schema.recipe import Recipe

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
}
HEAD = """\
game: tic_tac_toe
model:
  lora: null
  tiny: {hidden_size: 16, num_attention_heads: 2, num_key_value_heads: 2, intermediate_size: 32}
prompt: {style: compact, answer: id}
sampling: {max_new_tokens: 2, legal_only: true}
"""


def recipe_of(kind: str = "grpo", game: str = "tic_tac_toe", **changes: Any) -> Recipe:
    stage = {"kind": kind, "max_steps": 3, "batch_size": 8, "save_steps": 2, **changes}
    stage.setdefault("num_generations", 4 if kind == "grpo" else 1)
    return Recipe.model_validate(
        {
            "name": "small",
            "seed": 3,
            "game": game,
            "model": {"base": "tiny", "tiny": TINY},
            "prompt": {"style": "compact", "answer": "id", "retry": False},
            "sampling": {"max_new_tokens": 3},
            "stages": {"rl": stage},
            "evaluation": {"episodes": 2, "positions": 0, "before": False},
        }
    )


def text_of(name: str, stages: str, evaluation: str) -> str:
    """The file of a recipe with these stages, lines of YAML, on a model that learns in a moment."""
    return f"name: {name}\n{HEAD}stages:\n{stages}evaluation: {evaluation}\n"
