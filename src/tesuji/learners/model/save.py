"""Saving a trained model: what stands in every stage's `final/` folder."""

import warnings
from pathlib import Path

from tesuji.core.checksums import CARD, seal
from tesuji.learners.distributed import is_main
from tesuji.learners.model.load import Policy
from tesuji.learners.model.sources import note_base


def save_policy(policy: Policy, folder: Path) -> None:
    """Write the model (whole, or only its adapter) and its tokenizer, as `load_policy` reads, and
    their checksums, which it looks at. Their card is written by whoever knows the run. Weights that
    are in parts have to be gathered; where transformers has sharded them (`is_sharded`) every
    process has to call this instead, and the main one writes them whole."""
    with warnings.catch_warnings():  # of its look at the base on the Hub, for a resized vocabulary
        warnings.filterwarnings("ignore", "Unable to fetch|Could not find a config", module="peft")
        policy.model.save_pretrained(folder, is_main_process=is_main())
    if not is_main():
        return
    policy.tokenizer.save_pretrained(folder)
    (folder / CARD).unlink(missing_ok=True)  # PEFT's draft
    note_base(policy.model, folder)
    seal(folder)
