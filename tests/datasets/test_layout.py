import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheatstone.datasets import layout
from wheatstone.errors import DatasetError, InputError


@pytest.mark.parametrize(
    "key", ["cat.jpg", "a/b/cat.jpg", "ünï cödé/日本.png", "with blank.jpg", "x" * 240, "a\nb.jpg", "..x/.y"]
)
def test_good_keys(key):
    layout.check_key(key)


@pytest.mark.parametrize(
    "key",
    ["", "/abs.jpg", "a//b.jpg", "../a.jpg", "a/../b.jpg", "./a", "a/", "x" * 241, "é" * 121, "a\0b", "bad\udcff.jpg"],
)
def test_bad_keys(key):
    with pytest.raises(InputError):
        layout.check_key(key)


@given(st.text(min_size=1))
def test_id_is_reversible_and_flat(key):
    identifier = layout.id_of_key(key)
    assert layout.key_of_id(identifier) == key
    assert not set(identifier) & {".", "/"}


def test_id_example():
    assert layout.id_of_key("a/b.c/100%.jpg") == "a%2Fb%2Ec%2F100%25%2Ejpg"


def test_a_folder_named_like_a_samples_file_collides():
    assert layout.colliding_keys(["cat.jpg", "cat.jpg.png/1.jpg", "dog/1.jpg"]) == {"cat.jpg.png/1.jpg"}


@pytest.mark.parametrize(("top", "scale"), [(0, 256), (255.99, 256), (256, 64), (1023.9, 64), (1024, 16), (4095.8, 16)])
def test_scale(top, scale):
    assert layout.disparity_scale(top) == scale
    assert top * scale <= 65534


def test_no_scale_for_too_much():
    with pytest.raises(InputError, match="does not fit"):
        layout.disparity_scale(4096)


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf, 300.0])
def test_disparity_that_cannot_be_stored(value):
    with pytest.raises(InputError):
        layout.quantise_disparity(np.array([[value]]), np.array([[True]]), 256)
    assert layout.quantise_disparity(np.array([[value]]), np.array([[False]]), 256).tolist() == [[0]]


def test_unit_codes_are_exact_at_the_ends_and_a_fixed_point():
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    codes = layout.encode_unit(values)
    assert (codes[0], codes[-1]) == (0, 65535)
    np.testing.assert_array_equal(layout.encode_unit(layout.decode_unit(codes)), codes)
    assert np.abs(layout.decode_unit(codes) - values).max() < 1e-5


def test_digest_depends_on_values_not_on_order():
    one = layout.config_digest({"a": 1, "b": [2.5, None]}, {"depth": {"x": "y"}}, 0)
    assert one == layout.config_digest({"b": (2.5, None), "a": 1}, {"depth": {"x": "y"}}, 0)
    assert len({one, layout.config_digest({"a": 1}, {}, 0), layout.config_digest({"a": 1}, {}, 1)}) == 3


def test_torn_last_line(tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b'{"key":"a"}\n{"key":"b"}\n{"key":"c","wid')
    assert [line["key"] for line in layout.read_lines(path, torn="drop")] == ["a", "b"]
    with pytest.raises(DatasetError, match="line 3"):
        list(layout.read_lines(path))
    path.write_bytes(b'{"key":"a"}\n{"key":"b"}')  # whole, but its end was not written
    assert [line["key"] for line in layout.read_lines(path, torn="drop")] == ["a"]
    with pytest.raises(DatasetError, match="cut off"):
        list(layout.read_lines(path))


def test_a_broken_line_in_the_middle_is_never_dropped(tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b'{"key":"a"}\ngarbage\n{"key":"b"}\n')
    with pytest.raises(DatasetError, match="line 2"):
        list(layout.read_lines(path, torn="drop"))


def test_missing_file_has_no_lines(tmp_path):
    assert list(layout.read_lines(tmp_path / "none")) == []
