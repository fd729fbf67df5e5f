"""Progress as people see it: one line of a terminal, plain lines now and then in a file."""

import collections
import time

import pytest
from rich.progress import ProgressSample, Task
from terminal import lines_of, on_terminal

from tesuji.cli.progress import Bar, in_words, one_line

LONG = "after-preferences against mcts(simulations=100, exploration=1.4), every seat"
DRAWN = f"""
import time
from tesuji.cli.progress import Bar
with Bar() as bar:
    for words, total in (("sft: training", 400), ({LONG!r}, 12_000), ("reading", None)):
        bar.begin(words, total)
        for done in range(1, 6):
            bar.update(done * 37, "loss 0.4123, and a note that is much too long for its place")
            time.sleep(0.03)
        bar.say(f"{{words}}: over")
"""


def task(words: str, total: int | None, done: int, note: str = "", at: float = 12.0) -> Task:
    """Begun at 0, `done` of it at 12 seconds."""
    made = Task(1, words, total, done, _get_time=lambda: at, fields={"note": note})
    made.start_time = 0.0
    if done:
        made._progress = collections.deque([ProgressSample(0, 0), ProgressSample(at, done)])
    return made


@pytest.mark.parametrize("width", [20, 40, 79, 200])
@pytest.mark.parametrize("words", ["sft: training", LONG, "手筋" * 40, "two\nlines\x1b[2A"])
@pytest.mark.parametrize("total", [400, 12_345_678, None])
def test_whatever_there_is_to_say_takes_one_line(width, words, total):
    line = one_line(task(words, total, 120, "loss 0.4123 " * 9), width)
    assert line.cell_len <= width and "\x1b" not in line.plain
    assert width < 79 or "elapsed 0:12" in line.plain


def test_times_are_labelled_and_nothing_is_invented():
    assert one_line(task("sft", 400, 120, "loss 0.412"), 79).plain == (
        "sft ━━━━━━━───────────────── loss 0.412 120/400 elapsed 0:12 / left 0:28"
    )
    assert one_line(task("sft", 400, 0), 79).plain.endswith("0/400 elapsed 0:12")
    assert one_line(task("reading", None, 0), 79).plain == "reading elapsed 0:12"
    slow = in_words(task("sft: training", 400, 2, "loss 0.412", at=62.0))
    assert slow == "sft: training, 2 of 400, loss 0.412, elapsed 1:02 / left 3:25:38"


def test_a_terminal_of_80_columns_never_holds_a_second_line():
    code, written = on_terminal(["-c", DRAWN], columns=80)
    assert code == 0, written
    drawing, shown_again, _ = written.partition("\x1b[?25h")
    assert shown_again and "\x1b[1A" not in drawing, "it goes up where there were two lines"
    drawn = [line for line in lines_of(written) if "elapsed" in line]
    assert len(drawn) > 3 and max(map(len, drawn)) <= 80
    assert any("/400" in line for line in drawn)
    assert "sft: training: over" in lines_of(written)


def test_the_time_left_of_slow_steps_is_told():
    now, bar = [0.0], Bar()
    bar.drawn.get_time = lambda: now[0]
    bar.begin("training", 10)
    for step in range(1, 5):
        now[0] = 45.0 * step
        bar.update(step)
    assert in_words(bar.drawn.tasks[0]) == "training, 4 of 10, elapsed 3:00 / left 4:30"


def test_a_file_gets_a_line_now_and_then(capsys):
    with Bar(every=0.01) as bar:
        bar.begin("sft: training", 400)
        bar.update(120, "loss 0.412")
        said = ""
        for _ in range(500):
            time.sleep(0.02)
            said += capsys.readouterr().out
            if said.count("\n") > 2:
                break
    first = said.splitlines()[0]
    assert first.startswith("sft: training, 120 of 400, loss 0.412, elapsed 0:0")
    assert "\x1b" not in said and said.count("\n") > 2


def test_a_file_gets_nothing_of_work_that_is_over(capsys):
    with Bar(every=0.01) as bar:
        bar.begin("sft: training", 400)
        bar.end()
        time.sleep(0.1)
        bar.say("done")
    assert capsys.readouterr().out == "done\n"
