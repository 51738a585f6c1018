import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from wheatstone.depth import load_depth
from wheatstone.evaluation import (
    DepthProtocol,
    Gallery,
    MatcherProtocol,
    SynthesisProtocol,
    evaluate,
    write_page,
)
from wheatstone.geometry import forward_warp
from wheatstone.matching import load_matcher
from wheatstone.samples import StereoSample
from wheatstone.synthesis import load_synthesizer


def _sample(key, seed=0, size=(40, 80)):
    generator = torch.Generator().manual_seed(seed)
    disparity = torch.full((1, *size), 3.0)
    disparity[:, 10:30, 30:60] = 9
    left = torch.rand((3, *size), generator=generator)
    warp = forward_warp(left[None], disparity[None])
    return StereoSample(
        key=key,
        views={"left": left, "right": warp.image[0].clamp(0, 1)},
        baselines={"left": 0.0, "right": 1.0},
        disparity=disparity,
        visible=warp.visible[0],
    )


def _page(tmp_path, part, protocol, samples, **options):
    gallery = Gallery(protocol, width=64, **options)
    report = evaluate(part, samples, protocol=protocol, watch=gallery)
    return write_page(tmp_path / "out" / "page.html", report, gallery).read_text(), report


def _pictures(text):
    for data in re.findall(r'src="data:image/webp;base64,([^"]+)"', text):
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            yield np.asarray(picture.convert("RGB"))


def test_the_page_of_a_matcher_shows_the_worst_first_and_every_item(tmp_path):
    samples = [_sample(f"pair-{n}", n) for n in range(6)]
    text, report = _page(tmp_path, load_matcher("sgbm"), MatcherProtocol(), samples, limit=2)
    order = sorted(report.items, key=lambda item: -report.values("sgbm", "bad_2")[item])
    assert re.findall(r'<article class="sample"><h3>([^<]+)</h3>', text) == order[:2]
    assert re.findall(r'<th scope="row">(pair-\d)</th>', text) == order
    assert len(list(_pictures(text))) == 2 * 6  # left, truth, answer, error, right, regions
    assert all(picture.shape == (32, 64, 3) for picture in _pictures(text))
    for words in ("Occluded pixels: mean over 6 items", "within 5 px of a step", "to 0.125", "more than 32"):
        assert words.lower() in text.lower()


def test_the_page_fetches_nothing_and_escapes_names(tmp_path):
    text, _ = _page(tmp_path, load_matcher("sgbm"), MatcherProtocol(), [_sample("<b>&")])
    assert not re.search("https?:", text)
    assert "<b>&</h3>" not in text
    assert "&lt;b&gt;&amp;" in text


def test_the_error_map_is_blue_where_right_and_red_where_wrong(tmp_path):
    text, _ = _page(
        tmp_path, load_matcher("sgbm", min_disparity=16, max_disparity=32), MatcherProtocol(), [_sample("far")]
    )
    error = list(_pictures(text))[3].astype(int)
    assert (error[..., 0] > error[..., 2]).mean() > 0.9  # an answer of 16 px or more is wrong everywhere
    text, _ = _page(tmp_path, load_matcher("sgbm", max_disparity=16), MatcherProtocol(), [_sample("near")])
    error = list(_pictures(text))[3].astype(int)
    assert (error[..., 2] > error[..., 0]).mean() > 0.6


@pytest.mark.parametrize(
    ("part", "protocol", "pictures"),
    [
        (lambda: load_depth("row-prior"), DepthProtocol(), 4),
        (lambda: load_synthesizer("rows"), SynthesisProtocol(), 8),
    ],
    ids=["depth", "synthesizer"],
)
def test_other_kinds_of_parts_have_a_page_too(tmp_path, part, protocol, pictures):
    text, report = _page(tmp_path, part(), protocol, [_sample("one")])
    assert len(list(_pictures(text))) == pictures
    assert report.title.split(" ", 1)[1] in text


def test_regions_are_explained_only_where_some_are_shown(tmp_path):
    known = _sample("known")
    flat = replace(known, disparity=torch.full((1, 40, 80), 3.0), visible=None, key="flat")
    for sample, shown in ((known, True), (flat, False)):
        text, _ = _page(tmp_path, load_matcher("sgbm", max_disparity=16), MatcherProtocol(), [sample])
        assert ("seen by the left view alone" in text) is shown


def test_a_page_without_pictures_still_has_all_figures(tmp_path):
    text, _ = _page(tmp_path, load_matcher("sgbm"), MatcherProtocol(), [_sample("one")], limit=0)
    assert not list(_pictures(text))
    assert '<th scope="row">one</th>' in text
