"""Trees of tokens: what stands where, and that a model reads them as it reads plain rows."""

import itertools
import random

import pytest
import torch
from families import family_model

from tesuji.players.sampling.head import layers
from tesuji.players.sampling.kv_context import Context
from tesuji.players.sampling.prefix_cache import Beginnings
from tesuji.players.sampling.support import TREE_ATTENTION, attention_of
from tesuji.players.sampling.support_check import support_of
from tesuji.players.sampling.token_tree import alike, forest, plant
from tesuji.players.sampling.tree_attention import Blocks, tree_inputs, use_tree_attention


def sequences(seed: int, count: int = 12) -> list[tuple[int, ...]]:
    """Sequences of several lengths with common beginnings; some equal, some begin others."""
    random_ = random.Random(seed)
    some = [tuple(random_.choices((1, 2, 3), k=random_.randint(1, 9))) for _ in range(count)]
    return [*some, some[0], some[1][:1], (*some[2], 1, 2)]


@pytest.mark.parametrize("seed", range(20))
def test_every_distinct_beginning_is_one_node(seed):
    some = sequences(seed)
    tree = plant(some)
    beginnings = {text[:length] for text in some for length in range(1, len(text) + 1)}
    assert len(tree) == len(beginnings)
    for text, nodes in zip(some, tree.nodes, strict=True):
        assert [tree.ids[node] for node in nodes] == list(text)
        assert [tree.positions[node] for node in nodes] == list(range(len(text)))


@pytest.mark.parametrize("seed", range(20))
def test_ends_tell_what_a_node_sees(seed):
    some = sequences(seed)
    tree = plant(some)
    ancestors = {nodes[-1]: set(nodes) for text in tree.nodes for nodes in _beginnings(text)}
    for node in range(len(tree)):
        seen = {other for other in range(node + 1) if node < tree.ends[other]}
        assert seen == ancestors[node]


def _beginnings(nodes):
    return [nodes[: length + 1] for length in range(len(nodes))]


@pytest.mark.parametrize("most", [1, 5, 12, 1000])
def test_a_forest_holds_every_sequence_once_within_its_limit(most):
    some = sequences(3, count=40)
    parts = list(forest(some, most))
    assert sorted(itertools.chain(*parts)) == list(range(len(some)))
    for part in parts:
        assert len(part) == 1 or len(plant([some[number] for number in part])) <= most
    assert most < 1000 or len(parts) == 1


def test_alike_counts_the_common_beginning():
    assert alike((1, 2, 3), (1, 2, 4)) == 2
    assert alike((1, 2), (1, 2, 4)) == 2
    assert alike((), (1,)) == 0


@pytest.mark.parametrize("kept", [0, 5])
@pytest.mark.parametrize("block", [1, 3, 8, 100])
def test_blocks_attend_as_a_mask_of_everything_does(block, kept):
    tree = plant(sequences(7))
    size, generator = len(tree), torch.Generator().manual_seed(1)
    columns = [*range(1, size, size // kept), size][-kept:] if kept else []  # and one of nobody
    fresh = [node for node in range(size) if node not in columns]
    nodes, query_nodes = torch.tensor([*columns, *fresh]), torch.tensor(fresh).unsqueeze(1)
    shapes = [(1, heads, number, 4) for heads, number in ((6, len(fresh)), (2, len(nodes)))]
    query, key, value = (
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in (*shapes, shapes[1])
    )
    ends = torch.tensor([*tree.ends, 0])[nodes]
    seen = (nodes <= query_nodes) & (query_nodes < ends)
    groups = [each.repeat_interleave(3, dim=1) for each in (key, value)]
    right = torch.nn.functional.scaled_dot_product_attention(query, *groups, attn_mask=seen)
    blocks = Blocks(tree.ends, torch.float64, query.device, kept=columns, block=block)
    ours = blocks.attend(query, key, value, None, 0.0)
    assert torch.allclose(ours, right.transpose(1, 2), atol=1e-12)
    assert torch.equal(blocks.mask()[0, 0] == 0, seen)
    weights = torch.randn(ours.shape, generator=generator, dtype=torch.float64)
    gradients = torch.autograd.grad((ours * weights).sum(), (query, key, value), retain_graph=True)
    others = torch.autograd.grad((right.transpose(1, 2) * weights).sum(), (query, key, value))
    for one, other in zip(gradients, others, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_a_tree_gives_the_states_and_gradients_of_plain_rows(family, blocks):
    model = family_model(family)
    assert support_of(model).shared
    assert attention_of(model) == TREE_ATTENTION
    use_tree_attention(model, on=blocks)
    some = sequences(5)
    tree = plant(some)
    states = layers(model)(**tree_inputs(model, tree), use_cache=False).last_hidden_state[0]
    weigh = [torch.randn(len(text), states.shape[1]) for text in some]
    pairs = zip(tree.nodes, weigh, strict=True)
    loss = sum((states[list(nodes)] * weights).sum() for nodes, weights in pairs)
    parameters = [p for p in layers(model).parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    plain = [
        layers(model)(input_ids=torch.tensor([text]), use_cache=False).last_hidden_state[0]
        for text in some
    ]
    for nodes, right in zip(tree.nodes, plain, strict=True):
        assert (states[list(nodes)] - right).abs().max() < 1e-5
    rights = torch.autograd.grad(
        sum((a * b).sum() for a, b in zip(plain, weigh, strict=True)), parameters, allow_unused=True
    )
    for one, other in zip(gradients, rights, strict=True):
        if other is not None:
            assert (one - other).abs().max() < 1e-5 * float(other.abs().max())


@pytest.mark.parametrize("blocks", [True, False])
def test_a_context_of_a_tree_goes_on_as_one_of_rows_does(blocks):
    """Also behind beginnings that are kept, and in a forest of small trees."""
    model = family_model("llama")
    texts = [text for text in sequences(9) if len(text) > 1]
    assert support_of(model).shared
    use_tree_attention(model, on=blocks)
    kept = Beginnings(model)
    for most in (1000, 1000, 10):
        kept.most = most
        with torch.no_grad():
            ours, logits = kept.read(texts)
            theirs, right = Context.of(model, texts, masks=True)
            assert (logits - right).abs().max() < 1e-5
            ids = torch.arange(len(texts)) % 3 + 1
            assert (ours.advance(ids) - theirs.advance(ids)).abs().max() < 1e-5
