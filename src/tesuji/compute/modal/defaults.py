"""What a recipe's `modal` section asks for, where the command line says nothing."""

from dataclasses import replace

from tesuji.compute.base import Wish
from tesuji.recipe.schema.recipe import Recipe


def by_recipe(wish: Wish, recipe: Recipe, *, timeout: float | None) -> Wish:
    """The wish with the recipe's defaults. `timeout`: hours by the command line, where it says."""
    section = recipe.modal
    if section is None or wish.on != "modal":
        return wish
    if section.gpu and not wish.gpu:
        wish = replace(wish, gpu=section.gpu.type, count=section.gpu.count)
    if section.timeout and timeout is None:
        wish = replace(wish, timeout_hours=section.timeout / 3600)
    return replace(
        wish,
        cpus=wish.cpus or section.cpus or 0,
        memory_gb=wish.memory_gb or (section.memory or 0) / 1024,
    )
