"""The player against a server that nobody of us wrote: llama.cpp's own, serving SmolLM2."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tesuji.core.errors import EndpointError
from tesuji.games.catalogue import load_game
from tesuji.learners.model.sources import gguf_of
from tesuji.players.base import MoveRequest
from tesuji.players.endpoint.budget import SPENDING, recorded_in
from tesuji.players.registry import make_player
from tesuji.recipe.schema.sections import PlayerSection

xllamacpp = pytest.importorskip("xllamacpp")
GAME = load_game("tic_tac_toe")


@pytest.fixture(scope="module")
def llama(smollm2: Path) -> Iterator[str]:
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf_of("smollm2"))
    params.n_ctx, params.n_parallel, params.warmup, params.verbosity = 1024, 2, False, -1
    params.cpuparams.n_threads, params.port = 1, 0
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


def replies(url: str, folder: Path, seeds: list[int], **options: Any) -> list[str]:
    match = GAME.start(0)
    given = {"base_url": url, "model": "smollm2", "cache": str(folder / "c"), "concurrency": 2}
    section = PlayerSection(
        player="openai", style="compact", max_tokens=6, timeout_s=300.0, **given | options
    )
    asked = [
        MoveRequest(GAME, match, 0, match.observe(0), match.legal_moves(0), seed) for seed in seeds
    ]
    return [reply.text for reply in make_player(section, game=GAME).choose(asked)]


def test_a_real_server_replies_counts_tokens_and_draws_by_the_seed(llama: str, tmp_path: Path):
    with recorded_in(tmp_path / SPENDING) as spent:
        first, second = replies(llama, tmp_path, [1, 2])
        [row] = spent.spent()
        assert row.requests == 2 and row.read > 20 and 2 <= row.written <= 12
        assert first and second and first != second
        assert replies(llama, tmp_path, [2, 1]) == [second, first]
        assert spent.spent() == [row], "kept"
        assert replies(llama, tmp_path, [1], cache=None) == [first], "drawn again by its seed"
        [row] = spent.spent()
        assert row.requests == 3


def test_a_wrong_path_is_one_message(llama: str, tmp_path: Path):
    with pytest.raises(EndpointError) as caught:
        replies(f"{llama}/nowhere", tmp_path, [1])
    assert "no moves from" in caught.value.what and "404" in caught.value.what
