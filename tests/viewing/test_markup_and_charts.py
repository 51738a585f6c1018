"""The pieces of the page: escaping by construction, round ticks, histograms that count right."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheatstone.viewing.report.charts import NO_BREAK, histogram, nice_ticks, percent, pixels, quantiles, short
from wheatstone.viewing.report.markup import Markup, element, join, relative_address, text


def test_text_is_escaped_and_markup_is_not():
    assert element("p", "1 < 2 & 'x'", element("b", "!"), class_='a"b') == (
        '<p class="a&quot;b">1 &lt; 2 &amp; &#x27;x&#x27;<b>!</b></p>'
    )
    assert element("img", src="a", hidden=True, alt=None, aria_label="x") == '<img src="a" hidden aria-label="x">'
    assert join(["<", Markup("<br>")], " & ") == "&lt; &amp; <br>"
    assert text(3) == "3"


@given(st.text())
def test_no_text_opens_an_element_or_leaves_its_attribute(value):
    made = element("p", value, title=value)
    assert made.count("<") == 2
    assert made.count('"') == 2


@pytest.mark.parametrize("path", ["//host/a", "javascript:x", "http://host/", "../up", "a b%/ü#?.png"])
def test_a_relative_address_stays_relative(path):
    address = relative_address(path)
    assert address.startswith("./")
    assert not re.search(r"[\s#?\"<>:]", address)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_inside_and_few_and_evenly_spaced(low, span):
    ticks = nice_ticks(low, low + span, 5)
    assert 1 <= len(ticks) <= 7
    assert ticks[0] >= low - span * 1e-6
    assert ticks[-1] <= low + span * (1 + 1e-6)
    steps = np.diff(ticks)
    assert np.allclose(steps, steps[:1] if len(steps) else 0, rtol=1e-3)


def test_ticks_of_nothing():
    assert nice_ticks(3.0, 3.0) == [3]
    assert nice_ticks(0.0, 1.0, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0"), (1234.5, "1234"), (12.345, "12.3"), (0.5, "0.5"), (0.001234, "0.00123"), (100.0, "100")],
)
def test_short_numbers(value, words):
    assert short(value) == words


def test_units():
    assert percent(0.1234) == f"12.3{NO_BREAK}%"
    assert percent(1.0) == f"100{NO_BREAK}%"
    assert pixels(9.96) == f"10{NO_BREAK}px"
    assert pixels(1 / 256) == f"0{NO_BREAK}px"
    assert pixels(-3.25) == f"-3.2{NO_BREAK}px"


def test_histogram_bars_are_as_high_as_their_counts():
    drawing = histogram(
        np.array([0.5, 0.5, 0.5, 1.5, 9.5, np.nan]), title="T", label="x", count_label="samples", bins=10
    )
    bars = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="[\d.]+" height="([\d.]+)"><title>([^<]*)', drawing)
    assert [title for _, _, title in bars] == ["0 to 1 : 3 samples", "1 to 2 : 1 samples", "9 to 10 : 1 samples"]
    heights = [float(height) for _, height, _ in bars]
    assert heights[0] == pytest.approx(3 * heights[1], abs=0.2)
    assert float(bars[2][0]) > float(bars[1][0]) > float(bars[0][0])
    assert "Median 0.5; nine in ten lie between 0.5 and 9.5." in drawing


def test_weighted_histogram_shows_shares_and_weighted_figures():
    values, weights = np.array([1.0, 1.0, 1.0, 5.0]), np.array([1.0, 1.0, 1.0, 9.0])
    drawing = histogram(values, title="T", label="x", count_label="pixels, %", unit="px", weights=weights, bins=5)
    assert "4 to 5 px: 75 pixels, %" in drawing
    assert f"Median 5{NO_BREAK}px" in drawing


@pytest.mark.parametrize("values", [[], [np.nan]])
def test_histogram_of_nothing_says_so(values):
    assert "no figures" in histogram(np.array(values), title="T", label="x", count_label="samples")


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [-3.0, 4.0], [1e-7], [1e7, 2e7]])
def test_histogram_of_odd_ranges_draws(values):
    drawing = histogram(np.array(values), title="T", label="x", count_label="samples")
    assert "<rect" in drawing
    assert "nan" not in drawing
    assert "inf" not in drawing


def test_quantiles_are_numbers_of_the_set_and_follow_the_weights():
    values = np.array([4.0, 1.0, 3.0, 2.0])
    assert quantiles(values, (0.05, 0.5, 0.95)) == [1.0, 2.0, 4.0]
    assert quantiles(values, (0.5,), np.array([7.0, 1.0, 1.0, 1.0])) == [4.0]
    assert quantiles(np.array([5.0]), (0.0, 0.5, 1.0)) == [5.0] * 3


def test_large_counts_have_short_labels():
    drawing = histogram(np.repeat([1.0, 2.0], 20_000), title="T", label="x", count_label="samples")
    assert ">20k<" in drawing
    assert ">20000<" not in drawing
