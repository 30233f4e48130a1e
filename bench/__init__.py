"""Measures the budgets of the design on this machine. `make bench`, or `python -m bench --help`; see README.md here."""
