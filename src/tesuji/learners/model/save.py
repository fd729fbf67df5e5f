"""Saving a trained model: what stands in every stage's `final/` folder."""

from pathlib import Path

from tesuji.core.checksums import CARD, seal
from tesuji.learners.model.load import Policy
from tesuji.learners.model.sources import note_base


def save_policy(policy: Policy, folder: Path) -> None:
    """Write the model (whole, or only its adapter) and its tokenizer, as `load_policy` reads, and
    their checksums, which it looks at. Their card is written by whoever knows the run."""
    policy.model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)
    (folder / CARD).unlink(missing_ok=True)  # PEFT's draft
    note_base(policy.model, folder)
    seal(folder)
