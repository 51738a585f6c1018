"""Label agreement: the figure itself, in the manifest, resumed, replaced, and harmless to every promise of the data set."""

import json

import numpy as np
import pytest
import torch
from tests.generation.pairs import make_pair

from wheatstone.datasets import load_dataset
from wheatstone.datasets.verify import verify_dataset
from wheatstone.datasets.writer import DatasetWriter
from wheatstone.errors import DatasetError, InputError
from wheatstone.generation import check_labels
from wheatstone.matching import load_matcher
from wheatstone.samples import StereoSample
from wheatstone.viewing import write_report


def sample(key, seed, wrong=False):
    """A pair whose label is right, or 3 px off everywhere."""
    left, right, disparity = make_pair(seed)
    maps = torch.from_numpy(disparity + 3 * wrong)[None]
    views = {
        n: torch.from_numpy(v.copy()).permute(2, 0, 1).float() / 255 for n, v in (("left", left), ("right", right))
    }
    visible = torch.ones_like(maps, dtype=torch.bool)
    visible[..., :9] = False
    visible[:, 20:50, 52:60] = False
    return StereoSample(
        key,
        views,
        {"left": 0.0, "right": 1.0},
        disparity=maps,
        valid=torch.ones_like(visible),
        confidence=torch.ones_like(maps),
        visible=visible,
        hole=torch.zeros_like(visible),
        origin=torch.zeros_like(visible, dtype=torch.uint8),
    )


def write(out, samples, finish=True):
    with DatasetWriter(out, {"rule": "by hand"}) as writer:
        for one in samples:
            if one.key not in writer.done:
                writer.write(one, {"hole_share": 0.0})
        if finish:
            writer.finish()
    return out


@pytest.fixture
def dataset(tmp_path):
    return write(tmp_path / "set", [sample("good", 0), sample("wrong", 1, wrong=True)])


def header(folder):
    return json.loads((folder / "dataset.json").read_text())


def figures(folder):
    return {key: line["quality"].get("label_agreement") for key, line in load_dataset(folder).lines.items()}


def test_right_labels_are_confirmed_and_wrong_ones_are_not(dataset):
    before = header(dataset)
    found = check_labels(dataset, load_matcher("sgbm"))
    assert (found.samples, found.checked, found.matcher) == (2, 2, "sgbm")
    by_key = figures(dataset)
    assert by_key["good"] > 0.97
    assert by_key["wrong"] < 0.05
    assert found.mean == pytest.approx(np.mean(list(by_key.values())), abs=1e-6)
    after = header(dataset)
    check = after.pop("label_check")
    assert after == before  # configuration and digest stay
    assert check["matcher"]["part"] == "sgbm"
    assert (check["threshold_px"], check["samples"]) == (1.0, 2)
    assert verify_dataset(dataset).ok
    assert sorted(path.name for path in dataset.iterdir() if path.is_file()) == [
        "dataset.json",
        "manifest.jsonl",
        "rejected.jsonl",
    ]


def test_it_is_done_once_for_a_matcher_and_anew_for_another(dataset):
    check_labels(dataset, load_matcher("sgbm"))
    manifest = (dataset / "manifest.jsonl").read_bytes()
    again = check_labels(dataset, load_matcher("sgbm"))
    assert (again.samples, again.checked) == (2, 0)
    assert (dataset / "manifest.jsonl").read_bytes() == manifest
    other = check_labels(dataset, load_matcher("sgbm", max_disparity=32), threshold_px=4.0)
    assert other.checked == 2
    assert figures(dataset)["wrong"] > 0.9
    assert header(dataset)["label_check"]["threshold_px"] == 4.0


def test_interrupted_it_goes_on(dataset):
    def stop(state):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_labels(dataset, load_matcher("sgbm"), workers=1, progress=stop)
    assert figures(dataset) == {"good": None, "wrong": None}
    assert verify_dataset(dataset).ok
    with (dataset / "label_agreement.jsonl").open("ab") as stream:
        stream.write(b'{"key": "wro')  # torn by a crash
    rest = check_labels(dataset, load_matcher("sgbm"))
    assert (rest.samples, rest.checked) == (2, 1)
    assert figures(dataset)["good"] > 0.97


def test_samples_added_later_are_checked_later(dataset):
    check_labels(dataset, load_matcher("sgbm"))
    write(dataset, [sample("later", 2)])
    assert header(dataset)["label_check"]["samples"] == 2
    assert check_labels(dataset, load_matcher("sgbm")).checked == 1
    assert figures(dataset)["later"] > 0.97
    assert header(dataset)["label_check"]["samples"] == 3


def test_the_report_shows_it(dataset):
    assert "labels confirmed" not in write_report(dataset).read_text()
    check_labels(dataset, load_matcher("sgbm"))
    page = write_report(dataset).read_text()
    assert "labels confirmed, median" in page
    assert "Labels a matcher confirms" in page
    assert "the matcher sgbm, which never saw the labels" in page


def test_what_cannot_be_checked_is_refused(dataset, tmp_path):
    with pytest.raises(InputError, match="threshold"):
        check_labels(dataset, load_matcher("sgbm"), threshold_px=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no data set of ours"):
        check_labels(tmp_path / "empty", load_matcher("sgbm"))
    assert not list((tmp_path / "empty").iterdir())
    left_only = StereoSample("one", {"left": torch.zeros(3, 8, 8)}, {"left": 0.0})
    bare = write(tmp_path / "bare", [left_only])
    with pytest.raises(DatasetError, match="one has no right"):
        check_labels(bare, load_matcher("sgbm"))
