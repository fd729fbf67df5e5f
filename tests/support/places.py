"""Where things stand in this repository."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tesuji"
RECIPES = ROOT / "recipes"
DOCS = ROOT / "docs"
SUPPORT = ROOT / "tests" / "support"
GOLDEN = ROOT / "tests" / "golden"
