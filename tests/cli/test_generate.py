"""`wheatstone generate` and `verify` as a user runs them, on files as they come."""

import json
import resource
import signal
import subprocess
import sys
import time
from functools import partial

import cv2
import numpy as np
import pytest
import tyro
from PIL import ExifTags, Image

from wheatstone.cli import main
from wheatstone.cli.generate import Options, arrange
from wheatstone.datasets import load_dataset
from wheatstone.datasets.verify import verify_dataset
from wheatstone.samples import to_uint8

PARTS = ("--depth", "row-prior", "--synthesizer", "rows", "--report-samples", "0")


def _picture(height=60, width=80, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def _run(*arguments, **options):
    command = [sys.executable, "-m", "wheatstone.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def odd_photos(tmp_path_factory):
    """One real file of every kind a folder of photos may hold."""
    folder = tmp_path_factory.mktemp("odd photos")
    picture = Image.fromarray(_picture())
    cv2.imwrite(str(folder / "deep.png"), _picture()[..., ::-1].astype(np.uint16) * 257)
    picture.convert("CMYK").save(folder / "print.jpg")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = 35
    picture.save(folder / "portrait.jpg", exif=exif)
    picture.convert("L").save(folder / "grey.webp")
    picture.convert("RGBA").save(folder / "alpha.png")
    picture.quantize(8).save(folder / "palette.png")
    picture.save(folder / "animated.webp", save_all=True, append_images=[picture.rotate(180)])
    picture.save(folder / "scan.tiff")
    picture.save(folder / "old.bmp")
    Image.fromarray(_picture(31, 47)).save(folder / "odd size ünï.png")
    Image.fromarray(_picture(2, 5)).save(folder / "tiny.png")
    whole = (folder / "print.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "zero.jpg").write_bytes(b"")
    (folder / "letter.jpg").write_text("Dear photo")
    Image.new("RGB", (1, 1)).save(folder / "pixel.png")
    (folder / "readme.md").write_text("not a photo and not named like one")
    return folder


BROKEN = {"truncated.jpg", "zero.jpg", "letter.jpg", "pixel.png"}


@pytest.fixture(scope="module")
def generated(odd_photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "out"
    return out, _run("generate", odd_photos, out, *PARTS)


def test_every_readable_file_becomes_a_sample(generated, odd_photos):
    out, done = generated
    assert done.returncode == 0, done.stderr
    dataset = load_dataset(out)
    images = {path.name for path in odd_photos.iterdir()} - {"readme.md"}
    assert set(dataset.keys) == images - BROKEN
    sizes = {key: (line["width"], line["height"]) for key, line in dataset.lines.items()}
    assert sizes["portrait.jpg"] == (60, 80)
    assert sizes["odd size ünï.png"] == (47, 31)
    assert sizes["tiny.png"] == (5, 2)
    assert dataset.lines["portrait.jpg"]["focal_px"] == pytest.approx(35 * 100 / np.hypot(24, 36))
    for name in ("deep.png", "alpha.png", "scan.tiff", "old.bmp"):
        np.testing.assert_array_equal(to_uint8(dataset[dataset.keys.index(name)].views["left"]), _picture())


def test_broken_files_are_told_with_the_reason(generated):
    out, done = generated
    rejected = {line["key"]: line["reason"] for line in map(json.loads, (out / "rejected.jsonl").open())}
    assert set(rejected) == BROKEN
    for key, reason in rejected.items():
        assert f"{key}: {reason}" in done.stdout
    assert "placeholder depth" in done.stdout
    assert "generate 15/15" in done.stderr


def test_verify_says_yes_and_no(generated, tmp_path, capsys):
    out, _ = generated
    done = _run("verify", out)
    assert (done.returncode, done.stdout.strip()) == (0, f"{out}: 11 samples, every promise kept")
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(out), str(copy)], check=True)
    right = copy / "right" / "deep.png.png"
    right.write_bytes((copy / "left" / "deep.png.png").read_bytes())
    with pytest.raises(SystemExit) as exit_:
        main(["verify", str(copy)])
    assert exit_.value.code == 1
    said = capsys.readouterr().out
    assert "warp: broken" in said
    assert "deep.png: " in said
    with pytest.raises(SystemExit) as exit_:
        main(["verify", str(tmp_path)])
    assert exit_.value.code == 2


def test_strict_and_going_on(generated, odd_photos, capsys):
    out, _ = generated
    with pytest.raises(SystemExit) as exit_:
        main(["generate", str(odd_photos), str(out), *PARTS, "--strict"])
    assert exit_.value.code == 1
    assert "11 samples, 0 of them new" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{photos}"], "name what to read and then the folder to write"),
        (["{photos}/none", "{out}"], "no such file or folder"),
        (["{photos}/*.xyz", "{out}"], "no photos found"),
        (["{photos}", "{out}", "--depth", "crystal-ball"], "unknown depth estimator 'crystal-ball'"),
        (["{photos}", "{out}", "--depth", "row-prior", "--input-rule", "native"], "no setting --input-rule"),
        (["{photos}", "{out}", "--synthesizer", "magic"], "unknown synthesizer 'magic'"),
        (["{photos}", "{out}", "--rule", "random"], "unknown disparity rule 'random'"),
        (["{photos}", "{photos}/readme.md/out"], "cannot be written"),
        (["{photos}", "{photos}"], "all photos lie in the output folder"),
        (["{photos}", "{out}", "--device", "abacus"], "cannot be used here"),
        (
            ["{photos}", "{out}", "--disparity-zero", "known"],
            "--disparity-zero says how to read the files of --disparity-dir",
        ),
    ],
)
def test_bad_calls_exit_with_2_and_one_line(odd_photos, tmp_path, capsys, arguments, message):
    filled = [a.format(photos=odd_photos, out=tmp_path / "out") for a in arguments]
    defaults = [] if "--depth" in filled else ["--depth", "row-prior"]
    defaults += [] if "--synthesizer" in filled else ["--synthesizer", "rows"]
    with pytest.raises(SystemExit) as exit_:
        main(["generate", *filled, *defaults])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("wheatstone generate: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_another_configuration_is_refused_by_name(generated, odd_photos, capsys):
    out, _ = generated
    with pytest.raises(SystemExit) as exit_:
        main(["generate", str(odd_photos), str(out), *PARTS, "--rule", "adaptive:center=0.2,radius=0.05"])
    assert exit_.value.code == 2
    assert "rule.center was 0.1, is now 0.2" in capsys.readouterr().err


def test_interrupted_says_how_to_go_on(tmp_path):
    for seed in range(20):
        Image.fromarray(_picture(600, 800, seed)).save(tmp_path / f"{seed}.bmp")
    command = [sys.executable, "-m", "wheatstone.cli", "generate", str(tmp_path), str(tmp_path / "out"), *PARTS]
    # A shell that runs the tests in the background hands down an ignored SIGINT: give the command what a terminal gives.
    restore = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=restore)
    manifest = tmp_path / "out" / "manifest.jsonl"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not (manifest.is_file() and manifest.stat().st_size):
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    _, error = run.communicate(timeout=240)
    assert run.returncode == 130
    assert "run the same command again" in error
    with pytest.raises(SystemExit) as exit_:
        main(["generate", str(tmp_path), str(tmp_path / "out"), *PARTS])
    assert exit_.value.code == 0
    assert verify_dataset(tmp_path / "out").ok
    assert len(load_dataset(tmp_path / "out")) == 20


def test_thresholds_and_sizes_reach_the_job(odd_photos, tmp_path):
    inputs = [str(odd_photos / name) for name in ("deep.png", "grey.webp")]
    sizes = ["--max-side", "40", "--rule", "fixed:share=0.3", "--max-holes", "0.9", "--seed", "5", "--workers", "1"]
    with pytest.raises(SystemExit) as exit_:
        main(["generate", *inputs, str(tmp_path / "out"), *PARTS, *sizes])
    assert exit_.value.code == 0
    dataset = load_dataset(tmp_path / "out")
    assert {line["width"] for line in dataset.lines.values()} == {40}
    header = dataset.header
    assert (header["seed"], header["config"]["max_holes"]) == (5, 0.9)
    assert header["config"]["rule"]["share"] == 0.3
    assert header["call"]["photos"] == inputs
    assert header["notes"]


def test_again_takes_the_options_of_a_data_set(generated, odd_photos, tmp_path, capsys):
    out, _ = generated
    with pytest.raises(SystemExit) as exit_:
        main(["generate", "--again", str(out), "--report-samples", "0", str(tmp_path / "out")])
    assert exit_.value.code == 0
    assert load_dataset(tmp_path / "out").header == load_dataset(out).header
    assert (tmp_path / "out" / "manifest.jsonl").read_bytes() == (out / "manifest.jsonl").read_bytes()
    with pytest.raises(SystemExit) as exit_:
        main(["generate", "--again", str(out), "--seed", "9", str(odd_photos / "deep.png"), str(tmp_path / "two")])
    assert exit_.value.code == 0
    header = load_dataset(tmp_path / "two").header
    assert (header["seed"], header["call"]["depth"], header["counts"]["samples"]) == (9, "row-prior", 1)
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(["generate", "--again", str(tmp_path), str(tmp_path / "three")])
    assert exit_.value.code == 2
    assert "no dataset.json" in capsys.readouterr().err


def test_disparity_from_files_and_the_other_eye(tmp_path, capsys):
    """Sparse KITTI-like maps, the photo as right eye; what was typed can be run again."""
    photos, maps, out = tmp_path / "in", tmp_path / "maps", tmp_path / "out"
    for folder in (photos, maps):
        folder.mkdir()
    codes = np.full((60, 80), 1500, np.uint16)
    codes[np.random.default_rng(0).random(codes.shape) < 0.6] = 0
    for name in ("a", "b"):
        cv2.imwrite(str(photos / f"{name}.png"), _picture(seed=ord(name)))
    cv2.imwrite(str(maps / "a.png"), codes)
    options = [
        "--disparity-dir",
        str(maps),
        "--synthetic-view",
        "left",
        "--synthesizer",
        "rows",
        "--report-samples",
        "0",
    ]
    with pytest.raises(SystemExit) as exit_:
        main(["generate", str(photos), str(out), *options])
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert "1 photo gave no sample" in said
    assert "b.png: no disparity file: none of b.pfm, b.npy" in said
    assert "KITTI's, 256 codes a pixel" in said
    assert "the photo is the right view" in said
    dataset = load_dataset(out)
    sample = dataset[0]
    assert np.array_equal(sample.extras["valid_right"][0].numpy(), codes > 0)
    assert sample.extras["disparity_right"].unique().tolist() == [0, 1500 / 256]
    assert np.array_equal(to_uint8(sample.views["right"]), _picture(seed=ord("a"))[..., ::-1])
    assert "depth" not in dataset.header["parts"]
    assert verify_dataset(out).ok
    with pytest.raises(SystemExit) as exit_:
        main(["generate", "--again", str(out), str(tmp_path / "two")])
    assert exit_.value.code == 0
    assert load_dataset(tmp_path / "two").header["config_sha256"] == dataset.header["config_sha256"]
    for wrong, words in (
        (["--disparity-png-scale", "100"], "is now 100"),
        (["--unknown", "hole"], "complete_unknown was True, is now False"),
        (["--rule", "uniform"], "--rule has no effect"),
        (["--depth", "row-prior"], "--depth has no effect"),
    ):
        with pytest.raises(SystemExit) as exit_:
            main(["generate", str(photos), str(out), *options, *wrong])
        assert exit_.value.code == 2
        assert words in capsys.readouterr().err


def _small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))


def test_a_disk_that_refuses_more_is_a_bad_call_and_nothing_is_lost(odd_photos, tmp_path):
    """A limit on file size: the system refuses to write just as a full disk does."""
    done = _run("generate", odd_photos, tmp_path / "out", *PARTS, preexec_fn=_small_files)
    assert done.returncode == 2
    assert "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    with pytest.raises(SystemExit) as exit_:
        main(["generate", str(odd_photos), str(tmp_path / "out"), *PARTS])
    assert exit_.value.code == 0
    assert verify_dataset(tmp_path / "out").ok


@pytest.mark.parametrize(
    ("typed", "arranged"),
    [
        (["in", "--seed", "1", "out"], ["--seed", "1", "in", "out"]),
        (["in", "--strict", "out", "--max-side=9"], ["--strict", "--max-side=9", "in", "out"]),
        (["a", "--no-official", "b", "--depth", "x=y", "out"], ["--no-official", "--depth", "x=y", "a", "b", "out"]),
        (["--seed", "1", "--", "-odd.jpg", "out"], ["--seed", "1", "./-odd.jpg", "out"]),
        (["in", "out", "-h"], ["-h", "in", "out"]),
    ],
)
def test_options_may_stand_between_paths(typed, arranged):
    assert arrange(typed) == arranged
    if "-h" not in typed:
        options = tyro.cli(Options, args=arranged)
        assert options.paths[-1] == "out"


def test_check_labels_with_the_job_and_on_what_is_there(odd_photos, tmp_path, capsys):
    photos = [str(odd_photos / name) for name in ("deep.png", "grey.webp")]
    for out, more in (("with", ["--check-labels", "--matcher", "sgbm"]), ("after", [])):
        with pytest.raises(SystemExit) as exit_:
            main(["generate", *photos, str(tmp_path / out), *PARTS, *more])
        assert exit_.value.code == 0
    assert "labels: sgbm is within 1 px of the label at" in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "after").rglob("*.png")}
    with pytest.raises(SystemExit) as exit_:
        main(["generate", "--check-labels", "--matcher", "sgbm", str(tmp_path / "after")])
    assert exit_.value.code == 0
    assert "look at" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "after").rglob("*.png")} == before
    manifests = [(tmp_path / out / "manifest.jsonl").read_bytes() for out in ("with", "after")]
    assert manifests[0] == manifests[1]
    assert all("label_agreement" in line["quality"] for line in load_dataset(tmp_path / "after").lines.values())
    assert verify_dataset(tmp_path / "after").ok
    for arguments, message in (
        (["--matcher", "sgbm"], "give both"),
        (["--check-labels", "--matcher", "magic"], "unknown"),
    ):
        with pytest.raises(SystemExit) as exit_:
            main(["generate", str(tmp_path / "after"), *arguments])
        assert exit_.value.code == 2
        assert message in capsys.readouterr().err
