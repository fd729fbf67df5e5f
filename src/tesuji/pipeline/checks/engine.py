"""What can be refused of `sampling.engine` before anything is computed."""

import importlib.util

from tesuji.core.errors import EngineError, RecipeError
from tesuji.learners.model.inspect import ModelFacts
from tesuji.learners.model.load import device_of
from tesuji.players.endpoint.address import wrong_address
from tesuji.players.vllm.start import check_head_size, check_installed
from tesuji.recipe.schema.recipe import Recipe


def check_engine(recipe: Recipe, facts: ModelFacts | None) -> None:
    """The servers can be asked, or one started, and take this model. Raises RecipeError or
    EngineError naming the key."""
    sampling = recipe.sampling
    if sampling.engine == "local":
        return
    if importlib.util.find_spec("httpx") is None:
        raise EngineError(
            "httpx is not installed", where="sampling.engine", hint="pip install httpx"
        )
    if recipe.model.load_in_4bit:
        raise RecipeError(
            "vLLM would sample from the whole weights, and the model here has 4-bit ones",
            where="model.load_in_4bit",
            hint="leave it out, or the engine",
        )
    for place, url in enumerate(sampling.url):
        if why := wrong_address(url):
            raise RecipeError(
                f"{why}: it cannot be asked",
                where=f"sampling.url.{place}",
                hint="write it like http://127.0.0.1:8001",
            )
    if not sampling.url:
        check_installed(sampling)
        if facts is not None:
            check_head_size(facts.config, device_of(recipe.model))
