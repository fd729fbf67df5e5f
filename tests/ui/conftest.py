"""A real server of the pages in this process, and a real browser that opens them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ui_site import Site, open_site

from tesuji.serve.ui.house import House

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]

PATIENCE = 60_000  # milliseconds: other tests run beside these


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Pages of an empty folder of runs."""
    with open_site(House(tmp_path / "runs")) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium, without a window. Where there is none the tests are skipped, unless
    TESUJI_BROWSER says that there has to be one. Ended with each module: while it runs, nothing
    else in this thread can use asyncio."""
    if CHROMIUM is None and not os.environ.get("TESUJI_BROWSER"):
        pytest.skip("no chromium here; Debian's package `chromium` has it")
    sync_api = pytest.importorskip("playwright.sync_api")
    sync_api.expect.set_options(timeout=PATIENCE)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["wide-light", "phone-dark"])
def looked_at(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page of a browser, wide and light or narrow and dark, that may not log errors."""
    width, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE)
    page.problems = []
    page.on("console", lambda said: said.type == "error" and page.problems.append(said.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    yield page
    page.close()
    assert page.problems == []
