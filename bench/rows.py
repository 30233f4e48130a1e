"""What a row of the bench is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value."""

    label: str
    value: float
    unit: str  # "s", "B" or ""
    budget: float | None = None  # the most it may be, in the same unit
    ratio: float | None = None  # to the baseline that ran beside it

    @property
    def over(self) -> bool:
        return self.budget is not None and self.value > self.budget


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and how often to measure."""

    folder: Path  # empty; removed when all rows are measured
    runs: int  # the median of so many is shown


Measure = Callable[[Setting], Sequence[Figure]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Something to measure."""

    name: str
    title: str  # with sizes
    measure: Measure
    long: bool = False  # minutes, or much disk: only when asked for


def shown(value: float, unit: str) -> str:
    """A value for people: three digits and a fitting unit."""
    if unit == "s":
        return f"{value * 1000:.3g} ms" if value < 0.1 else f"{value:.3g} s" if value < 100 else f"{value:.0f} s"
    if unit == "B":
        return f"{value / 1e6:.0f} MB" if value >= 1e7 else f"{value / 1e6:.2g} MB"
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
