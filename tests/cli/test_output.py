"""How moments are shown."""

import pytest

from fondaco.cli.output import human_time


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "1970-01-01 00:00:00"), (-1, "1969-12-31 23:59:59"), (1 << 60, f"@{1 << 60}"), (-(1 << 62), f"@{-(1 << 62)}")],
)
def test_any_time_of_a_catalog_can_be_shown(seconds: int, shown: str) -> None:
    assert human_time(seconds) == shown
