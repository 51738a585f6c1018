"""The public face: every name of the table exists where the table says."""

import pytest

import wheatstone


@pytest.mark.parametrize("name", wheatstone.__all__)
def test_public_name_resolves(name):
    assert getattr(wheatstone, name) is not None


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no_such_name"):
        wheatstone.no_such_name  # noqa: B018
    assert "load_depth" in dir(wheatstone)
