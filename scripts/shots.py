"""The pictures of the README: a tiny run is trained, the pages are opened in a browser and kept.

python scripts/shots.py docs/images                 # two minutes of training, then the pictures
python scripts/shots.py docs/images --runs runs     # with runs/tictactoe-tiny as it is
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

RUN = "tictactoe-tiny"
WIDE, PHONE = {"width": 1200, "height": 760}, {"width": 390, "height": 844}
FLAGS = ["--no-sandbox", "--disable-gpu"]


def main() -> None:
    """Train where that is needed, serve, look."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("images", type=Path)
    asked.add_argument("--runs", type=Path)
    arguments = asked.parse_args()
    arguments.images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        runs = arguments.runs or Path(folder)
        if not (runs / RUN / "report.html").is_file():
            tesuji("run", "tictactoe/tiny", "--runs", str(runs))
        if not (runs / RUN / "ladder").is_dir():
            tesuji("ladder", str(runs / RUN), "--opponent", "random", "--episodes", "20")
        with served(runs) as url, sync_playwright() as playwright:
            where = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=where, args=FLAGS)
            take(browser, url, arguments.images)
            browser.close()


def take(browser: Any, url: str, images: Path) -> None:
    """Every picture, by its name."""
    wide = browser.new_page(viewport=WIDE, color_scheme="light")
    for name, address in (("runs", "/"), ("run", f"/runs/{RUN}"), ("ladder", "/ladder")):
        wide.goto(url + address)
        wide.wait_for_load_state("load")
        wide.wait_for_timeout(1000)
        keep(wide, images / f"{name}.png")
    play(wide, url)
    keep(wide, images / "play.png")
    phone = browser.new_page(viewport=PHONE, color_scheme="dark")
    play(phone, url)
    keep(phone, images / "play-phone.png")


def play(page: Page, url: str) -> None:
    """A match against the model, two moves on, with what it thinks."""
    page.goto(f"{url}/play?run={RUN}")
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_url("**/play/*")
    for place in ("at-0-0", "at-2-1"):
        cell = page.locator(f"button#{place}")
        cell.wait_for()
        cell.click()
        page.wait_for_timeout(1500)
    page.get_by_role("button", name="Show thinking").click()
    page.wait_for_timeout(2500)


def keep(page: Page, path: Path) -> None:
    """What is seen of the page, from its top."""
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=path)
    print(path)


def tesuji(*words: str) -> None:
    """One command, to its end."""
    subprocess.run([sys.executable, "-m", "tesuji", *words], check=True)


@contextmanager
def served(runs: Path) -> Iterator[str]:
    """The pages of these runs, while the block runs."""
    command = [sys.executable, "-m", "tesuji", "ui", "--port", "0", "--runs", str(runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = next(word for word in server.stdout.readline().split() if word.startswith("http"))
        time.sleep(0.5)
        try:
            yield url.rstrip("/")
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
