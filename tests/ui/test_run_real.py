"""A real run: started here, watched, stopped and gone on with by buttons of its page."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_jobs import write_recipe
from ui_site import Site, open_site

from tesuji.core.run_folder import RunFolder
from tesuji.serve.ui.house import House
from tesuji.serve.ui.runs.processes import LOG, doing, start

PATIENCE = 60_000  # milliseconds, for a process that has libraries to load


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.chdir(tmp_path)  # the recipe names its rows from here
    monkeypatch.setenv("TESUJI_UI_KEY", "the-key-of-this-server")
    with open_site(House(tmp_path / "runs")) as opened:
        yield opened
    for folder in (tmp_path / "runs").glob("*"):
        if (pid := doing(folder).ours) is not None:
            os.killpg(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("looked_at", [(1280, "light")], indirect=True, ids=["wide-light"])
def test_curves_move_while_a_real_run_trains(site: Site, tmp_path: Path, looked_at: Any) -> None:
    from playwright.sync_api import expect

    folder = site.house.runs / start(site.house, write_recipe(tmp_path, steps=2000))
    environment = Path(f"/proc/{doing(folder).ours}/environ").read_bytes()
    assert b"the-key-of-this-server" not in environment
    assert os.getsid(doing(folder).ours or 0) != os.getsid(0)

    assert "It is starting" in site.client().get("/").text
    looked_at.goto(f"{site.url}/runs/small")  # it has no manifest yet
    state = looked_at.locator("#state .state").first
    expect(state).to_have_text("running", timeout=PATIENCE)
    loss = looked_at.locator("figure[data-metric=loss] [role=img]")
    expect(loss).to_have_attribute("aria-label", re.compile("at step"), timeout=PATIENCE)
    first = loss.get_attribute("aria-label")
    expect(loss).not_to_have_attribute("aria-label", first, timeout=PATIENCE)

    looked_at.get_by_role("button", name="Stop").click()
    expect(state).to_have_text("stopped", timeout=PATIENCE)
    assert "stopped. What is finished is kept" in (folder / LOG).read_text()
    assert RunFolder(folder).manifest()["stages"]["sft"]["status"] == "running"  # it never ended

    text = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(text.replace("max_steps: 2000", "max_steps: 2"))
    looked_at.get_by_role("button", name="Go on").click()
    expect(state).to_have_text("running", timeout=PATIENCE)
    expect(state).to_have_text("finished", timeout=PATIENCE)
    assert RunFolder(folder).manifest()["stages"]["after"]["status"] == "done"
    assert (folder / LOG).read_text().count("--- ") == 2


def test_a_run_that_ends_before_it_begins_says_why(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))  # no Python can begin with that
    folder = site.house.runs / start(site.house, write_recipe(tmp_path, "nothing"))
    with site.client() as client:
        while doing(folder).anybody:
            assert client.get("/runs/nothing").status_code == 200
        page = client.get("/runs/nothing").text
        assert "It ended before it began" in page and "Fatal Python error" in page
        assert client.get("/runs/nothing/curves").status_code == 404
