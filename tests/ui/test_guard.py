"""Who may ask, and what a page may do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ui_site import Site, fits, open_site, serious_findings

from tesuji.serve.ui.house import House


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Site]:
    """A server for other machines, too."""
    with open_site(House(tmp_path, "0.0.0.0", "a-key-that-is-long")) as opened:
        yield opened


def test_a_page_says_what_it_may_load(site: Site) -> None:
    answer = site.client().get("/")
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200 and "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("style-src-attr")[0]
    assert site.client().get("/static/ui.css").headers["x-content-type-options"] == "nosniff"


def test_another_name_or_another_page_is_refused(site: Site) -> None:
    assert site.client().get("/", headers={"Host": "evil.example"}).status_code == 403
    other = {"Origin": "http://evil.example"}
    assert site.client().get("/", headers=other).status_code == 403
    own = {"Origin": site.url}
    assert site.client().get("/", headers=own).status_code == 200


def test_what_changes_something_needs_the_pages_own_token(site: Site) -> None:
    assert httpx.post(f"{site.url}/").status_code == 403
    assert site.client().post("/").status_code == 405  # the token is right; nothing to post there


def test_beyond_this_machine_the_key_is_needed(locked: Site) -> None:
    assert httpx.get(locked.url).status_code == 401
    assert httpx.get(f"{locked.url}/?key=wrong").status_code == 401
    assert httpx.get(f"{locked.url}/static/ui.css").status_code == 401
    with locked.client(follow_redirects=True) as client:
        opened = client.get("/?key=a-key-that-is-long&page=2")
        assert opened.status_code == 200 and str(opened.url).endswith("/?page=2")
        assert client.get("/").status_code == 200


@pytest.mark.parametrize("name", ["..", "../other", "a/b", "", "."])
def test_runs_are_those_of_the_folder(tmp_path: Path, name: str) -> None:
    from tesuji.core.errors import DataError

    (tmp_path / "runs").mkdir()
    for folder in (tmp_path, tmp_path / "runs", tmp_path / "other"):
        folder.mkdir(exist_ok=True)
        (folder / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="no run"):
        House(tmp_path / "runs").run(name)


def test_files_of_a_run_are_below_it(tmp_path: Path) -> None:
    from tesuji.core.errors import DataError

    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    for file in (run / "manifest.json", tmp_path / "secret"):
        file.write_text("{}")
    (run / "way-out").symlink_to(tmp_path / "secret")
    house = House(tmp_path / "runs")
    assert house.file("one", "manifest.json").is_file()
    other = tmp_path / "runs" / "other"
    other.mkdir()
    (other / "manifest.json").write_text("{}")
    for path in ("../../secret", "../other/manifest.json", "way-out", str(tmp_path / "secret")):
        with pytest.raises(DataError, match="no such file"):
            house.file("one", path)


def test_a_page_that_is_not_there_says_so_in_a_page(site: Site) -> None:
    answer = site.client().get("/nowhere")
    assert answer.status_code == 404 and "There is no such page." in answer.text


def test_the_first_page_in_a_browser(site: Site, looked_at: Any) -> None:
    looked_at.goto(site.url)
    assert looked_at.title() == "Runs · Tesuji"
    assert fits(looked_at)
    assert serious_findings(looked_at) == []
