"""The names that `import sparsecore` gives."""

import pytest

import sparsecore


@pytest.mark.parametrize("name", sparsecore.__all__)
def test_every_public_name_is_there(name):
    assert getattr(sparsecore, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="soft_threshold"):
        _ = sparsecore.soft_threshold
