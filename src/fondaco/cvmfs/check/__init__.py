"""Checking a repository: what the reference checker finds, and what only a client would stumble over."""

from fondaco.cvmfs.check.findings import Code, Finding, Report, Totals
from fondaco.cvmfs.check.run import Progress, check

__all__ = ["Code", "Finding", "Progress", "Report", "Totals", "check"]
