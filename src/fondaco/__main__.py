"""`python -m fondaco` is `fondaco`."""

from fondaco.cli.main import run

run()
