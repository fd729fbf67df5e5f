"""Of a pass that learns the moment when it takes most, with the gradients that are there then."""

from tesuji.pipeline.memory.held import Sizes, bucket_of
from tesuji.pipeline.memory.passes import Pass
from tesuji.recipe.schema.sections import DistributedSection

Parts = dict[str, float]


def moment(
    made: Pass, sizes: Sizes, section: DistributedSection | None, *, again: bool, reserved: bool
) -> Parts:
    """Bytes of gradients, activations and logits. `again`: gradients of an earlier pass of the same
    step are there; `reserved`: memory that is asked for counts, used or not, as on a GPU."""
    if section is None or section.processes == 1:
        return made.peak(sizes.trained, again=again)
    if section.zero_stage >= 2:
        return _through_a_bucket(made, sizes, section, again=again, reserved=reserved)
    parts = made.peak(sizes.trained, again=again)
    if section.strategy == "fsdp":
        parts["gradients"] /= section.processes
    return parts


def _through_a_bucket(
    made: Pass, sizes: Sizes, section: DistributedSection, *, again: bool, reserved: bool
) -> Parts:
    """ZeRO-2 and 3 move each gradient into a bucket as it is made; what is in a full one, or at the
    pass's end, is copied to be reduced, and the process's part of it kept. ZeRO-2 has the bucket
    new for each pass; ZeRO-3 keeps it, and its part, from the first pass on."""
    used, bucket = bucket_of(sizes, section), bucket_of(sizes, section, reserved=reserved)
    stays = section.zero_stage == 3
    kept = sizes.trained / section.processes if stays or again or sizes.trained > used else 0.0
    early = kept + (bucket if stays or reserved else min(made.early, bucket))
    late, whole = kept + bucket + used, made.activations + made.logits
    if early + whole >= late:
        return {"gradients": early, "activations": made.activations, "logits": made.logits}
    return {"gradients": late, "activations": 0.0, "logits": 0.0}
