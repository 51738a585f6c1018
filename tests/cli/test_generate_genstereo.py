"""`wheatstone generate` with GenStereo's two U-Nets, in the released layout of its weights."""

import json

import numpy as np
import pytest
from PIL import Image

from wheatstone.cli import main
from wheatstone.datasets import load_dataset
from wheatstone.datasets.verify import verify_dataset


def _run(*arguments):
    """Exit code of a command."""
    with pytest.raises(SystemExit) as end:
        main([*map(str, arguments)])
    return end.value.code


def test_photos_become_pairs_of_their_own_size(goldens, tmp_path, capsys):
    photo = np.load(goldens / "genstereo_v2.1.npz")["60x80/src_image"]
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo).resize((100, 75)).save(tmp_path / "photos" / "a.png")
    weights = goldens / "genstereo_v2.1_model" / "genstereo-v2.1"
    out = tmp_path / "out"
    parts = ["--depth", "row-prior", "--synthesizer", f"genstereo={weights}", "--steps", "2", "--device", "cpu"]
    assert _run("generate", tmp_path / "photos", out, *parts) == 0
    (sample,) = load_dataset(out)
    assert sample.views["right"].shape == sample.views["left"].shape == (3, 75, 100)
    assert sample.hole.any()
    assert verify_dataset(out).ok
    recipe = json.loads((out / "dataset.json").read_text())
    assert "genstereo" in json.dumps(recipe)
    capsys.readouterr()


def test_missing_weights_are_told_with_exit_code_2(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "photos" / "a.png")
    (tmp_path / "weights").mkdir()
    arguments = [str(tmp_path / "photos"), str(tmp_path / "out"), "--synthesizer", f"genstereo={tmp_path / 'weights'}"]
    assert _run("generate", *arguments, "--depth", "row-prior") == 2
    assert "denoising_unet.pth" in capsys.readouterr().err
