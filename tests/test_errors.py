"""Errors a user can mend."""

import json

import pytest

from wheatstone.errors import InputError, MissingExtraError, WheatstoneError, require


def test_require_returns_the_module_or_names_the_extra():
    assert require("json", "demo", "Reading") is json
    with pytest.raises(MissingExtraError, match=r"Rendering needs .*no_such_module.*wheatstone\[scenes\]"):
        require("no_such_module", "scenes", "Rendering")


def test_every_error_is_a_wheatstone_error_and_a_builtin_one():
    assert issubclass(InputError, WheatstoneError)
    assert issubclass(InputError, ValueError)
    assert issubclass(MissingExtraError, ImportError)
