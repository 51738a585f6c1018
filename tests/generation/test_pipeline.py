"""Photos to a data set: the same bytes for any order, worker count and restart; nothing is lost, nothing is hidden."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tests.datasets.samples import tree
from tests.generation.parts import TinyDepth, make_photo, make_photos, tiny_generator

from wheatstone.datasets import load_dataset
from wheatstone.datasets.verify import verify_dataset
from wheatstone.errors import InputError, OutputError
from wheatstone.generation import CleanUp, Photos, Thresholds, find_photos, generate
from wheatstone.generation.batching import Batcher
from wheatstone.samples import to_uint8
from wheatstone.synthesis import load_synthesizer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def photos(tmp_path):
    return make_photos(tmp_path / "in")


def _generate(photos, out, **options):
    generator = options.pop("generator", None) or tiny_generator()
    return generate(photos, out, generator, report_samples=0, **options)


def _reasons(out):
    lines = (out / "rejected.jsonl").read_text().splitlines()
    return {line["key"]: (line["kind"], line["reason"]) for line in map(json.loads, lines)}


def test_a_folder_of_photos(photos, tmp_path):
    seen = []
    summary = _generate(photos, tmp_path / "out", progress=seen.append)
    assert (summary.samples, summary.written, dict(summary.rejected)) == (6, 6, {})
    assert [state.done for state in seen] == list(range(7))
    assert set(summary.stages) == {"read", "resize", "depth", "disparity", "view", "write"}
    assert verify_dataset(tmp_path / "out").ok
    dataset = load_dataset(tmp_path / "out")
    assert dataset.keys == sorted(f"set{n % 3}/{n}.{('jpg', 'png')[n % 2]}" for n in range(6))
    line = dataset.lines["set1/1.png"]
    assert line["files"]["left"] == "left/set1/1.png.png"
    assert line["baselines"]["right"] == {"measured": None, "nominal": 1.0, "synthetic": True}
    assert set(line["quality"]) == {"scale_px", "hole_share", "mean_confidence", "visible_share", "edge_share"}


def test_the_data_set_is_what_the_generator_makes(photos, tmp_path):
    _generate(photos, tmp_path / "out")
    stored = load_dataset(tmp_path / "out")[2]
    made = tiny_generator()(photos / stored.key, stored.key)
    for name in ("disparity", "valid", "visible", "hole", "origin", "confidence"):
        assert torch.equal(getattr(stored, name), getattr(made, name)), name
    for name in ("left", "right"):
        np.testing.assert_array_equal(to_uint8(stored.views[name]), to_uint8(made.views[name]))


def test_order_and_workers_do_not_matter(photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"no photo")
    found = find_photos(photos)
    _generate(found, tmp_path / "one", workers=1)
    shuffled = [found.files[i] for i in np.random.default_rng(0).permutation(len(found.files))]
    _generate(Photos(tuple(shuffled)), tmp_path / "three", workers=3)
    assert tree(tmp_path / "one") == tree(tmp_path / "three")
    names = set(tree(tmp_path / "one"))
    assert {"dataset.json", "manifest.jsonl", "rejected.jsonl"} < names
    assert len(names) == 3 + 6 * 7


RUN = """
    import sys, time
    from tests.generation.parts import TinyDepth, tiny_generator
    from wheatstone.generation import generate

    class Slow(TinyDepth):
        calls = 0

        def __call__(self, image, **options):
            Slow.calls += 1
            time.sleep(0.1 if Slow.calls <= 3 else 1.0)  # time enough to be killed after the third, on any machine
            return super().__call__(image, **options)

    generate(sys.argv[1], sys.argv[2], tiny_generator(depth=Slow()), workers=2, report_samples=0,
             progress=lambda state: print(state.done, flush=True))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_run_again_gives_the_same_bytes(tmp_path, how):
    photos, out = make_photos(tmp_path / "in", 8), tmp_path / "out"
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUN), str(photos), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        # a shell that runs the tests in the background hands down an ignored SIGINT
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    for line in run.stdout:
        if int(line) >= 3:
            break
    run.send_signal(how)
    run.wait(timeout=60)
    run.stdout.close()
    assert run.returncode != 0
    done = load_dataset(out).keys
    assert 3 <= len(done) < 8  # what was reported as done is there
    before = {name: content for name, content in tree(out).items() if any(key in name for key in done)}
    ages = {name: (out / name).stat().st_mtime_ns for name in before}
    assert {problem.promise for problem in verify_dataset(out).problems} <= {"complete", "stray"}

    summary = _generate(photos, out, workers=3)
    assert (summary.samples, summary.written) == (8, 8 - len(done))
    assert {name: (out / name).stat().st_mtime_ns for name in before} == ages  # nothing was made twice
    _generate(photos, tmp_path / "whole", workers=1)
    assert tree(out) == {**tree(tmp_path / "whole"), "dataset.json": tree(out)["dataset.json"]}
    headers = [json.loads((folder / "dataset.json").read_text()) for folder in (out, tmp_path / "whole")]
    assert headers[0] == headers[1]
    assert verify_dataset(out).ok


def test_running_again_does_nothing_and_more_photos_are_added(photos, tmp_path):
    _generate(photos, tmp_path / "out")
    before = tree(tmp_path / "out")
    summary = _generate(photos, tmp_path / "out")
    assert (summary.samples, summary.written) == (6, 0)
    assert tree(tmp_path / "out") == before
    make_photo(photos / "new.png", 77)
    assert _generate(photos, tmp_path / "out").written == 1
    _generate(photos, tmp_path / "fresh")
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")


def test_broken_photos_are_listed_and_the_run_goes_on(photos, tmp_path):
    whole = (photos / "set0" / "0.jpg").read_bytes()
    for name, content in {
        "empty.jpg": b"",
        "text.jpg": b"hello",
        "truncated.jpg": whole[: len(whole) // 2],
        "bad\nname.png": b"\x89PNG",
    }.items():
        (photos / name).write_bytes(content)
    cv2.imwrite(str(photos / "pixel.png"), np.zeros((1, 1, 3), np.uint8))
    (photos / "unreadable.png").symlink_to(photos / "nowhere")
    summary = _generate(photos, tmp_path / "out", workers=2)
    reasons = _reasons(tmp_path / "out")
    assert (summary.samples, set(summary.rejected)) == (6, set(reasons))
    assert {key: kind for key, (kind, _) in reasons.items()} == dict.fromkeys(
        ["empty.jpg", "text.jpg", "truncated.jpg", "bad\nname.png", "pixel.png", "unreadable.png"], "file"
    )
    assert reasons["empty.jpg"][1] == "the file is empty"
    assert "1 x 1" in reasons["pixel.png"][1]
    assert verify_dataset(tmp_path / "out").ok
    (photos / "text.jpg").write_bytes(whole)  # mended: tried again
    assert _generate(photos, tmp_path / "out").written == 1
    assert "text.jpg" not in _reasons(tmp_path / "out")


def test_names_that_cannot_be_used(photos, tmp_path):
    os.rename(photos / "set0" / "0.jpg", os.fsencode(photos) + b"/bad\xff.jpg")  # noqa: PTH104 - a name of bytes
    summary = _generate(photos, tmp_path / "out")
    assert summary.samples == 5
    assert list(_reasons(tmp_path / "out").values()) == [("name", "the name 'bad\\udcff.jpg' is not valid UTF-8")]


def test_only_broken_photos_make_an_empty_data_set(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(b"")
    summary = _generate(tmp_path / "in", tmp_path / "out")
    assert (summary.samples, len(summary.rejected)) == (0, 1)
    assert verify_dataset(tmp_path / "out").ok


def test_thresholds_reject_with_a_reason_and_are_not_tried_twice(photos, tmp_path):
    calls = []

    class Counting(TinyDepth):
        def __call__(self, image, **options):
            calls.append(1)
            return super().__call__(image, **options)

    _generate(photos, tmp_path / "all")
    shares = {key: line["quality"]["hole_share"] for key, line in load_dataset(tmp_path / "all").lines.items()}
    limit = sorted(shares.values())[2]
    options = {"thresholds": Thresholds(max_holes=limit), "generator": tiny_generator(depth=Counting())}
    summary = _generate(photos, tmp_path / "out", **options)
    assert set(summary.rejected) == {key for key, share in shares.items() if share > limit}
    assert all(kind == "quality" and "painted" in reason for kind, reason in _reasons(tmp_path / "out").values())
    before, count = tree(tmp_path / "out"), len(calls)
    _generate(photos, tmp_path / "out", **options)
    assert tree(tmp_path / "out") == before
    assert len(calls) == count
    assert verify_dataset(tmp_path / "out").ok
    nothing = _generate(photos, tmp_path / "sure", thresholds=Thresholds(min_confidence=1.0))
    assert (nothing.samples, len(nothing.rejected)) == (0, 6)


def test_another_configuration_is_refused(photos, tmp_path):
    _generate(photos, tmp_path / "out")
    with pytest.raises(OutputError, match="seed was 0, is now 1"):
        _generate(photos, tmp_path / "out", generator=tiny_generator(seed=1))
    with pytest.raises(OutputError, match=r"parts\.depth\.weights_sha256"):
        _generate(photos, tmp_path / "out", generator=tiny_generator(depth=TinyDepth(1)))
    with pytest.raises(OutputError, match="max_holes was absent"):
        _generate(photos, tmp_path / "out", thresholds=Thresholds(max_holes=0.5))


def test_other_photos_of_the_same_names_are_refused(photos, tmp_path):
    _generate(photos, tmp_path / "out")
    make_photo(photos / "set0" / "0.jpg", 99)
    with pytest.raises(InputError, match=r"'set0/0\.jpg' made from another file"):
        _generate(photos, tmp_path / "out")


def test_an_output_that_cannot_be_made(photos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        _generate(photos, tmp_path / "file" / "out")


class Hungry(TinyDepth):
    """Has no memory for the larger photos."""

    def _predict(self, image):
        if image.shape[-2] > 72:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80 GiB")
        return super()._predict(image)


def test_a_photo_that_does_not_fit_is_rejected(photos, tmp_path):
    summary = _generate(photos, tmp_path / "out", generator=tiny_generator(depth=Hungry()), workers=2)
    assert (summary.samples, len(summary.rejected)) == (3, 3)
    assert all(kind == "part" and "--max-side" in reason for kind, reason in _reasons(tmp_path / "out").values())


class Picky(TinyDepth):
    def _predict(self, image):
        if image.shape[-2] > 72:
            raise InputError("this network takes only flat photos")
        return super()._predict(image)


def test_what_a_part_refuses_is_rejected_with_its_words(photos, tmp_path):
    summary = _generate(photos, tmp_path / "out", generator=tiny_generator(depth=Picky()))
    assert set(summary.rejected.values()) == {"this network takes only flat photos"}


class Buggy(TinyDepth):
    def _predict(self, image):
        if image.shape[-2] > 72:
            raise ZeroDivisionError("a defect")
        return super()._predict(image)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_defect_is_not_hidden(photos, tmp_path, workers):
    with pytest.raises(ZeroDivisionError) as caught:
        _generate(photos, tmp_path / "out", generator=tiny_generator(depth=Buggy()), workers=workers)
    assert any("while working on" in note for note in caught.value.__notes__)
    assert not (tmp_path / "out" / ".lock").exists()
    assert _generate(photos, tmp_path / "out", generator=tiny_generator()).samples == 6


class Waiting(TinyDepth):
    """Goes on only when three photos are under way at once."""

    def __init__(self) -> None:
        super().__init__()
        self.together = threading.Barrier(3, timeout=60)

    def __call__(self, image, **options):
        self.together.wait()
        return super().__call__(image, **options)


def test_photos_are_under_way_at_once(photos, tmp_path):
    summary = _generate(photos, tmp_path / "out", generator=tiny_generator(depth=Waiting()), workers=3)
    assert summary.written == 6
    with pytest.raises(InputError, match="workers"):
        _generate(photos, tmp_path / "two", workers=0)


class Noting(TinyDepth):
    """Notes on how many threads it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.threads = set()

    def _predict(self, image):
        self.threads.add(torch.get_num_threads())
        return super()._predict(image)


def test_networks_run_on_the_configured_number_of_threads(photos, tmp_path):
    depth, before = Noting(), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        _generate(photos, tmp_path / "one", generator=tiny_generator(depth=depth), workers=2)
        assert depth.threads == {1}
        assert torch.get_num_threads() == 3
        depth.threads.clear()
        _generate(photos, tmp_path / "two", generator=tiny_generator(depth=depth, threads=2), workers=2)
        assert depth.threads == {2}
    finally:
        torch.set_num_threads(before)


def test_an_output_inside_the_input(photos):
    assert _generate(photos, photos / "out").samples == 6
    assert _generate(photos, photos / "out").written == 0


def test_photos_that_share_a_network_call_stay_themselves(photos, tmp_path):
    """On a GPU photos of equal size share calls; here the same code runs on the CPU."""
    generator = tiny_generator()
    generator._depth_call = Batcher(generator._run_depth, 3)
    generator._synthesis_call = Batcher(generator._run_synthesizer, 3)
    _generate(photos, tmp_path / "batched", generator=generator, workers=6)
    _generate(photos, tmp_path / "single")
    assert verify_dataset(tmp_path / "batched").ok
    for one, two in zip(load_dataset(tmp_path / "batched"), load_dataset(tmp_path / "single"), strict=True):
        assert one.key == two.key
        assert torch.equal(one.views["left"], two.views["left"])
        assert (one.disparity - two.disparity).abs().median() <= 1 / 256
        assert one.provenance["scale_px"] == two.provenance["scale_px"]


@pytest.mark.parametrize("official", [False, True])
def test_diffusion_inpainting_keeps_the_promise(goldens, tmp_path, official):
    """A tiny pipeline in the released folder layout; as published, the warp itself is another one, and verify knows it."""
    painter = load_synthesizer(str(goldens / "zerostereo_stereogen_model"), official=official, steps=2)
    generator = tiny_generator(synthesizer=painter, max_side=64)
    assert generator.config["warp"]["official"] is official
    _generate(make_photos(tmp_path / "in", 2), tmp_path / "out", generator=generator)
    assert verify_dataset(tmp_path / "out").ok
    assert all((sample.hole & (sample.origin > 0)).any() for sample in load_dataset(tmp_path / "out"))


@pytest.mark.parametrize("value", [-0.1, 7.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["max_holes", "min_confidence"])
def test_thresholds_are_shares(name, value):
    with pytest.raises(InputError, match=rf"`{name}` must lie in 0\.\.1"):
        Thresholds(**{name: value})


@pytest.mark.parametrize("settings", [{"dilate": -1}, {"threshold": -1.0}, {"threshold": float("nan")}])
def test_clean_up_refuses_senseless_numbers_before_any_photo(settings):
    with pytest.raises(InputError, match="edge"):
        CleanUp(**settings)


def test_an_output_that_is_a_file_and_a_page_of_minus_one_rows(photos, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="is a file: name a folder"):
        _generate(photos, tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(InputError, match="report_samples"):
        generate(photos, tmp_path / "out", tiny_generator(), report_samples=-1)
    assert not (tmp_path / "out").exists()
