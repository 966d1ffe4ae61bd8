"""The contracts are tests: pytest explains their failing assertions like those of any test."""

import pytest

pytest.register_assert_rewrite("perenne.testing")
