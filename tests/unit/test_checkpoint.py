"""Checkpoints that cannot be used are said so, never believed and never executed."""

import os
import pickle

import pytest
import torch

from srdistill.networks import build_network
from srdistill.training import resumable
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.recipe import Recipe
from srdistill.training.sr import train


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path / "deep" / "run.pt", "identity", 5)


STATE = {"step": 3, "weight": torch.arange(4.0), "history": [0.1, 0.2], "nested": {0: torch.ones(1, dtype=torch.uint8)}}


def run(pictures, checkpoint=None):
    network = build_network("SRCNN", 2, 0, kernels=(3, 1, 3), widths=(4, 4))
    recipe = Recipe(iterations=12, batch=2, patch=12, ema=0.9)
    network, history = train(network, pictures.images, recipe, scale=2, seed=0, checkpoint=checkpoint)
    return torch.nn.utils.parameters_to_vector(network.parameters()), history


@pytest.fixture
def interrupted(pictures, checkpoint, interrupt):
    """A training run stopped at step 8, its checkpoint from step 5 left behind."""
    interrupt(resumable, 8)
    with pytest.raises(KeyboardInterrupt):
        run(pictures, checkpoint)
    interrupt(resumable, None)
    return checkpoint


def assert_restarts(pictures, checkpoint, reason):
    whole = run(pictures)
    with pytest.warns(UserWarning, match=f"checkpoint run.pt is not used: {reason}.*starting from the beginning"):
        again = run(pictures, checkpoint)
    assert torch.equal(whole[0], again[0]) and whole[1] == again[1]


def test_what_was_saved_is_loaded(checkpoint):
    assert checkpoint.load() is None
    checkpoint.save(STATE)
    loaded = checkpoint.load()
    assert loaded["step"] == 3 and loaded["history"] == [0.1, 0.2]
    assert torch.equal(loaded["weight"], STATE["weight"]) and torch.equal(loaded["nested"][0], STATE["nested"][0])
    assert os.listdir(checkpoint.path.parent) == ["run.pt"]


def test_clear_removes_it_and_may_be_repeated(checkpoint):
    checkpoint.save(STATE)
    checkpoint.clear()
    checkpoint.clear()
    assert not checkpoint.path.exists()


def test_due_every_so_many_steps(checkpoint):
    assert [step for step in range(1, 16) if checkpoint.due(step)] == [5, 10, 15]


def test_checkpoint_of_other_work_is_not_resumed(pictures, interrupted):
    other = Checkpoint(interrupted.path, "other identity", 5)
    assert_restarts(pictures, other, "it belongs to other settings")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_checkpoint_is_not_resumed(pictures, interrupted, share):
    whole = interrupted.path.read_bytes()
    interrupted.path.write_bytes(whole[: int(share * len(whole))])
    assert_restarts(pictures, interrupted, "it is damaged")


def test_something_else_in_its_place_is_not_resumed(pictures, interrupted):
    interrupted.path.write_text("no checkpoint")
    assert_restarts(pictures, interrupted, "it is damaged")


def test_checkpoint_without_a_state_is_not_resumed(pictures, interrupted):
    torch.save({"identity": "identity"}, interrupted.path)
    assert_restarts(pictures, interrupted, "it is damaged")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("save", [torch.save, lambda state, path: path.write_bytes(pickle.dumps(state))])
def test_code_in_a_checkpoint_is_not_executed(pictures, interrupted, tmp_path, save):
    marker = tmp_path / "executed"

    class Code:
        def __reduce__(self):
            return os.system, (f"touch '{marker}'",)

    save({"identity": "identity", "state": Code()}, interrupted.path)
    assert_restarts(pictures, interrupted, "it is damaged")
    assert not marker.exists()


def test_failed_save_leaves_the_old_checkpoint(checkpoint):
    checkpoint.save(STATE)
    with pytest.raises(Exception, match="pickle"):
        checkpoint.save({"step": lambda: 0})
    assert checkpoint.load()["step"] == 3
    assert os.listdir(checkpoint.path.parent) == ["run.pt"]
