import pytest

from wheatstone.checkpoints import MODELS, is_hub_id, licence_note, mirror_variable, model_entry, resolve_weights
from wheatstone.errors import CheckpointError


def test_weights_argument_wins_then_mirror_then_table(tmp_path, monkeypatch):
    mine, mirror = tmp_path / "mine", tmp_path / "mirror"
    mine.mkdir()
    mirror.mkdir()
    monkeypatch.setenv(mirror_variable("stereogen"), str(mirror))
    assert resolve_weights("stereogen", mine) == mine
    assert resolve_weights("stereogen") == mirror
    assert resolve_weights(str(mine)) == mine


def test_offline_error_says_what_to_do():
    with pytest.raises(CheckpointError, match=r"Windsrain/ZeroStereo.*stereogen=PATH.*WHEATSTONE_MIRROR_STEREOGEN"):
        resolve_weights("stereogen")
    with pytest.raises(CheckpointError, match="no such file or folder"):
        resolve_weights("stereogen", "/not/there")


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("a/b", True),
        ("a/b/c", True),
        ("a", False),
        ("/a/b", False),
        ("./a/b", False),
        ("a/b c", False),
        ("../a", False),
    ],
)
def test_hub_ids(name, yes):
    assert is_hub_id(name) is yes


def test_table_names_are_unique_and_addresses_are_hub_ids():
    assert all(name == entry.name for name, entry in MODELS.items())
    assert all(is_hub_id(address) for entry in MODELS.values() for address in entry.addresses)


def test_licence_note_for_non_commercial_weights_only():
    for name in (
        "depth-anything-v2-large",
        "/x/depth_anything_v2_vitl.pth",
        "depth-anything/Depth-Anything-V2-Large-hf",
    ):
        assert "CC-BY-NC-4.0" in (licence_note(name) or "")
    assert "base" in (licence_note("depth_anything_v2_vitb.pth") or "")
    for name in ("depth-anything-v2-small", "depth_anything_v2_vits.pth", "embedded", "rows"):
        assert licence_note(name) is None


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """A local cache of the Hub as an earlier download leaves it."""
    commit = "0" * 40
    repository = tmp_path / "models--owner--model"
    inside = repository / "snapshots" / commit / "part"
    inside.mkdir(parents=True)
    (inside / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return inside


def test_hub_ids_come_from_the_local_cache_when_offline(hub_cache):
    assert resolve_weights("owner/model") == hub_cache.parent
    assert resolve_weights("owner/model/part") == hub_cache
    with pytest.raises(CheckpointError, match="the repository has no 'other'"):
        resolve_weights("owner/model/other")


def test_mirror_may_be_a_hub_id(hub_cache, monkeypatch):
    monkeypatch.setenv("WHEATSTONE_MIRROR_STEREOGEN", "owner/model/part")
    assert resolve_weights("stereogen") == hub_cache


@pytest.mark.parametrize("kind", ["depth", "synthesizer"])
def test_embedded_is_what_ships_for_that_place(kind):
    entry = model_entry("embedded", kind)
    assert (entry.ships, entry.kind) == (True, kind)
    assert model_entry("embedded") is None


def test_a_mirror_is_named_only_where_it_is_looked_at(tmp_path):
    with pytest.raises(CheckpointError, match="no weights for 'the base model'") as given:
        resolve_weights("the base model", str(tmp_path / "none"))
    assert "MIRROR" not in str(given.value)
    with pytest.raises(CheckpointError, match="WHEATSTONE_MIRROR_NOBODY"):
        resolve_weights("nobody")
