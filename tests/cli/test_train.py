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
