"""Measures the rows that are asked for and prints them; asserts nothing."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench import buckets, change, events, large, planning, publish, reading
from bench.machine import machine
from bench.rows import Figure, Row, Setting, shown

ROWS: tuple[Row, ...] = (
    *publish.ROWS,
    *buckets.ROWS,
    *change.ROWS,
    *planning.ROWS,
    *events.ROWS,
    *reading.ROWS,
    *large.ROWS,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options = _parser().parse_args(arguments)
    chosen = [row for row in ROWS if row.name in options.rows or (not options.rows and (options.long or not row.long))]
    unknown = set(options.rows) - {row.name for row in ROWS}
    if unknown:
        sys.exit(f"bench: no row {', '.join(sorted(unknown))}; there are: {', '.join(row.name for row in ROWS)}")
    with tempfile.TemporaryDirectory(prefix="fondaco-bench-", dir=options.folder) as scratch:
        about = machine(Path(scratch))
        if not options.json:
            _tell_machine(about)
        results = {}
        for row in chosen:
            if not options.json:
                print(f"\n{row.name}  {row.title}", flush=True)
            results[row.name] = _measured(row, Path(scratch) / row.name, options.runs)
            if not options.json:
                _tell(results[row.name])
    if options.json:
        print(json.dumps({"machine": about, "rows": _as_data(chosen, results)}, indent=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = ", ".join(row.name + (" (long)" if row.long else "") for row in ROWS)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"what to measure, all if none is named: {names}")
    parser.add_argument("--runs", type=int, default=3, help="show the median of so many runs (3)")
    parser.add_argument("--long", action="store_true", help="also rows that take minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument(
        "--folder", type=Path, help="where to work, on the disk to be measured (the system's for temporary files)"
    )
    return parser


def _measured(row: Row, folder: Path, runs: int) -> Sequence[Figure]:
    folder.mkdir()
    return row.measure(Setting(folder=folder, runs=runs))


def _tell_machine(about: dict[str, str | int | float]) -> None:
    print(
        f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, {about['system']}, {about['filesystem']}"
    )
    print(f"Python {about['python']}, zlib {about['zlib']}, fondaco {about['fondaco']}, load before {about['load']}")


def _tell(figures: Sequence[Figure]) -> None:
    for figure in figures:
        line = f"  {figure.label:<16}{shown(figure.value, figure.unit):>10}"
        line += f"{figure.ratio:>8.2f} x baseline" if figure.ratio is not None else " " * 19
        if figure.budget is not None:
            line += f"   budget {shown(figure.budget, figure.unit)}{', over' if figure.over else ''}"
        print(line.rstrip(), flush=True)


def _as_data(chosen: Sequence[Row], results: dict[str, Sequence[Figure]]) -> list[dict[str, object]]:
    return [
        {"name": row.name, "title": row.title, "figures": [asdict(figure) for figure in results[row.name]]}
        for row in chosen
    ]


if __name__ == "__main__":
    main()
