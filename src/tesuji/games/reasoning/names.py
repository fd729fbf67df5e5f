"""The procedural tasks of reasoning-gym 0.1.25 by area, listed without the seconds that importing
the library takes; a test compares `areas.yaml` with the library's own."""

from collections.abc import Mapping

from tesuji.core.files import read_beside

PREFIX = "rg_"
AREA_OF: Mapping[str, str] = {
    task: area
    for area, tasks in read_beside(__file__, "areas.yaml").items()
    for task in tasks.split()
}
UNAVAILABLE: Mapping[str, str] = {
    "composite": "a mixture of other tasks: name those under `play.games` instead",
}
