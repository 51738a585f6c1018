import json

import pytest
import torch
from torch import nn

from wheatstone.checkpoints import Part, sha256_of_state
from wheatstone.errors import CheckpointError


class Toy(Part):
    name = "toy"

    def __init__(self, width=2):
        self.config = {"width": width}
        self.network = nn.Linear(width, 1)


class Other(Part):
    name = "other"


def test_save_and_load_is_exact(tmp_path):
    toy = Toy(width=3)
    toy.save_pretrained(tmp_path)
    again = Toy.from_pretrained(tmp_path)
    assert again.fingerprint() == toy.fingerprint()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_fingerprint_sees_weights_and_config():
    toy = Toy()
    before = toy.fingerprint()
    with torch.no_grad():
        toy.network.weight += 1
    assert toy.fingerprint()["weights_sha256"] != before["weights_sha256"]
    assert Toy(3).fingerprint()["config"] != before["config"]


def test_digest_ignores_order():
    a, b = torch.zeros(2), torch.ones(3)
    assert sha256_of_state({"a": a, "b": b}) == sha256_of_state({"b": b, "a": a})
    assert sha256_of_state({"a": a}) != sha256_of_state({"a": a.double()})


def test_wrong_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        Toy.from_pretrained(tmp_path)
    Toy().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="holds a 'toy', not a 'other'"):
        Other.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"wheatstone": "toy", "width": 5}))
    with pytest.raises(CheckpointError, match="does not fit"):
        Toy.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        Toy.from_pretrained(tmp_path)
