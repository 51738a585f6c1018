"""The greeting page of the demo: pictures of every sample, links that lead somewhere, no address outside."""

import re
from urllib.parse import unquote

import pytest

from wheatstone.errors import DatasetError
from wheatstone.viewing import write_report, write_welcome


@pytest.fixture
def welcome(make_dataset, tmp_path):
    for name in ("photos", "scenes"):
        write_report(make_dataset(tmp_path / name, [f"{name}-1.png", f"{name} <2>.png"]))
    return write_welcome(
        tmp_path, {"photos": ("Photos & more", "About photos."), "scenes": ("Scenes", "About scenes.")}
    )


def test_every_sample_is_shown_and_every_link_leads_to_a_file(welcome):
    page = welcome.read_text()
    assert welcome.name == "report.html"
    assert re.findall(r'class="cell-name">(\w+)<', page) == ["Left", "Wiggle", "Anaglyph", "Disparity"] * 4
    links = re.findall(r'(?:data-file|href)="(\./[^"]+)"', page)
    assert {"./photos/report.html", "./scenes/report.html"} <= set(links)
    assert len(links) == 2 + 2 * 4
    assert all((welcome.parent / unquote(link)).is_file() for link in links)
    assert not re.search(r"(?:https?:)?//[\w.]", re.sub(r"base64,[\w+/=]+", "", page))


def test_it_is_escaped_says_what_the_depth_is_and_what_to_do_next(welcome):
    page = welcome.read_text()
    assert "Photos &amp; more" in page
    assert "photos &lt;2&gt;.png" in page
    assert "Placeholder depth" in page
    assert "--depth depth-anything-v2-small" in page
    assert "wheatstone generate my-photos/ my-pairs/" in page
    assert f"wheatstone verify {welcome.parent / 'photos'}" in page


def test_a_missing_data_set_is_an_error(tmp_path):
    with pytest.raises(DatasetError):
        write_welcome(tmp_path, {"photos": ("Photos", "")})
