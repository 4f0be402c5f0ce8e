"""Every error is an LmscoreError, and the builtin a caller would expect."""

from __future__ import annotations

import pytest

from lmscore import errors
from lmscore.errors import LmscoreError, MissingExtraError, needs_extra

LEAVES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, LmscoreError) and kind is not LmscoreError
]


@pytest.mark.parametrize("leaf", LEAVES)
def test_each_leaf_has_two_parents_and_a_place_in_the_tree(leaf: type[LmscoreError]) -> None:
    base, builtin = leaf.__bases__
    assert base is LmscoreError
    assert builtin.__module__ == "builtins"
    drawn = [line for line in (errors.__doc__ or "").splitlines() if f"── {leaf.__name__} " in line]
    assert len(drawn) == 1
    assert f"({builtin.__name__})" in drawn[0]


@pytest.mark.parametrize("leaf", LEAVES)
def test_the_message_is_the_text(leaf: type[LmscoreError]) -> None:
    assert str(leaf("what, where, and what to do")) == "what, where, and what to do"


def test_a_missing_package_names_its_extra() -> None:
    with pytest.raises(MissingExtraError) as caught, needs_extra("export"):
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401
    assert str(caught.value) == (
        "this needs the package 'no_such_package': install the extra 'export'; "
        "in a checkout of lmscore: pip install '.[export]'"
    )


def test_a_missing_module_of_lmscore_is_a_bug_not_an_extra() -> None:
    with pytest.raises(ModuleNotFoundError) as caught, needs_extra("export"):
        import lmscore.no_such_module  # type: ignore[import-not-found]  # noqa: F401
    assert not isinstance(caught.value, LmscoreError)
