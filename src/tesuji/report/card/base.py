"""What a card says of the model that a run began with: its name, its licence, where it is from."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tesuji.core.checksums import CARD
from tesuji.core.errors import DataError
from tesuji.core.files import read_json, read_text
from tesuji.learners.model.gguf import ORIGIN, digest_of, kept
from tesuji.learners.model.sources import KNOWN, gguf_of
from tesuji.recipe.schema.sections import ModelSection

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class BaseModel:
    """`hub_id` is "" for what is not on the Hub, `license` where nothing here says it; `words` name
    it for people."""

    hub_id: str
    license: str
    words: str


def describe_base(section: ModelSection) -> BaseModel:
    """The recipe's base. Its licence is what its own card says, where that is on this machine."""
    if section.base == "tiny":
        words = "a model built from its shape and a seed: nobody else's weights are in it"
        return BaseModel("", "", words)
    if known := KNOWN.get(section.base):
        return BaseModel(known.hub_id, known.license, known.hub_id)
    if file := gguf_of(section.base):
        folder = kept(digest_of(file))
        licence = read_json(folder / ORIGIN).get("license", "") if folder else ""
        return BaseModel("", licence, f"the model in {file.name}")
    front = front_matter(_card_of(section))
    named, licence = (str(front.get(key) or "") for key in ("base_model", "license"))
    on_hub = section.base if not Path(section.base).exists() else named
    hub_id = on_hub if HUB_ID.fullmatch(on_hub) else ""
    return BaseModel(
        hub_id, licence, hub_id or f"the model in the folder {Path(section.base).name}"
    )


def front_matter(card: Path | None) -> dict[str, Any]:
    """The YAML at the head of a card; empty where there is none that can be read."""
    try:
        head = FRONT.match(read_text(card)) if card else None
        values = yaml.safe_load(head[1]) if head else {}
    except (DataError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}


def _card_of(section: ModelSection) -> Path | None:
    folder = Path(section.base)
    if folder.is_dir():
        return folder / CARD
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(section.base, CARD, revision=section.revision)
    return Path(path) if isinstance(path, str) else None
