"""The pages of `tesuji ui`, served for real."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from axe_playwright_python.sync_playwright import Axe
from served import served

from tesuji.serve.ui.app import make_app
from tesuji.serve.ui.house import House
from tesuji.serve.ui.server import Server


@dataclass(frozen=True)
class Site:
    """A running server: its address and its own things."""

    url: str
    house: House

    def client(self, **more: Any) -> httpx.Client:
        """Talks to it as its own pages do."""
        headers = {"X-CSRF-Token": self.house.csrf}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, **more)


@contextmanager
def open_site(house: House) -> Iterator[Site]:
    """The site, while it runs; then all that it started is ended."""
    with served(make_app(house), lambda config: Server(config, house)) as url:
        yield Site(url, house)


def fits(page: Any) -> bool:
    """Whether nothing has to be scrolled sideways to be seen."""
    root = "document.documentElement"
    return bool(page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"))


def serious_findings(page: Any) -> list[str]:
    """What axe-core finds serious or critical on the open page, a line a rule."""
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'] for node in rule['nodes'][:3]]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
