"""The writer: round trips, resumption, refusals, a lock that dies with its process."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tests.datasets.own_writers import filling, holding
from tests.datasets.samples import synthetic_sample, tree, write_dataset
from tests.own_process import start

from wheatstone.datasets import load_dataset
from wheatstone.datasets.own import OwnDataset
from wheatstone.datasets.writer import DatasetWriter
from wheatstone.errors import DatasetError, InputError, OutputError
from wheatstone.files import encode_png


def test_round_trip(tmp_path):
    sky = torch.rand(1, 24, 40) > 0.5
    moved = torch.rand(1, 24, 40) * 5
    known = torch.rand(1, 24, 40) > 0.2
    sample = synthetic_sample("a/b.jpg")
    sample = synthetic_sample(
        "a/b.jpg",
        views={**sample.views, "centre": sample.views["left"]},
        baselines={"left": 0.0, "right": 1.0, "centre": 0.5},
        extras={"sky": sky, "disparity_right": moved, "valid_right": known},
        provenance={**sample.provenance, "family": "rooms", "measured_baselines": {"right": 0.98}},
    )
    with DatasetWriter(tmp_path / "out", {"x": 1}, 7) as writer:
        writer.write(sample, {"holes": 0.5})
        writer.finish()
    again = load_dataset(tmp_path / "out")[0]
    assert again.key == sample.key
    assert again.baselines == sample.baselines
    for name, view in sample.views.items():
        assert torch.equal(again.views[name], view), name
    for name in ("disparity", "valid", "visible", "hole", "origin"):
        assert torch.equal(getattr(again, name), getattr(sample, name)), name
    assert (again.confidence - sample.confidence).abs().max() < 1e-5
    assert torch.equal(again.extras["sky"], sky)
    assert torch.equal(again.extras["valid_right"], known)
    assert ((again.extras["disparity_right"] - moved).abs()[known] < 1 / 256).all()
    assert again.provenance["family"] == "rooms"
    assert again.provenance["synthetic_views"] == ["right"]
    assert again.provenance["measured_baselines"] == {"right": 0.98}
    assert again.provenance["focal_px"] == 31.5
    assert again.provenance["quality"] == {"holes": 0.5}


def test_what_was_read_can_be_written_again(tmp_path):
    write_dataset(tmp_path / "one")
    first = load_dataset(tmp_path / "one")
    with DatasetWriter(tmp_path / "two", first.header["config"], 3) as writer:
        for sample in first:
            writer.write(sample)
        writer.finish()
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_maps_that_are_missing_are_left_out(tmp_path):
    sample = synthetic_sample("a", confidence=None, origin=None, hole=None)
    with DatasetWriter(tmp_path / "out", {}) as writer:
        writer.write(sample)
        writer.finish()
    again = load_dataset(tmp_path / "out")[0]
    assert again.confidence is None
    assert again.hole is None
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "dataset.json", "manifest.jsonl", "rejected.jsonl", "left", "right", "disparity", "mask_nocc"
    }  # fmt: skip


def test_any_order_and_any_thread_give_the_same_bytes(tmp_path):
    samples = [synthetic_sample(f"{seed}.jpg", seed) for seed in range(8)]
    for name, order, workers in (("one", 1, 1), ("two", -1, 4)):
        with DatasetWriter(tmp_path / name, {}) as writer:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(writer.write, samples[::order]))
            writer.reject("z.jpg" if order > 0 else "y.jpg", "because")
            writer.reject("y.jpg" if order > 0 else "z.jpg", "because")
            writer.finish()
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    lines = [json.loads(line) for line in (tmp_path / "one" / "rejected.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == ["y.jpg", "z.jpg"]


def test_goes_on_after_a_stop_and_drops_a_torn_line(tmp_path):
    samples = [synthetic_sample(f"{seed}.jpg", seed) for seed in range(3)]
    with DatasetWriter(tmp_path / "whole", {"a": 1}) as writer:
        for sample in samples:
            writer.write(sample)
        writer.finish()
    out = tmp_path / "torn"
    with DatasetWriter(out, {"a": 1}) as writer:
        writer.write(samples[1])
        writer.reject("0.jpg", "not today")
    with (out / "manifest.jsonl").open("ab") as stream:
        stream.write(b'{"key":"2.jpg","id":"2%2E')
    (out / "left" / ".tmp-0123456789ab.png").write_bytes(b"half")
    assert load_dataset(out).keys == ["1.jpg"]  # an unfinished data set can be read
    with DatasetWriter(out, {"a": 1}) as writer:
        assert writer.done_keys == {"1.jpg"}
        assert set(writer.rejected) == {"0.jpg"}
        for sample in (samples[2], samples[0]):
            writer.write(sample)
        writer.finish()
    assert tree(out) == tree(tmp_path / "whole")


def test_another_configuration_is_refused_with_the_difference(tmp_path):
    parts = {"depth": {"weights_sha256": "ab"}}
    with DatasetWriter(tmp_path, {"rule": {"center": 0.1}}, 0, parts) as writer:
        writer.finish()
    before = tree(tmp_path)
    for config, seed, part, said in (
        ({"rule": {"center": 0.2}}, 0, parts, "rule.center was 0.1, is now 0.2"),
        ({"rule": {"center": 0.1}}, 5, parts, "seed was 0, is now 5"),
        (
            {"rule": {"center": 0.1}},
            0,
            {"depth": {"weights_sha256": "cd"}},
            "parts.depth.weights_sha256 was ab, is now cd",
        ),
        ({"rule": {"center": 0.1}, "max_side": 512}, 0, parts, "max_side was absent, is now 512"),
    ):
        with pytest.raises(OutputError, match=said):
            DatasetWriter(tmp_path, config, seed, part)
    assert tree(tmp_path) == before


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="not empty"):
        DatasetWriter(tmp_path, {})
    assert tree(tmp_path) == {"thesis.tex": b"years of work"}
    (tmp_path / "dataset.json").write_text('{"format": "coco"}')
    with pytest.raises(OutputError, match="something else"):
        DatasetWriter(tmp_path, {})


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError):
        DatasetWriter(tmp_path / "out", {})


def test_names_and_duplicates(tmp_path):
    with DatasetWriter(tmp_path, {}) as writer:
        writer.write(synthetic_sample("a.jpg"))
        with pytest.raises(InputError, match="already"):
            writer.write(synthetic_sample("a.jpg"))
        with pytest.raises(InputError, match="relative path"):
            writer.write(synthetic_sample("../a.jpg"))


def test_a_map_without_a_place(tmp_path):
    with DatasetWriter(tmp_path, {}) as writer, pytest.raises(InputError, match="no place for the map 'depth_m'"):
        writer.write(synthetic_sample("a", extras={"depth_m": torch.rand(1, 24, 40)}))
    assert load_dataset(tmp_path).keys == []


def test_a_closed_writer_writes_nothing_more(tmp_path):
    writer = DatasetWriter(tmp_path, {})
    writer.finish()
    with pytest.raises(OutputError, match="closed"):
        writer.write(synthetic_sample("a"))


def test_one_writer_at_a_time_and_the_lock_dies_with_its_process(tmp_path):
    holder, connection = start(holding, tmp_path)
    try:
        assert connection.poll(120)
        assert connection.recv() == "open"
        with pytest.raises(OutputError, match="another process"):
            DatasetWriter(tmp_path, {})
    finally:
        holder.kill()
        holder.join()
    with DatasetWriter(tmp_path, {}) as writer:
        writer.finish()
    assert not (tmp_path / ".lock").exists()


def test_a_line_that_does_not_fit_is_cut_off_again(tmp_path):
    process, connection = start(filling, tmp_path)
    process.join(120)
    assert process.exitcode == 0
    assert connection.poll()
    assert connection.recv() is True
    assert load_dataset(tmp_path).keys == ["a"]


def test_reader_errors(tmp_path):
    with pytest.raises(DatasetError, match=r"no dataset\.json"):
        OwnDataset(tmp_path)
    write_dataset(tmp_path / "out")
    dataset = load_dataset(tmp_path / "out")
    assert len(dataset) == 3
    assert dataset[-1].key == dataset.keys[-1]
    assert [sample.key for sample in dataset[1:]] == list(dataset.keys[1:])
    with pytest.raises(IndexError):
        dataset[3]
    (tmp_path / "out" / "left" / "a.jpg.png").unlink()
    with pytest.raises(DatasetError, match="cannot be read"):
        dataset[0]
    header = json.loads((tmp_path / "out" / "dataset.json").read_text())
    (tmp_path / "out" / "dataset.json").write_text(json.dumps({**header, "format_version": 99}))
    with pytest.raises(DatasetError, match="version 99"):
        load_dataset(tmp_path / "out")


def test_load_dataset_says_what_it_knows(tmp_path):
    with pytest.raises(InputError, match="no such data set"):
        load_dataset(tmp_path / "none")
    with pytest.raises(DatasetError, match="wheatstone, zerostereo"):
        load_dataset(tmp_path)
    write_dataset(tmp_path / "out")
    assert len(load_dataset(f"wheatstone={tmp_path / 'out'}")) == 3


@pytest.mark.parametrize(("folder", "axes"), [("disparity", 2), ("confidence", 2), ("left", 3)])
def test_a_file_that_was_saved_again_in_another_depth_is_refused(tmp_path, folder, axes):
    out = write_dataset(tmp_path / "out", keys=("a.jpg",))
    path = out / folder / "a.jpg.png"
    path.write_bytes(encode_png(np.full((24, 40), 7, np.uint8)))
    with pytest.raises(DatasetError, match=rf"{axes} axes is due: was it saved again"):
        load_dataset(out)[0]
