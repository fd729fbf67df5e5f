"""Wrong things by hand. A line is (name, what fills the folder and gives the words, what must stand
in the answer[, whether it can be known only while running])."""

from typing import Any

LISTS: list[Any] = []
