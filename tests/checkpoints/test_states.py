import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from wheatstone.checkpoints import find_weights, fit_state, load_state
from wheatstone.errors import CheckpointError

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


class RunsCode:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("name", ["model.safetensors", "w.pth", "pytorch_model.bin"])
def test_formats_round_trip(tmp_path, name):
    path = tmp_path / name
    save_file(STATE, path) if name.endswith("safetensors") else torch.save(STATE, path)
    loaded = load_state(path)
    assert loaded.keys() == STATE.keys()
    assert all(torch.equal(loaded[key], STATE[key]) for key in STATE)


def test_wrapper_and_plain_values_are_dropped(tmp_path):
    torch.save({"state_dict": {**STATE, "height": 192}, "epoch": 3}, tmp_path / "w.pth")
    assert load_state(tmp_path / "w.pth").keys() == STATE.keys()


def test_pickle_that_wants_code_is_refused_and_not_run(tmp_path, capfd):
    torch.save({"a": torch.zeros(1), "b": RunsCode()}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="wants to run code"):
        load_state(tmp_path / "w.pth")
    (tmp_path / "old.bin").write_bytes(pickle.dumps(RunsCode(), protocol=2))
    with pytest.raises(CheckpointError):
        load_state(tmp_path / "old.bin")
    assert "executed" not in capfd.readouterr().out


@pytest.mark.parametrize("name", ["model.safetensors", "w.pth"])
@pytest.mark.parametrize("keep", [0, 40, 0.9])
def test_truncated_file_is_named(tmp_path, name, keep):
    path = tmp_path / name
    save_file(STATE, path) if name.endswith("safetensors") else torch.save(STATE, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(CheckpointError, match=name):
        load_state(path)


@pytest.mark.parametrize("name", ["model.safetensors", "w.pth"])
def test_what_stands_in_for_weights_is_told_from_weights(tmp_path, name):
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n")
    with pytest.raises(CheckpointError, match=f"{name}: is a pointer of Git LFS"):
        load_state(tmp_path / name)


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>", b"root:x:0:0\n", b"q"])
def test_a_text_is_no_weight_file(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"w\.pth: is not a weight file torch can read, it begins with b'"):
        load_state(tmp_path / "w.pth")


def test_damaged_files_raise_one_kind_of_error(tmp_path):
    path, refused = tmp_path / "w.pth", 0
    for new in (False, True):
        torch.save(STATE, path, _use_new_zipfile_serialization=new)
        whole = path.read_bytes()
        for place in range(3, len(whole), 11):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
            try:
                load_state(path)
            except CheckpointError:
                refused += 1
    assert refused > 50  # damage within the numbers goes unseen


def test_missing_file_and_empty_folder(tmp_path):
    with pytest.raises(CheckpointError, match="no such weight file"):
        load_state(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="no weights here"):
        load_state(tmp_path)


def test_shards_are_joined_and_a_missing_one_is_named(tmp_path):
    save_file({"a.weight": STATE["a.weight"]}, tmp_path / "model-1.safetensors")
    save_file({"a.bias": STATE["a.bias"]}, tmp_path / "model-2.safetensors")
    index = {"weight_map": {"a.weight": "model-1.safetensors", "a.bias": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert len(find_weights(tmp_path)) == 2
    assert load_state(tmp_path).keys() == STATE.keys()
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-2\.safetensors"):
        find_weights(tmp_path)


def test_fit_accounts_for_every_key():
    assert list(fit_state({f"module.{k}": v for k, v in STATE.items()}, STATE)) == list(STATE)
    with pytest.raises(CheckpointError, match=r"1 missing: a\.bias"):
        fit_state({"a.weight": STATE["a.weight"]}, STATE)
    with pytest.raises(CheckpointError, match=r"1 left over: extra"):
        fit_state({**STATE, "extra": torch.zeros(1)}, STATE)
    with pytest.raises(CheckpointError, match=r"a\.bias is \[3\], wanted \[2\]"):
        fit_state({**STATE, "a.bias": torch.zeros(3)}, STATE)
    assert list(fit_state({**STATE, "position_ids": torch.zeros(1)}, STATE, ignorable=["*position_ids"])) == list(STATE)


def test_aliases_fill_either_name():
    expected = {"norm3": torch.zeros(1), "downsample.1": torch.zeros(1)}
    value = torch.ones(1)
    for given in expected:
        fitted = fit_state({given: value}, expected, aliases=[("norm3", "downsample.1")])
        assert all(torch.equal(tensor, value) for tensor in fitted.values())


def test_renaming():
    assert list(fit_state({"x.w": torch.zeros(1)}, {"y.w": torch.zeros(1)}, rename=lambda k: k.replace("x", "y")))
