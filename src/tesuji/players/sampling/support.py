"""How a model can be run: with common beginnings read once, with padded rows, or row by row.

Which masks an attention takes, what a cache holds and whether padding is seen is knowledge of each
model's code. It is not kept as a list of names but found out once a model, by comparing with the
model's plain forward pass (`support_check.py`).
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

Way = Literal["shared", "padded", "plain", "refused"]

TREE_ATTENTION = "tesuji_tree"  # our own: `sdpa`, and in a token tree block by block
OWN_MASKS = ("sdpa", "eager", TREE_ATTENTION)  # attention that takes a mask of ours
WINDOW = re.compile("window|attention_chunk|local_attention")
NO_WIDTH = re.compile("layer|pattern|^use_")  # max_window_layers, use_sliding_window


@dataclass(frozen=True, slots=True)
class Support:
    """`way`: what the model was seen to do right. `shared`: what texts begin with in common is
    read once, and keys and values are kept and regrouped; `padded`: texts of different lengths
    stand in one batch, padded to the left, on the model's own cache; `plain`: only rows of one
    length stand together, and none is ever padded to the left. Everything else is `refused`.

    `cached`: in the plain way, the model's own cache gives what reading again does. `own_head`:
    its head can be called without its layers. `train_mode`: without its dropouts it computes the
    same in train mode (some routers draw their experts there). `reason`: why not shared, in words;
    `detail`: what was found, or what the model's code raised.
    `worst`: the largest difference in log-prob from the plain forward pass among what is used.
    """

    way: Way
    reason: str = ""
    cached: bool = False
    own_head: bool = True
    train_mode: bool = True
    worst: float = 0.0
    detail: str = ""

    @property
    def shared(self) -> bool:
        """Whether texts may be read as trees, and caches regrouped."""
        return self.way == "shared"

    @property
    def plain(self) -> bool:
        """Whether padding to the left and masks are to be kept from it."""
        return self.way == "plain"

    def in_words(self) -> str:
        """One line: what is done with this model, and why."""
        if self.way == "shared":
            return "common beginnings are read once"
        how = {"padded": "a row a reply", "plain": "a row a reply, rows of one length together"}
        more = "" if self.train_mode else "; updated in eval mode, without gradient checkpointing"
        return f"{how.get(self.way, 'refused')} ({self.reason}){more}"


def attention_of(model: Any) -> str:
    """The attention's implementation, as transformers names it."""
    return str(getattr(model.config.get_text_config(), "_attn_implementation", None) or "eager")


def windows_of(config: Any) -> list[int]:
    """The widths of windows that some layers do not see past, as far as its keys tell."""
    longest = getattr(config, "max_position_embeddings", None) or 1 << 40
    kinds = set(getattr(config, "layer_types", None) or [])
    if kinds == {"full_attention"}:
        return []
    widths = (v for k, v in vars(config).items() if WINDOW.search(k) and not NO_WIDTH.search(k))
    return sorted(w for w in widths if isinstance(w, int) and 0 < w < longest)
