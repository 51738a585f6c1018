"""Counts become rates and times left."""

from wheatstone.progress import Clock


def test_items_of_an_earlier_run_do_not_count_in_the_rate():
    clock = Clock("generate", total=10, already_done=4)
    clock.started -= 2.0
    state = clock.at(6, "cat.jpg")
    assert (state.done, state.total, state.note) == (6, 10, "cat.jpg")
    assert abs(state.rate - 1.0) < 0.05
    assert abs(state.seconds_left - 4.0) < 0.2


def test_nothing_done_has_no_rate():
    state = Clock("generate", total=3).at(0)
    assert state.rate is None
    assert state.seconds_left is None
