"""A recipe that is over in seconds, for everything that sends recipes to other machines."""

from pathlib import Path

RECIPE = """\
name: {name}
seed: 1
game: tic_tac_toe
model:
  base: tiny
  tiny: {{architecture: qwen3, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 4}}
prompt: {{style: compact, answer: id}}
sampling: {{max_new_tokens: 2}}
stages:
  sft:
    {{data: {data}, max_steps: {steps}, batch_size: 4, max_length: 64, save_steps: 2}}
evaluation: {{opponents: [random], episodes: 4, positions: 0, before: false}}
"""
ROW = (
    '{"prompt": [{"role": "user", "content": "board %d"}],'
    ' "completion": [{"role": "assistant", "content": "%d"}]}\n'
)


def write_recipe(
    folder: Path, name: str = "small", steps: int = 2, data: str = "rows.jsonl"
) -> Path:
    """A recipe in `folder` with the rows it learns from; its path."""
    rows = folder / data
    rows.parent.mkdir(parents=True, exist_ok=True)
    rows.write_text("".join(ROW % (number, number % 9) for number in range(16)))
    recipe = folder / f"{name}.yaml"
    recipe.write_text(RECIPE.format(name=name, data=data, steps=steps))
    return recipe
