"""New run: choose a recipe, answer a few questions, look at what it would do, start it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from tesuji.recipe.reading.shipped import shipped_recipes
from tesuji.serve.ui.house import House
from tesuji.serve.ui.new.draft import Draft, open_draft
from tesuji.serve.ui.pages import page
from tesuji.serve.ui.runs.processes import start


async def _answers(request: Request) -> dict[str, str]:
    """The form, its texts only."""
    async with request.form() as form:
        return {key: value for key, value in form.items() if isinstance(value, str)}


Answers = Annotated[dict[str, str], Depends(_answers)]


def router(house: House) -> APIRouter:
    """The routes of this part."""
    routes = APIRouter(prefix="/new")

    @routes.get("")
    def new(request: Request, recipe: str = "") -> Response:
        """The recipes, or the questions of one."""
        if not recipe:
            groups: dict[str, list[Any]] = {}
            for shipped in shipped_recipes():
                groups.setdefault(shipped.name.partition("/")[0], []).append(shipped)
            return page(house, request, "new/recipes.html.j2", groups=groups)
        draft, asked = open_draft(recipe, {})
        return page(
            house,
            request,
            "new/questions.html.j2",
            recipe=recipe,
            questions=asked,
            text=draft.text(),
            folder=house.recipes.absolute(),
        )

    @routes.post("/recipe")
    def preview(request: Request, answers: Answers) -> Response:
        """The recipe as it stands."""
        text = _draft(answers).text()
        return page(house, request, "new/text.html.j2", text=text)

    @routes.post("/plan")
    def plan(request: Request, answers: Answers) -> Response:
        """What it would do, and how long that takes here."""
        return page(house, request, "new/plan.html.j2", plan=_draft(answers).plan(house.runs))

    @routes.post("/start")
    def begin(answers: Answers) -> Response:
        """Write it and run it; on to the run's page."""
        file = _draft(answers).save(house.recipes)
        return Response(headers={"HX-Redirect": f"/runs/{start(house, file)}"})

    return routes


def _draft(answers: dict[str, str]) -> Draft:
    return open_draft(answers.get("recipe", ""), answers)[0]
