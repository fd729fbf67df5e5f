"""From logits to a token: the distribution sampled from, and the draw.

Everything is per row and needs no generator on the device: a row brings its own uniform number,
so what it draws does not depend on its neighbours in the batch.
"""

import torch
from torch import Tensor


def distribution(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    """Log-probabilities [B, V] in float32 that are sampled from, given logits [B, V].

    `top_p` keeps the smallest set of tokens with at least that much probability (nucleus
    sampling, Holtzman et al. 2020) and renormalises. Temperature 0 puts all on the likeliest.
    """
    logits = logits.float()
    if temperature == 0:
        best = logits.argmax(dim=-1, keepdim=True)
        certain = logits.gather(-1, best) * 0  # 0; NaN if the model is broken, so that it shows
        return torch.full_like(logits, -torch.inf).scatter_(-1, best, certain)
    logprobs = torch.log_softmax(logits if temperature == 1 else logits / temperature, dim=-1)
    return logprobs if top_p >= 1 else _nucleus(logprobs, top_p)


def _nucleus(logprobs: Tensor, top_p: float) -> Tensor:
    ordered, order = logprobs.sort(dim=-1, descending=True, stable=True)
    probs = ordered.exp()
    before = probs.cumsum(dim=-1) - probs
    before[..., 0] = 0.0  # the likeliest token always stays
    ordered = ordered.masked_fill(before >= top_p, -torch.inf)
    kept = torch.empty_like(logprobs).scatter_(-1, order, ordered)
    return torch.log_softmax(kept, dim=-1)


def draw(logprobs: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """One token a row by the inverse CDF: ids [B] and their log-probabilities [B].

    `uniforms` [B] are in [0, 1). Where rounding makes one reach the sum of all, the token that
    completes the sum is taken: those behind it have no probability.
    """
    cumulative = logprobs.exp().cumsum(dim=-1)
    total = cumulative[:, -1:].contiguous()
    ids = torch.searchsorted(cumulative, uniforms.unsqueeze(-1) * total, right=True)
    last = torch.searchsorted(cumulative, total)
    ids = torch.minimum(ids, last).clamp_(max=logprobs.shape[-1] - 1)  # NaN is nowhere
    return ids.squeeze(-1), logprobs.gather(-1, ids).squeeze(-1)
