"""Runs compared: variants over seeds, what differs, what is more than noise, table and page."""

import json
import random
import re
from pathlib import Path
from statistics import fmean

import pytest
from made_run import make_run
from rich.console import Console
from scipy import stats

from tesuji.cli.main import main
from tesuji.core.errors import DataError
from tesuji.core.files import read_json, write_json, write_text
from tesuji.report.compare.compare import compare
from tesuji.report.compare.figures import higher_is_better
from tesuji.report.compare.noise import Measured, corrected, difference, mean_over_seeds
from tesuji.report.compare.page import write_comparison
from tesuji.report.compare.table import comparison_table


def runs(folder: Path, rates: dict[str, dict[int, int]]) -> list[Path]:
    """A run for each learning rate and seed, which won so many of 20 matches against random."""
    made = []
    for rate, wins in rates.items():
        for seed, won in wins.items():
            run = make_run(folder / f"{rate}-{seed}")
            text = (run / "recipe.yaml").read_text()
            changed = text.replace("seed: 7", f"seed: {seed}").replace("0.02", rate)
            write_text(run / "recipe.yaml", changed.replace("name: made", f"name: {rate}-{seed}"))
            file = run / "stages" / "03-after" / "evaluation.json"
            look = read_json(file)
            row = next(r for r in look["matches"] if r["opponent"] == "random" and not r["seat"])
            row |= {"wins": won, "draws": 20 - won, "losses": 0}
            write_json(file, look)
            made.append(run)
    return made


GOOD = {"0.02": {1: 10, 2: 11, 3: 12, 4: 10}, "0.03": {1: 18, 2: 19, 3: 19, 4: 18}}


def shown(folders: list[Path]) -> str:
    console = Console(width=80, no_color=True)
    with console.capture() as capture:
        console.print(comparison_table(compare(folders)))
    return capture.get()


def row_of(folders: list[Path], name: str):
    return next(row for row in compare(folders).rows if row.name == name)


def test_runs_that_differ_in_their_seed_alone_are_one_variant(tmp_path):
    found = compare(runs(tmp_path, GOOD))
    assert [[run.seed for run in variant.runs] for variant in found.variants] == [list("1234")] * 2
    assert [dict(variant.differs) for variant in found.variants] == [
        {"stages.sft.learning_rate": "0.02"}, {"stages.sft.learning_rate": "0.03"}
    ]  # fmt: skip


def test_a_difference_over_seeds_is_welch_s_and_is_corrected(tmp_path):
    row = row_of(runs(tmp_path, GOOD), "random/win_rate")
    [_, found] = row.differences
    a, b = ([value / 20 for value in seeds.values()] for seeds in GOOD.values())
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval.low == pytest.approx(expected.confidence_interval().low)
    assert found.adjusted is not None and found.adjusted > found.p and found.sure is True
    assert found.by_order == pytest.approx(2 / 70) == pytest.approx(found.least)
    assert row.cells[1].mean == pytest.approx(fmean(b))


def test_the_permutation_test_is_scipy_s():
    draw = random.Random(1)
    a, b = ([Measured(draw.gauss(0, 1)) for _ in range(n)] for n in (5, 6))
    sides = [[one.value for one in some] for some in (b, a)]
    expected = stats.permutation_test(
        sides, lambda x, y: fmean(x) - fmean(y), n_resamples=10_000, vectorized=False
    )
    assert difference(a, b).by_order == pytest.approx(expected.pvalue)


def test_seeds_that_are_alike_are_told_apart_by_nobody(tmp_path):
    noisy = {"0.02": {1: 10, 2: 18, 3: 12}, "0.03": {1: 17, 2: 11, 3: 13}}
    assert row_of(runs(tmp_path, noisy), "random/win_rate").differences[1].sure is False
    assert "3 seeds are few" in shown(sorted(tmp_path.iterdir()))


def test_one_seed_each_is_held_against_its_own_matches_and_said_to_be_one(tmp_path):
    made = runs(tmp_path, {"0.02": {1: 4}, "0.03": {1: 18}})
    found = row_of(made, "random/win_rate").differences[1]
    assert found.p == pytest.approx(stats.fisher_exact([[4, 16], [18, 2]]).pvalue)
    assert 0 < found.interval.low < 0.7 < found.interval.high < 1  # Newcombe 1998, method 10
    text = " ".join(shown(made).split())
    assert "One seed says what this model is worth" in text and "another seed" in text


def test_a_variant_of_one_seed_against_one_of_several_is_not_judged(tmp_path):
    made = runs(tmp_path, {"0.02": {1: 4}, "0.03": {1: 18, 2: 19}})
    assert row_of(made, "random/win_rate").differences[1].sure is None


def test_the_interval_of_a_mean_is_student_s():
    found = mean_over_seeds([1.0, 2.0, 4.0])
    low, high = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem([1.0, 2.0, 4.0]))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_holm_s_correction():
    some = [difference([Measured(0, (k, 40))], [Measured(1, (20, 40))]) for k in (2, 9, 15)]
    p = [one.p for one in some]
    done = [one.adjusted for one in corrected(some)]
    assert done == pytest.approx([3 * p[0], max(3 * p[0], 2 * p[1]), max(2 * p[1], p[2])])


def test_the_table_fits_80_columns_with_two_variants_and_with_many(tmp_path):
    made = runs(tmp_path, GOOD | {"0.04": {1: 3, 2: 4}, "0.05": {1: 2, 2: 3}})
    for some in (made[:8], made):
        lines = shown(some).splitlines()
        assert max(map(len, lines)) <= 80
        assert any("win %" in line and "*" in line for line in lines)
    assert "learning_rate=0.05" in shown(made)


def test_runs_of_different_games_are_refused(tmp_path):
    made = runs(tmp_path, {"0.02": {1: 4, 2: 5}})
    file = made[1] / "stages" / "03-after" / "evaluation.json"
    write_json(file, read_json(file) | {"game": "hex"})
    with pytest.raises(DataError, match="different games"):
        compare(made)


def test_what_is_not_judged_alike_is_told(tmp_path):
    made = runs(tmp_path, {"0.02": {1: 4, 2: 5}})
    text = (made[1] / "recipe.yaml").read_text()
    write_text(made[1] / "recipe.yaml", text + "evaluation: {episodes: 7}\n")
    assert any("not judged alike: evaluation.episodes" in note for note in compare(made).notes)


def test_a_run_that_has_not_come_to_its_evaluation_is_told(tmp_path):
    made = runs(tmp_path, {"0.02": {1: 4, 2: 5}})
    (made[1] / "stages" / "03-after" / "evaluation.json").unlink()
    assert "0.02-2 has no evaluation after training" in compare(made).notes


def test_the_page_holds_itself_and_no_script(tmp_path):
    made = runs(tmp_path, GOOD)
    text = (made[0] / "recipe.yaml").read_text()
    write_text(made[0] / "recipe.yaml", text + "description: <script>alert(1)</script>\n")
    write_comparison(compare(made), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r"<script|(src|href)=.?http|@import|url\([^#]", page)
    assert "more than noise" in page and page.count("<figure>") >= 3 and "stroke" in page
    assert "Welch" in page and 'colspan="3"' in page


def test_the_command_prints_json_and_takes_a_sweep_s_folder(tmp_path, capsys):
    runs(tmp_path, GOOD)
    assert main(["compare", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    row = next(one for one in found["figures"] if one["name"] == "random/win_rate")
    assert row["differences_from_A"]["B"]["more_than_noise"] is True
    assert len(found["variants"][0]["runs"]) == 4
    assert main(["compare", str(tmp_path / "0.02-1")]) == 2
    assert "two runs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "better"),
    [("random/win_rate", True), ("random/loss_rate", False), ("exploitability", False),
     ("certificate/losing_lines", False), ("held_out/perplexity", False), ("eval_loss", False),
     ("minutes", None), ("random/turns", None), ("certificate/holds", True)],
)  # fmt: skip
def test_which_way_is_better(name, better):
    assert higher_is_better(name) is better
