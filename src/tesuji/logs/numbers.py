"""Seats and payments as logs write them: numbers, numbers in texts, and much else."""

from collections.abc import Mapping
from typing import Any

MOST_SEATS = 100
MOST_PAID = 1e9  # in one match; what is larger is no payment but a broken file


def seat_number(value: Any) -> int | None:
    """The seat that `3` or `"3"` names; None for what names none."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value) if isinstance(value, str) or abs(value) < MOST_SEATS else ""
    known = text.isascii() and text.isdigit() and len(text) <= len(str(MOST_SEATS))
    return int(text) if known and int(text) < MOST_SEATS else None


def payment(value: Any) -> float | None:
    """A finite number of a size that a game can pay, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < MOST_PAID else None  # infinite, NaN: never less


def by_seat(value: Any) -> dict[int, Any]:
    """seat → what a mapping (or a list, in the order of the seats) holds for it."""
    if isinstance(value, list):
        return dict(enumerate(value[:MOST_SEATS]))
    if not isinstance(value, Mapping):
        return {}
    seats = {seat_number(key): item for key, item in value.items()}
    return {seat: item for seat, item in seats.items() if seat is not None}


def payments(value: Any) -> dict[int, float]:
    """seat → what it was paid, for the seats of which that is known."""
    amounts = {seat: payment(item) for seat, item in by_seat(value).items()}
    return {seat: paid for seat, paid in amounts.items() if paid is not None}
