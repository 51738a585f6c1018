"""The verb `train`: the table, bad calls."""

import pytest

from wheatstone.cli import main
from wheatstone.training import recipes


def call(*arguments):
    with pytest.raises(SystemExit) as end:
        main(["train", *arguments])
    return end.value.code


def test_list_shows_every_recipe(capsys):
    assert call("list") == 0
    shown = capsys.readouterr().out
    assert all(f"{name} " in shown for name in recipes)


def test_bad_calls_say_what_is_wrong(capsys, tmp_path):
    assert call("embedded-depth") == 2
    assert "OUT is missing" in capsys.readouterr().err
    assert call("no-such", str(tmp_path / "out")) == 2
    assert "unknown recipe 'no-such'" in capsys.readouterr().err
    assert call("embedded-depth", str(tmp_path / "out"), "--precision", "fp8") == 2
    assert "unknown precision 'fp8'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--threads", "0"), "--threads must be at least 1"),
        (("--workers", "-1"), "--workers must not be negative"),
        (("--steps", "0"), "steps of a recipe must be at least 1, got 0"),
        (("--batch", "0"), "batch of a recipe must be at least 1"),
        (("--accumulate", "0"), "accumulate of a recipe must be at least 1"),
        (("--evaluate-every", "0"), "evaluate_every of a recipe must be at least 1"),
        (("--set", "save_every=0"), "save_every of a recipe must be at least 1"),
        (("--device", "abacus"), "training cannot run on the device 'abacus' here: use one of cpu, auto"),
        (("--set", "optimiser.lr=-1"), "optimiser.lr must be 0 or more, got -1"),
        (("--set", "optimiser.betas=0.9,1.5"), "optimiser.betas lie from 0 to below 1"),
    ],
)
def test_numbers_that_mean_nothing_are_refused_before_anything_is_written(capsys, tmp_path, options, message):
    assert call("embedded-filler", str(tmp_path / "out"), *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_data_given_as_the_folder_of_the_run_is_told(capsys, tmp_path):
    (tmp_path / "dataset.json").write_text("{}")
    assert call("raft-supervised-small", str(tmp_path)) == 2
    assert "is a data set; name it with --data" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]
