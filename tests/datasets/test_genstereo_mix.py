"""The mixture that GenStereo is trained on, from miniatures of all eleven sets."""

import pytest
from tests.datasets import miniatures as mini
from tests.datasets import rendered_sets as sets

from wheatstone.datasets import load_dataset
from wheatstone.errors import DatasetError


def test_the_mixture_of_genstereo(tmp_path):
    sets.tartanair(tmp_path / "tartanair", 40)
    with pytest.raises(DatasetError, match=r"dynamicreplica: no such folder.*irs,fallingthings"):
        load_dataset(f"genstereo-mix={tmp_path}")
    alone = load_dataset(f"genstereo-mix={tmp_path},partial=true")
    assert len(alone) == 40
    sets.dynamic_replica(tmp_path / "dynamicreplica")
    sets.vkitti2(tmp_path / "vkitti2", 5)
    sets.spring(tmp_path / "spring/train")
    sets.spring(tmp_path / "spring/train", frame="0002")
    sets.spring(tmp_path / "spring/train", frame="0003")
    for name, write in (
        ("irs", sets.irs),
        ("fallingthings", sets.fallingthings),
        ("infinigensv", sets.infinigen),
        ("simstereo", sets.simstereo),
        ("unrealstereo4k", sets.unreal),
        ("pltd3", sets.pltd3),
        ("sintel", sets.sintel),
    ):
        write(tmp_path / name)

    def count(mix):
        names = [key.split("/")[0] for key in mix.keys]
        return {name: names.count(name) for name in dict.fromkeys(names)}

    mix = load_dataset(f"genstereo-mix={tmp_path}")
    counted = count(mix)
    assert list(counted) == [
        *("tartanair", "dynamicreplica", "irs", "fallingthings", "vkitti2", "infinigensv", "simstereo"),
        *("unrealstereo4k", "spring", "pltd3", "sintel-final"),
    ]
    large = {"tartanair": 40, "vkitti2": 5}  # a tenth of the largest, or more: as they are
    assert counted == {name: large.get(name, 4) for name in counted}
    assert [key for key in mix.keys if key.startswith("spring")][2:] == ["spring/0001/0003", "spring/0001/0001#2"]
    published = count(load_dataset(f"genstereo-mix={tmp_path},official=true"))
    once = dict.fromkeys(("dynamicreplica", "irs", "fallingthings", "simstereo"), 1)
    several = {"vkitti2": 10, "infinigensv": 2, "unrealstereo4k": 5, "spring": 30, "pltd3": 10, "sintel-final": 20}
    assert published == {"tartanair": 40, **once, **several}
    first = {key.split("/")[0]: index for index, key in reversed(list(enumerate(mix.keys)))}
    for name, index in first.items():
        sample = mix[index]
        assert sample.disparity is not None, name
        if name != "fallingthings":  # its depth does not fit sixteen bits at disparities that small
            mini.assert_sees(sample)
    sky = mix[first["vkitti2"]]
    assert bool(sky.valid.all())
    assert float(sky.disparity[0, 0].max()) == 0
