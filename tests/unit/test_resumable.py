"""The loop of every long computation: its steps, resuming, phases one after another, and the seconds of all attempts."""

import time

import pytest
import torch

from srdistill.seeds import generator_for
from srdistill.training import resumable as module
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.resumable import resumable

STEPS = 11


class Walk:
    """A sum of random numbers, one a step, in an order that matters; the steps that were done."""

    def __init__(self, seed=0):
        self.seed, self.place, self.done = seed, torch.ones(3), []

    def step(self, step):
        self.place = 0.9 * self.place + torch.randn(3, generator=generator_for(self.seed, "walk", step))
        self.done.append(step)

    def state(self):
        return {"place": self.place}

    def restore(self, state):
        self.place = state["place"]


def walk(checkpoint=None, steps=STEPS, keep=False, seed=0):
    one = Walk(seed)
    for step in resumable(steps, "walking", checkpoint, one.state, one.restore, keep=keep):
        one.step(step)
    return one


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path / "walk.pt", "a walk", every=3)


def files(checkpoint):
    return sorted(path.name for path in checkpoint.path.parent.iterdir())


def stopped(interrupt, at, work):
    """``work()`` until it is interrupted before step ``at``."""
    interrupt(module, at)
    with pytest.raises(KeyboardInterrupt):
        work()
    interrupt(module, None)


@pytest.mark.parametrize("saved", [False, True])
def test_a_fresh_run_does_every_step_once_and_leaves_nothing(checkpoint, saved):
    one = walk(checkpoint if saved else None)
    plain = Walk()
    for step in range(STEPS):
        plain.step(step)
    assert one.done == list(range(STEPS)) and torch.equal(one.place, plain.place)
    assert files(checkpoint) == []


def test_no_steps_are_no_steps(checkpoint):
    assert walk(checkpoint, steps=0).done == [] and files(checkpoint) == []


@pytest.mark.parametrize(("at", "first"), [(2, 0), (3, 3), (8, 6), (10, 9)])
def test_resumed_goes_on_from_the_last_save_and_ends_where_uninterrupted_does(checkpoint, interrupt, at, first):
    stopped(interrupt, at, lambda: walk(checkpoint))
    assert files(checkpoint) == (["walk.pt"] if first else [])
    resumed = walk(checkpoint)
    assert resumed.done == list(range(first, STEPS))
    assert torch.equal(resumed.place, walk().place)
    assert files(checkpoint) == []


def test_interrupted_again_and_again_it_ends_the_same(checkpoint, interrupt):
    for at in (4, 5, 7, 10):
        stopped(interrupt, at, lambda: walk(checkpoint))
    assert torch.equal(walk(checkpoint).place, walk().place)


def test_an_error_in_a_step_leaves_the_last_save(checkpoint):
    one = Walk()
    with pytest.raises(ZeroDivisionError):
        for step in resumable(STEPS, "walking", checkpoint, one.state, one.restore):
            one.step(step)
            1 / (7 - step)
    assert walk(checkpoint).done == list(range(6, STEPS))


def test_the_state_is_asked_for_after_the_step_that_is_saved(checkpoint, interrupt):
    stopped(interrupt, 4, lambda: walk(checkpoint))
    plain = walk(steps=3)
    assert checkpoint.load()["step"] == 3 and torch.equal(checkpoint.load()["state"]["place"], plain.place)


def test_the_bar_shows_all_steps_and_where_it_began(checkpoint, interrupt, monkeypatch):
    stopped(interrupt, 7, lambda: walk(checkpoint))
    shown = []

    def bar(items, label, total=None, initial=0):
        shown.append((label, total, initial))
        return iter(items)

    monkeypatch.setattr(module, "bar", bar)
    walk(checkpoint)
    assert shown == [("walking", STEPS, 6)]


# --- Phases.


def phases(checkpoint=None):
    """Two walks, the second one longer; both, and the steps that each did in this attempt."""
    part = checkpoint.part("first") if checkpoint else None
    first = walk(part, steps=5, keep=True, seed=1)
    second = walk(checkpoint, steps=8, seed=2)
    return first, second


def test_a_phase_that_is_kept_is_not_done_again(checkpoint, interrupt):
    whole = phases()
    stopped(interrupt, 7, lambda: phases(checkpoint))  # the first has no step 7
    assert files(checkpoint) == ["walk.pt", "walk.pt.first"]
    resumed = phases(checkpoint)
    assert resumed[0].done == [] and resumed[1].done == [6, 7]
    assert all(torch.equal(one.place, other.place) for one, other in zip(resumed, whole, strict=True))
    # The last phase clears the parts with the rest.
    assert files(checkpoint) == []


def test_interrupted_in_the_first_phase_only_that_one_is_resumed(checkpoint, interrupt):
    whole = phases()
    stopped(interrupt, 4, lambda: phases(checkpoint))
    assert files(checkpoint) == ["walk.pt.first"]
    resumed = phases(checkpoint)
    assert resumed[0].done == [3, 4] and resumed[1].done == list(range(8))
    assert all(torch.equal(one.place, other.place) for one, other in zip(resumed, whole, strict=True))


def test_a_kept_phase_is_saved_at_its_end_even_between_two_saves(checkpoint):
    walk(checkpoint.part("first"), steps=5, keep=True)
    assert checkpoint.part("first").load()["step"] == 5


def test_clear_takes_the_parts_of_this_work_and_no_other(checkpoint):
    other = Checkpoint(checkpoint.path.with_name("walk.pt2"), "another", every=3)
    for one in (checkpoint, checkpoint.part("first"), checkpoint.part("second"), other):
        one.save({"step": 1})
    assert files(checkpoint) == ["walk.pt", "walk.pt.first", "walk.pt.second", "walk.pt2"]
    checkpoint.clear()
    assert files(checkpoint) == ["walk.pt2"]


def test_a_part_belongs_to_the_same_work(checkpoint):
    checkpoint.part("first").save({"step": 1})
    stranger = Checkpoint(checkpoint.path, "another walk", every=3)
    with pytest.warns(UserWarning, match="walk.pt.first is not used: it belongs to other settings"):
        assert stranger.part("first").load() is None
    assert checkpoint.part("first").every == checkpoint.every


# --- Seconds.


def test_seconds_add_up_over_attempts(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def attempt():
        return Checkpoint(tmp_path / "walk.pt", "a walk", every=3)

    def take(checkpoint, until):
        one = Walk()
        for step in resumable(STEPS, "walking", checkpoint, one.state, one.restore):
            if step == until:
                raise KeyboardInterrupt
            now[0] += 2.0
            one.step(step)

    first = attempt()
    with pytest.raises(KeyboardInterrupt):
        take(first, 4)
    assert first.seconds == 8.0
    now[0] += 1000.0  # nobody was at it
    second = attempt()
    assert second.seconds == 0.0
    with pytest.raises(KeyboardInterrupt):
        take(second, 7)
    # Three steps until the first save, and four more: the step after the save was lost, and is not counted twice.
    assert second.seconds == 6.0 + 8.0
    third = attempt()
    take(third, None)
    assert third.seconds == 2.0 * STEPS


# --- What cannot be used.


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", None], ids=["empty", "text", "cut"])
def test_a_damaged_checkpoint_is_a_fresh_run(checkpoint, interrupt, damage):
    stopped(interrupt, 8, lambda: walk(checkpoint))
    content = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    with pytest.warns(UserWarning, match="walk.pt is not used: it is damaged.*starting from the beginning"):
        again = walk(checkpoint)
    assert again.done == list(range(STEPS)) and torch.equal(again.place, walk().place)
    assert files(checkpoint) == []


def test_a_checkpoint_of_other_work_is_a_fresh_run(checkpoint, interrupt):
    stopped(interrupt, 8, lambda: walk(checkpoint))
    with pytest.warns(UserWarning, match="it belongs to other settings"):
        assert walk(Checkpoint(checkpoint.path, "another walk", every=3)).done == list(range(STEPS))
