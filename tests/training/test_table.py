"""The table of recipes and the page that explains it."""

from pathlib import Path

import pytest

from wheatstone.cli import main
from wheatstone.training import recipes

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_every_recipe_has_its_own_name():
    assert all(recipe.name == name for name, recipe in recipes.items())


def test_the_page_prints_the_table_as_the_command_does(capsys):
    with pytest.raises(SystemExit) as end:
        main(["train", "list"])
    assert end.value.code == 0
    page = PAGE.read_text()
    for line in capsys.readouterr().out.splitlines():
        assert f"    {line}\n" in page


def test_the_page_says_of_every_recipe_what_it_needs():
    needs = PAGE.read_text().partition("## What each recipe needs")[2].partition("\n## ")[0]
    missing = [name for name in recipes if f"`{name}`" not in needs and not name.endswith("-small")]
    assert not missing


@pytest.mark.parametrize("name", [name for name in recipes if name.endswith("-small")])
def test_a_small_recipe_needs_no_data(name):
    data = recipes[name].data
    assert data.takes("cache")
    assert "without" in data.options or "scenes" in data.options
