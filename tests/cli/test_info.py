import json
import tomllib
from pathlib import Path

import pytest

from wheatstone.checkpoints import MODELS
from wheatstone.cli import main
from wheatstone.cli.info import EXTRAS


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        main(["info", *arguments])
    assert exit_.value.code == 0
    return capsys.readouterr().out


def test_json_holds_every_model_with_its_licence(capsys):
    found = json.loads(run(capsys, "--json"))
    assert found["versions"]["torch"].startswith("2.")
    assert [row["name"] for row in found["models"]] == list(MODELS)
    assert all(row["licence"] for row in found["models"])
    large = next(row for row in found["models"] if row["name"] == "depth-anything-v2-large")
    assert (large["licence"], large["commercial"]) == ("CC-BY-NC-4.0", False)


def test_page_for_people(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("WHEATSTONE_MIRROR_STEREOGEN", "/weights/stereogen")
    text = run(capsys)
    for part in ("depth-anything-v2-large", "CC-BY-NC-4.0", "wheatstone[", "mirror: /weights/stereogen", "Device: "):
        assert part in text


def test_missing_extra_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setattr("wheatstone.cli.info.find_spec", lambda name: None)
    found = json.loads(run(capsys, "--json"))
    assert all(row["missing"] for row in found["extras"])
    assert {row["install"] for row in found["extras"]} >= {"pip install 'wheatstone[scenes]'"}


def test_every_extra_of_the_package_is_explained():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"]) - {"dev", "docs"}


def test_table_of_the_documentation_is_what_the_command_prints(capsys):
    page = (Path(__file__).parents[2] / "docs" / "info.md").read_text().splitlines()
    printed = run(capsys, "--markdown").splitlines()
    fixed = [line for line in printed if "ships with the package" not in line]  # their size changes with every training
    assert [line for line in fixed if line not in page] == []
