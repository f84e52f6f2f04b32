"""The one line of a run."""

import io

import pytest

from srdistill.study.run_line import Expected, RunLine, in_words


@pytest.fixture
def line() -> RunLine:
    expected = {"a": Expected("net", 10.0), "b": Expected("net", 10.0), "c": Expected("set", None), "d": Expected("set", None)}
    return RunLine(3, expected, workers=2, out=io.StringIO())


def finished(key: str, seconds: float, fresh: bool = True) -> dict:
    return {"event": "finished", "key": key, "task": key, "fresh": fresh, "seconds": seconds}


def test_tasks_done_of_all_and_what_runs_now(line):
    line.hear({"event": "started", "key": "a", "task": "SRCNN on noise, seed 0"})
    line.hear({"event": "step", "label": "x", "key": "a", "task": "SRCNN on noise, seed 0", "done": 20, "total": 400})
    assert "0 of 3 notebooks, 0 of 4 tasks" in line.text()
    assert "now SRCNN on noise, seed 0 20/400" in line.text()
    line.hear(finished("a", 4.0))
    assert "1 of 4 tasks" in line.text()
    assert "; now" not in line.text()


def test_time_left_is_from_this_run_where_it_knows_and_else_from_before(line):
    assert line.seconds_left() == (20.0 + 2 * 10.0) / 2
    line.hear(finished("a", 4.0))
    line.hear(finished("c", 2.0))
    assert line.seconds_left() == (4.0 + 2.0) / 2


def test_time_left_is_not_known_if_most_is_not():
    line = RunLine(1, {key: Expected("x") for key in "ab"}, 1, io.StringIO())
    assert line.seconds_left() is None
    assert "time left not known yet" in line.text()


def test_what_was_there_already_counts_as_done_but_not_as_time(line):
    line.hear(finished("c", 99.0, fresh=False))
    assert line.done == 1
    assert line.seconds_left() == (20.0 + 10.0) / 2


def test_tasks_of_other_runs_do_not_count(line):
    line.hear(finished("somebody else's", 1.0))
    assert line.done == 0


def test_messages_stay(line):
    line.say("01 FAILED")
    assert line.out.getvalue() == "01 FAILED\n"


@pytest.mark.parametrize(("seconds", "words"), [(12, "12 s"), (61, "1 min"), (3599, "1 h 00 min"), (200_000, "2 days 7 h")])
def test_in_words(seconds, words):
    assert in_words(seconds) == words
