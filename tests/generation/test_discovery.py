from pathlib import Path

import pytest

from wheatstone.errors import InputError
from wheatstone.generation import find_photos


@pytest.fixture
def photos(tmp_path):
    for name in (
        "in/a.jpg",
        "in/sub/b.PNG",
        "in/sub/deep/c.tiff",
        "in/notes.txt",
        "in/.hidden.jpg",
        "in/.git/d.jpg",
        "e.webp",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def _keys(found):
    return [photo.key for photo in found.files]


def test_a_folder_is_searched_through(photos):
    found = find_photos(photos / "in")
    assert _keys(found) == ["a.jpg", "sub/b.PNG", "sub/deep/c.tiff"]
    assert found.files[1].path == photos / "in" / "sub" / "b.PNG"
    assert found.refused == ()


def test_phone_photos_that_cannot_be_read_are_not_passed_over(photos):
    (photos / "in" / "IMG_1.HEIC").write_bytes(b"")
    assert "IMG_1.HEIC" in _keys(find_photos(photos / "in"))


def test_a_file(photos):
    assert _keys(find_photos(str(photos / "in" / "a.jpg"))) == ["a.jpg"]


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("in/*.jpg", ["a.jpg"]),
        ("in/sub/**/*", ["b.PNG", "deep/c.tiff"]),
        ("**/*.[jw]*", ["e.webp", "in/a.jpg"]),
    ],
)
def test_globs_have_their_common_parent_as_root(photos, pattern, keys):
    assert _keys(find_photos(str(photos / pattern))) == keys


def test_a_relative_call_gives_the_same_keys(photos, monkeypatch):
    monkeypatch.chdir(photos / "in")
    assert find_photos(".").files == find_photos(photos / "in").files
    assert _keys(find_photos("../e.webp")) == ["e.webp"]
    assert find_photos("sub/*").files == find_photos(photos / "in" / "sub" / "*").files


def test_a_list(photos):
    text = photos / "in" / "notes.txt"
    text.write_text(f"# mine\n\na.jpg\nsub/../sub/b.PNG\n{photos / 'e.webp'}\nnot there.jpg\n", encoding="utf-8-sig")
    found = find_photos(text)
    assert _keys(found) == ["e.webp", "in/a.jpg", "in/not there.jpg", "in/sub/b.PNG"]


def test_named_twice_and_bad_names_are_refused(photos):
    long = "x" * 241 + ".jpg"
    (photos / "list.txt").write_text(f"in/a.jpg\nin/./a.jpg\nin/{long}\n")
    found = find_photos(photos / "list.txt")
    assert _keys(found) == ["a.jpg"]
    assert [reason for _, reason in found.refused] == ["named twice in the list", found.refused[1][1]]
    assert "245 bytes" in found.refused[1][1]


def test_a_folder_named_like_a_samples_file(photos):
    (photos / "in" / "a.jpg.png").mkdir()
    (photos / "in" / "a.jpg.png" / "1.jpg").write_bytes(b"")
    found = find_photos(photos / "in")
    assert [key for key, _ in found.refused] == ["a.jpg.png/1.jpg"]


def test_several_sources(photos):
    found = find_photos([photos / "in" / "sub", photos / "e.webp"])
    assert _keys(found) == ["e.webp", "in/sub/b.PNG", "in/sub/deep/c.tiff"]


def test_an_output_inside_the_input_is_left_out(photos):
    (photos / "in" / "out" / "left").mkdir(parents=True)
    (photos / "in" / "out" / "left" / "a.jpg.png").write_bytes(b"")
    assert len(find_photos(photos / "in").files) == 4
    assert _keys(find_photos(photos / "in", exclude=photos / "in" / "out")) == ["a.jpg", "sub/b.PNG", "sub/deep/c.tiff"]


@pytest.mark.parametrize("source", ["none", "*.xyz", "in/.git/*.gif"])
def test_nothing_found(photos, source):
    with pytest.raises(InputError):
        find_photos(str(photos / source))


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="no photos found"):
        find_photos(tmp_path)


def test_a_list_that_is_no_text(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(InputError, match="cannot be read"):
        find_photos(tmp_path / "list.txt")


def test_home(photos, monkeypatch):
    monkeypatch.setenv("HOME", str(photos))
    assert _keys(find_photos("~/in/a.jpg")) == ["a.jpg"]
    assert find_photos("~/in").files[0].path == Path(photos / "in" / "a.jpg")
