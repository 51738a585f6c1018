"""The report page: complete, escaped, self-contained, deterministic, small, and honest about damaged samples."""

import base64
import io
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from wheatstone.errors import DatasetError, InputError
from wheatstone.viewing import write_report
from wheatstone.viewing.report.gather import choose, gather, suspicion
from wheatstone.viewing.report.page import render
from wheatstone.viewing.report.sections import heading

PICTURES = ["Left", "Right", "Wiggle", "Anaglyph", "Disparity", "Confidence", "Holes"]


class Outline(HTMLParser):
    """Elements with their attributes, text by element, and whether every element is closed in order."""

    VOID = frozenset({"img", "meta", "input"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements, self.open, self.text = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def test_every_sample_has_its_row_of_pictures_that_decode(page):
    outline = Outline(page)
    assert not outline.open
    names = re.findall(r'class="cell-name">(\w+)<', page)
    assert names == PICTURES * 3
    images = [image for image in outline.all("img") if image.get("src")]
    assert len(images) == len(names)
    for image, name in zip(images, names, strict=True):
        kind, data = image["src"].split(",")
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            picture.load()
            assert kind == f"data:image/{picture.format.lower()};base64"
            assert picture.size == (int(image["width"]), int(image["height"]))
            assert getattr(picture, "n_frames", 1) == (2 if name == "Wiggle" else 1)
        assert image["alt"]


def test_every_row_says_the_focal_length_where_the_photo_told_it(page):
    assert page.count("<dt>focal length</dt><dd>712\u00a0px</dd>") == 3


def test_the_captions_explain_the_colours(page):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    disparity = next(caption for caption in captions if ">Disparity<" in caption)
    assert "2\u00a0px" in disparity
    assert "9\u00a0px" in disparity
    holes = next(caption for caption in captions if ">Holes<" in caption)
    assert re.findall(r"origin-(\d)", holes) == ["2", "3"]  # what occurs in the picture and nothing else
    assert "disocclusion" in holes
    assert "border" in holes


def test_names_and_reasons_are_escaped(page):
    assert "<i>two" not in page
    assert "<b>&" not in page
    text = "".join(Outline(page).text)
    assert "b & <i>two</i> \"'.png" in text
    assert "broken <b>&.jpg" in text
    assert "mean confidence 0.1 is below 0.2" in text


def test_nothing_points_outside_the_folder(page):
    assert not re.search(r"(?:https?:)?//[\w.]", re.sub(r"base64,[\w+/=]+", "", page))
    for tag, attributes in Outline(page).elements:
        for name in ("src", "href", "data-file", "action", "srcset", "poster", "background"):
            if value := attributes.get(name):
                assert value.startswith(("data:image/", "#", "./")), (tag, name, value[:80])


def test_links_lead_to_the_files_whatever_they_are_called(make_dataset, tmp_path):
    key = "c:d/50% é #1?.jpg"
    folder = make_dataset(tmp_path / "set", [key])
    from urllib.parse import unquote

    links = [b["data-file"] for b in Outline(write_report(folder).read_text()).all("button") if b.get("data-file")]
    assert len(links) == 5
    assert all((folder / unquote(link)).is_file() for link in links)


def test_headings_and_controls_are_named(page):
    outline = Outline(page)
    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert outline.all("html")[0]["lang"] == "en"
    assert all("alt" in image for image in outline.all("img"))
    identifiers = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    targets = [a["href"][1:] for a in outline.all("a") if a.get("href", "").startswith("#")]
    assert targets
    assert set(targets) <= set(identifiers)
    for chart in (a for a in outline.all("svg")):
        assert chart["role"] == "img"


def test_policy_allows_this_script_and_style_only(page):
    from hashlib import sha256

    policy = Outline(page).all("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (body,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not any("style" in attributes for _, attributes in Outline(page).elements)


def test_placeholder_depth_is_announced_with_better_choices(page, make_dataset, tmp_path):
    assert "Placeholder depth" in page
    assert "--depth depth-anything-v2-small" in page
    assert "not for commercial use" in page
    parts = {"depth": {"part": "depth-anything-v2-small", "config": {}, "weights_sha256": "cd" * 32}}
    real = write_report(make_dataset(tmp_path / "set", ["one.png"], parts=parts)).read_text()
    assert "laceholder" not in real
    assert "depth-anything-v2-small" in real
    assert "cdcdcdcd" in real


def test_the_same_data_set_gives_the_same_bytes_and_no_stray_files(make_dataset, tmp_path):
    folder = make_dataset(tmp_path / "set", ["one.png", "two.png"])
    before = {path.name for path in folder.iterdir()}
    path = write_report(folder)
    first = path.read_bytes()
    assert write_report(folder).read_bytes() == first
    assert {path.name for path in folder.iterdir()} - before == {"report.html"}


def test_an_unfinished_or_empty_data_set_has_a_page_too(make_dataset, tmp_path):
    unfinished = write_report(make_dataset(tmp_path / "unfinished", ["one.png"], finish=False)).read_text()
    assert "not finished" in unfinished
    empty = write_report(make_dataset(tmp_path / "empty", [])).read_text()
    assert "no sample in this data set" in empty


def test_a_damaged_sample_is_said_to_be_damaged_and_the_others_are_shown(make_dataset, tmp_path):
    folder = make_dataset(tmp_path / "set", ["one.png", "two.png"])
    (folder / "right" / "one.png.png").write_bytes(b"no picture")
    (folder / "disparity" / "two.png.png").unlink()
    page = write_report(folder).read_text()
    assert page.count("cannot be shown") == 2
    write_report(make_dataset(tmp_path / "other", ["one.png", "two.png"]))


def test_rows_stop_at_the_limit_and_suspicious_samples_come_first(make_dataset, tmp_path):
    folder = make_dataset(tmp_path / "set", [f"{number}.png" for number in range(8)], odd="5.png")
    page = write_report(folder, samples=4).read_text()
    rows = re.findall(r"<article class=\"([^\"]*)\"><h3>([^<]*)", page)
    assert len(rows) == 4
    assert rows[0] == ("sample suspicious", "5.png")
    assert "large holes: 60%, the median is 5%" in page
    assert "4 of 8 samples" in page
    none = write_report(folder, samples=0).read_text()
    assert "<article" not in none


def test_a_sample_without_some_maps_has_fewer_cells(make_dataset, tmp_path):
    folder = make_dataset(tmp_path / "set", ["one.png"])
    manifest = folder / "manifest.jsonl"
    line = json.loads(manifest.read_text())
    for product in ("confidence", "origin", "disparity"):
        del line["files"][product]
    line["quality"] = {}
    manifest.write_text(json.dumps(line) + "\n")
    page = write_report(folder).read_text()
    assert re.findall(r'class="cell-name">(\w+)<', page) == PICTURES[:4]
    assert "<svg" not in page


def test_the_page_is_made_of_the_sections_asked_for(make_dataset, tmp_path):
    data = gather(make_dataset(tmp_path / "set", ["one.png"]), 1)
    page = render(data, [heading, lambda data: None])
    assert "<h1>set</h1>" in page
    assert "<h2" not in page


def test_errors(tmp_path):
    with pytest.raises(DatasetError, match=r"no dataset\.json"):
        write_report(tmp_path)
    with pytest.raises(InputError, match="0 or more"):
        write_report(tmp_path, samples=-1)


def test_suspicion_needs_a_distance_that_means_something():
    usual = {str(number): {"hole_share": 0.05, "mean_confidence": 0.8} for number in range(9)}
    assert suspicion({**usual, "x": {"hole_share": 0.06, "mean_confidence": 0.78}}) == {}
    found = suspicion({**usual, "x": {"hole_share": 0.4, "mean_confidence": 0.2}, "good": {"hole_share": 0.0}})
    assert list(found) == ["x"]
    score, reasons = found["x"]
    assert score == pytest.approx((0.8 - 0.2) / 0.03)
    assert reasons == ("large holes: 40%, the median is 5%", "low confidence: 20%, the median is 80%")
    assert suspicion({"a": {"hole_share": 0.0}, "b": {"hole_share": 0.9}}) == {}


def test_choice_is_half_suspicious_then_drawn_and_depends_on_the_seed_alone():
    figures = {f"{number:03}": {"hole_share": 0.05} for number in range(100)}
    for number in range(40, 60):
        figures[f"{number:03}"] = {"hole_share": 0.3 + number / 1000}
    rows, suspicious = choose(figures, 10, seed=1)
    assert suspicious == 20
    assert [key for key, _ in rows[:5]] == ["059", "058", "057", "056", "055"]
    assert all(reasons for _, reasons in rows[:5])
    drawn = [key for key, _ in rows[5:]]
    assert drawn == sorted(set(drawn))
    assert len(drawn) == 5
    assert not {key for key, _ in rows[:5]} & set(drawn)
    shuffled = dict(sorted(figures.items(), key=lambda item: np.sin(int(item[0]))))
    assert choose(shuffled, 10, seed=1)[0] == rows
    assert choose(figures, 10, seed=2)[0] != rows
    everything, _ = choose(figures, 200, seed=1)
    assert len(everything) == 100
    assert [key for key, reasons in everything[20:]] == sorted(set(figures) - {f"{n:03}" for n in range(40, 60)})


def _contrast(first, second):
    """Contrast ratio of two colours `#rrggbb` (WCAG 2, relative luminance)."""

    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        light = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return light @ [0.2126, 0.7152, 0.0722]

    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_enough_contrast_in_both_themes(page, theme):
    root = re.findall(r":root \{(.*?)\}", page, re.S)[theme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", root))
    for ground in ("page", "card"):
        for ink in ("text", "soft", "accent", "red"):
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    assert _contrast(colours["warn-text"], colours["warn-page"]) >= 7


def test_further_views_get_cells_of_their_own(make_dataset, tmp_path):
    folder = make_dataset(tmp_path / "set", ["one.png"])
    manifest = folder / "manifest.jsonl"
    line = json.loads(manifest.read_text())
    for name, baseline in (("middle", 0.5), ("far-left", -1.0)):
        line["baselines"][name] = {"nominal": baseline, "measured": None, "synthetic": False}
        line["files"][f"views/{name}"] = f"views/{name}/one.png.png"
        (folder / "views" / name).mkdir(parents=True)
        (folder / "views" / name / "one.png.png").write_bytes((folder / "left" / "one.png.png").read_bytes())
    manifest.write_text(json.dumps(line) + "\n")
    page = write_report(folder).read_text()
    assert re.findall(r'class="cell-name">([^<]+)<', page) == [*PICTURES, "View at -1", "View at 0.5"]
