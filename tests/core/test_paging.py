import pytest

from perenne.core.errors import Invalid
from perenne.core.paging import ROWS, Page, page_of


def test_a_window_is_never_larger_than_a_page() -> None:
    assert page_of({"limit": "5000"}) == Page(0, ROWS)
    assert page_of({"limit": "0", "offset": "7"}) == Page(7, 1)


@pytest.mark.parametrize("text", ["", "-1", "1e3", "x", "٣", "9999999999", "1.0", " 1"])
def test_what_is_no_number_names_its_field(text: str) -> None:
    for name in ("offset", "limit"):
        with pytest.raises(Invalid, match=name):
            page_of({name: text})
