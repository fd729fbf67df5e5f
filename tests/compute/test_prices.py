"""What a machine costs an hour: the table's arithmetic, its days, and live prices before it."""

import datetime

import pytest

from tesuji.compute.base import Price, Wish
from tesuji.compute.costs.prices import price_of, table_price, words_of
from tesuji.core.errors import ComputeError


def test_modal_bills_gpus_cores_and_memory_apart():
    wish = Wish("modal", "A100-40GB", 2, cpus=8, memory_gb=64)
    assert table_price(wish).dollars_per_hour == pytest.approx(2 * 2.10 + 8 * 0.047 + 64 * 0.008)
    assert table_price(Wish("modal", "A100-40GB", 2)).dollars_per_hour > 4.20
    kept = Wish("modal", "T4", cpus=1, memory_gb=1, options={"nonpreemptible": "true"})
    assert table_price(kept).dollars_per_hour == pytest.approx(3 * (0.59 + 0.047 + 0.008))
    read = Wish("modal", cpus=4, memory_gb=16, readers=8)
    assert table_price(read).dollars_per_hour == pytest.approx(12 * 0.047 + 32 * 0.008)
    either = Wish("modal", "T4", cpus=1, memory_gb=1, options={"nonpreemptible": "false"})
    assert table_price(either).dollars_per_hour == pytest.approx(0.59 + 0.047 + 0.008)


@pytest.mark.parametrize(
    ("gpu", "cloud", "dollars"),
    [("NVIDIA A40", "SECURE", 0.44), ("NVIDIA H100 80GB HBM3", "SECURE", 3.99),
     ("NVIDIA H100 80GB HBM3", "COMMUNITY", 2.69), ("NVIDIA H100 PCIe", "SECURE", 2.89),
     ("NVIDIA A100-SXM4-80GB", "community", 1.39), ("A100-80GB", "SECURE", 1.79)],
)  # fmt: skip
def test_runpod_is_asked_by_its_own_names_and_by_ours(gpu, cloud, dollars):
    price = table_price(Wish("runpod", gpu, 2, options={"cloud": cloud}))
    assert price.dollars_per_hour == pytest.approx(2 * dollars)


@pytest.mark.parametrize(
    ("wish", "message"),
    [(Wish("modal", "A101"), "A100"), (Wish("runpod", "NVIDIA A40", options={"cloud": "COMMUNITY"}),
      "known: H100"), (Wish("cloudy", "T4"), "modal, runpod")],
)  # fmt: skip
def test_what_has_no_price_is_told(wish, message):
    with pytest.raises(ComputeError) as error:
        table_price(wish)
    assert message in str(error.value)


def test_a_live_price_is_taken_first_and_the_table_where_there_is_none():
    wish = Wish("modal", "T4")
    live = price_of(wish, lambda asked: Price(1.0, "live"))
    assert live == Price(1.0, "live")

    def refused(asked: Wish) -> Price:
        raise ComputeError("no key")

    assert price_of(wish, refused) == table_price(wish)


def test_an_old_price_is_told_and_one_without_a_day_too():
    price = Price(2.1, "table", "2026-07-01")
    assert "152 days old" in words_of(price, datetime.date(2026, 11, 30))
    assert "old" not in words_of(price, datetime.date(2026, 8, 30))
    assert "nobody noted" in words_of(table_price(Wish("runpod", "RTX-4090")))
    assert words_of(Price(2.0, "live")) == "$2.00 an hour, as its owner says now"
    assert "yours" in words_of(table_price(Wish("ssh:me@there", "A40")))
