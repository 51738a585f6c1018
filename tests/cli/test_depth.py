"""`wheatstone depth`: what it writes for one photo, a folder, broken photos and bad calls."""

import json

import numpy as np
import pytest
from PIL import Image

from wheatstone.checkpoints import sha256_of_file
from wheatstone.cli import main
from wheatstone.files import decode_png
from wheatstone.files.inverse_depth import read_inverse_depth


def call(*arguments):
    with pytest.raises(SystemExit) as done:
        main(["depth", *map(str, arguments), "--device", "cpu"])
    return done.value.code


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name in ("one.jpg", "sub/one.jpg", "sub/one.png"):
        Image.fromarray(random.integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(tmp_path / "in" / name)
    return tmp_path / "in"


def test_one_photo(photos, tmp_path, capsys):
    photo = photos / "one.jpg"
    assert call(photo, "-o", tmp_path / "out", "--depth", "row-prior", "--confidence") == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"one.jpg{suffix}" for suffix in (".npy", ".png", ".json", ".turbo.png", ".confidence.png")}
    values = np.load(tmp_path / "out" / "one.jpg.npy")
    assert values.dtype == np.float32
    assert values.shape == (24, 32)
    assert (np.diff(values, axis=0) > 0).all()  # the row prior: lower is nearer
    back, known = read_inverse_depth(tmp_path / "out" / "one.jpg.png")
    about = json.loads((tmp_path / "out" / "one.jpg.json").read_text())
    assert known.all()
    assert np.abs(back[0, 0].numpy() - values).max() <= about["png"]["step"]
    assert about["photo_sha256"] == sha256_of_file(photo)
    assert (about["width"], about["height"]) == (32, 24)
    assert about["depth"]["part"] == "row-prior"
    assert "relative inverse depth" in about["meaning"]
    picture = decode_png((tmp_path / "out" / "one.jpg.turbo.png").read_bytes()).astype(int)
    assert picture[0, 0, 2] > picture[0, 0, 0]  # far is blue
    assert picture[-1, 0, 0] > picture[-1, 0, 2]  # near is red
    confidence = decode_png((tmp_path / "out" / "one.jpg.confidence.png").read_bytes())
    assert confidence.dtype == np.uint16
    printed = capsys.readouterr().out
    assert "inverse depth of 1 photo" in printed
    assert "placeholder depth" in printed
    assert "depth-anything-v2-small" in about["notes"]["placeholder"]


def test_a_folder_keeps_its_tree_and_no_photo_overwrites_another(photos, tmp_path):
    assert call(photos, "--out", tmp_path / "out", "--depth", "row-prior") == 0
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.npy")}
    assert found == {"one.jpg.npy", "sub/one.jpg.npy", "sub/one.png.npy"}
    assert not list((tmp_path / "out").rglob("*.confidence.png"))
    assert call(photos, "--out", tmp_path / "out", "--depth", "row-prior") == 0  # works twice


def test_a_broken_photo_is_named_and_the_others_are_done(photos, tmp_path, capsys):
    (photos / "broken.jpg").write_bytes((photos / "one.jpg").read_bytes()[:200])
    assert call(photos, "-o", tmp_path / "out", "--depth", "row-prior") == 1
    captured = capsys.readouterr()
    assert "broken.jpg" in captured.err
    assert "inverse depth of 3 photos" in captured.out
    assert not list((tmp_path / "out").glob("broken*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.jpg"], "no such file"),
        ([], "name a photo"),
        (["{photo}", "--depth", "nonsense"], "unknown depth estimator 'nonsense'"),
        (["{photo}", "--depth", "row-prior", "--input-rule", "native"], "has no setting --input-rule"),
        (["{photo}", "--device", "cuda:99"], "cannot be used here"),
        (["{broken}", "--depth", "row-prior"], "empty"),
    ],
)
def test_bad_calls_exit_with_2_and_one_line(photos, tmp_path, capsys, arguments, words):
    broken = photos / "empty.png"
    broken.write_bytes(b"")
    arguments = [text.format(photo=photos / "one.jpg", broken=broken) for text in arguments]
    with pytest.raises(SystemExit) as done:
        main(["depth", "-o", str(tmp_path / "out"), *arguments])
    assert done.value.code == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("wheatstone depth: ")
    assert words in message
