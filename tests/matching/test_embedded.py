"""The small matcher: contract, start values, round trips; its figures live in the model card."""

import json
from pathlib import Path

import pytest
import torch

from wheatstone import load_matcher
from wheatstone.errors import CheckpointError, InputError
from wheatstone.matching import embedded, embedded_layers
from wheatstone.matching.embedded import EmbeddedMatcher, EmbeddedMatcherNet
from wheatstone.matching.embedded_layers import census_cost
from wheatstone.matching.sgbm import Sgbm, sgbm_disparity

SMALL = {"widths": (8, 8, 16, 16), "volume": 8, "hidden": (8, 8)}


def shifted_pair(shift: int, size: tuple[int, int] = (70, 150)) -> tuple[torch.Tensor, torch.Tensor]:
    """A textured pair whose true disparity is `shift` px everywhere."""
    generator = torch.Generator().manual_seed(3)
    wide = torch.rand(1, 3, size[0], size[1] + shift, generator=generator)
    wide = torch.nn.functional.avg_pool2d(wide, 3, 1, 1)
    return wide[..., : size[1]], wide[..., shift:]


@pytest.fixture
def matcher() -> EmbeddedMatcher:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return EmbeddedMatcher(**SMALL)


def test_any_size_comes_back_at_that_size_with_one_map_a_step(matcher: EmbeddedMatcher) -> None:
    left, right = shifted_pair(5)
    match = matcher(left, right, 3, all_iterations=True)
    assert match.disparity.shape == (1, 1, 70, 150)
    assert match.iterations is not None
    assert len(match.iterations) == 3
    assert torch.equal(match.iterations[-1], match.disparity)


def test_a_single_step_runs(matcher: EmbeddedMatcher) -> None:
    left, right = shifted_pair(5)
    assert matcher(left, right, 1).disparity.isfinite().all()


def test_the_result_does_not_depend_on_the_rest_of_the_batch(matcher: EmbeddedMatcher) -> None:
    pairs = [shifted_pair(5), shifted_pair(9)]
    left, right = (torch.cat([pair[i] for pair in pairs]) for i in (0, 1))
    both = matcher(left, right).disparity
    assert torch.equal(both[1:], matcher(*pairs[1]).disparity)


def test_it_starts_from_semi_global_matching_unless_told_otherwise(matcher: EmbeddedMatcher) -> None:
    left, right = shifted_pair(5)
    disparity, known = sgbm_disparity(left, right)
    given = matcher.start_values(left, right, None)
    assert torch.equal(given["initial"], Sgbm()(left, right).disparity)
    assert torch.equal(given["initial"][known], disparity[known])
    assert torch.equal(given["known"] > 0, known)
    alone = EmbeddedMatcher(**SMALL, start="none")
    assert alone.start_values(left, right, None) == {}
    mine = torch.full((1, 1, 70, 150), 7.0)
    assert torch.equal(matcher.start_values(left, right, mine)["initial"], mine)


def test_a_given_disparity_changes_the_answer_and_an_unknown_one_does_not(matcher: EmbeddedMatcher) -> None:
    left, right = (image[..., :64, :128] for image in shifted_pair(5))
    network = matcher.network
    with torch.no_grad():
        nothing = network(left, right, 3).predictions[-1]
        unknown = network(left, right, 3, initial=torch.full_like(left[:, :1], torch.nan))
        told = network(left, right, 3, initial=torch.full_like(left[:, :1], 40.0)).predictions[-1]
    assert torch.equal(unknown.predictions[-1], nothing)
    assert (told - nothing).abs().max() > 1


def test_before_training_it_echoes_what_it_is_given(matcher: EmbeddedMatcher) -> None:
    left, right = (image[..., :64, :128] for image in shifted_pair(5))
    given = 5 + 20 * (torch.arange(128) > 60).float().expand(1, 1, 64, 128)
    with torch.no_grad():
        answer = matcher.network(left, right, 4, initial=given).predictions[-1]
    assert ((answer - given).abs() < 0.01).float().mean() > 0.9
    assert (answer - given).abs().max() < 10  # the convex mean blurs the step; most of it is taken back


def test_every_parameter_learns() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = EmbeddedMatcherNet(**SMALL)
        for parameter in network.parameters():  # layers that start at zero hide what lies below them
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)
    left, right = (image[..., :64, :128] for image in shifted_pair(5))
    output = network(left, right, 4, initial=torch.full_like(left[:, :1], 4.0), known=(left[:, :1] > 0.5).float())
    assert output.initial is not None
    (sum(p.abs().mean() for p in output.predictions) + output.initial.abs().mean()).backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_only_the_last_map_is_made_on_request_and_it_is_the_same(matcher: EmbeddedMatcher) -> None:
    left, right = (image[..., :64, :128] for image in shifted_pair(5))
    with torch.no_grad():
        every = matcher.network(left, right, 4)
        last = matcher.network(left, right, 4, every=False)
    assert len(every.predictions) == 4
    assert len(last.predictions) == 1
    assert torch.equal(every.predictions[-1], last.predictions[-1])


def test_saved_and_loaded_it_gives_the_same(matcher: EmbeddedMatcher, tmp_path: Path) -> None:
    matcher.save_pretrained(tmp_path)
    left, right = shifted_pair(5)
    expected = matcher(left, right).disparity
    assert torch.equal(load_matcher("embedded", weights=tmp_path)(left, right).disparity, expected)
    assert torch.equal(load_matcher(str(tmp_path))(left, right).disparity, expected)
    assert load_matcher(str(tmp_path), start="none").config["start"] == "none"


def test_half_precision_on_the_cpu_can_be_switched_off_and_changes_little(matcher: EmbeddedMatcher) -> None:
    left, right = shifted_pair(5)
    exact = EmbeddedMatcher(**SMALL, half_on_cpu=False)
    exact.network.load_state_dict(matcher.network.state_dict())
    assert (matcher(left, right).disparity - exact(left, right).disparity).abs().median() < 0.1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_numbers(matcher: EmbeddedMatcher, dtype: torch.dtype) -> None:
    left, right = shifted_pair(5)
    assert matcher.to(dtype=dtype)(left, right).disparity.isfinite().all()


def test_wrong_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sgbm or none"):
        EmbeddedMatcher(start="census")
    with pytest.raises(CheckpointError, match="no weights"):
        load_matcher("embedded", weights=tmp_path)
    with pytest.raises(InputError, match="no setting 'block_size': it has widths"):
        load_matcher("embedded", block_size=5)


def test_a_folder_older_than_a_setting_takes_that_setting(matcher: EmbeddedMatcher, tmp_path: Path) -> None:
    matcher.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    del config["half_on_cpu"]
    file.write_text(json.dumps(config))
    assert load_matcher(str(tmp_path), half_on_cpu=False).config["half_on_cpu"] is False


def test_the_cost_is_least_at_the_true_disparity_whatever_the_exposure() -> None:
    left, right = shifted_pair(5)
    costs = [
        census_cost(left, 0.7 * right + 0.1, torch.full_like(left[:, :1], float(d)))[..., 20:].mean()
        for d in range(3, 8)
    ]
    assert costs.index(min(costs)) == 2
    assert costs[2] < 0.5 * sorted(costs)[1]


def test_a_measured_disparity_that_fits_better_stays_and_only_after_training(matcher: EmbeddedMatcher) -> None:
    left, right = (image[..., :64, :128] for image in shifted_pair(5))
    network = matcher.network
    with torch.no_grad():
        for parameter in network.fine_step.delta.parameters():
            parameter.fill_(0.5)  # leads away from any start
    true, wrong = (torch.full_like(left[:, :1], value) for value in (5.0, 9.0))
    inner = (..., slice(16, None))
    with torch.no_grad():
        assert (network(left, right, 4, initial=true).predictions[-1] == true)[inner].float().mean() > 0.9
        assert (network(left, right, 4, initial=wrong).predictions[-1] == wrong)[inner].float().mean() < 0.7
        guessed = network(left, right, 4, initial=true, known=torch.zeros_like(true)).predictions[-1]
        assert (guessed != true).all()
        network.train()
        assert (network(left, right, 4, initial=true).predictions[-1] != true).all()


def test_it_is_the_default_and_finds_a_shift_at_odd_sizes() -> None:
    matcher = load_matcher()
    assert matcher.name == "embedded"
    for shift, size in ((0, (41, 97)), (6, (33, 150)), (31, (70, 211))):
        found = matcher(*shifted_pair(shift, size)).disparity
        assert found.shape == (1, 1, *size)
        assert (found[..., shift + 8 : -8] - shift).abs().median() < 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (8, 300)])
def test_tiny_pairs_get_an_answer(size: tuple[int, int]) -> None:
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    found = load_matcher()(image, image).disparity
    assert found.shape == (1, 1, *size)
    assert found.isfinite().all()


def test_large_pairs_pass_through_the_network_in_bands(
    matcher: EmbeddedMatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = shifted_pair(5, (300, 96))
    whole = matcher(left, right).disparity
    heights = []
    monkeypatch.setattr(embedded, "_PIXELS_AT_ONCE", 96 * 100)
    monkeypatch.setattr(embedded, "_LEAST_ROWS", 96)
    matcher.network.register_forward_pre_hook(lambda _, views: heights.append(views[0].shape[-2]))
    bands = matcher(left, right, all_iterations=True)
    assert heights == [128] * 7  # 100 rows, padded
    assert bands.iterations is not None
    assert len(bands.iterations) == 4
    assert bands.disparity.shape == whole.shape
    assert ((bands.disparity - whole).abs() < 0.1).float().mean() > 0.95


def test_a_piece_at_a_time_gives_what_the_whole_gives(
    matcher: EmbeddedMatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = (image[..., :64, :128] for image in shifted_pair(5))
    for parameter in matcher.network.parameters():  # layers that start at zero would hide mistakes
        if not parameter.any():
            torch.nn.init.constant_(parameter, 0.02)
    whole = matcher.network(left, right, 4).predictions[-1].detach()  # with gradients nothing is cut
    monkeypatch.setattr("wheatstone.matching.row_bands.CPU_PIXELS", 1)
    monkeypatch.setattr(embedded_layers, "_LEAST_SLICES", 5)
    monkeypatch.setitem(embedded_layers._CELLS_AT_ONCE, True, 1)
    with torch.no_grad():
        pieces = matcher.network(left, right, 4).predictions[-1]
    assert torch.allclose(pieces, whole, atol=1e-4)
