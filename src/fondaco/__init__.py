"""Fondaco: science software and data, stored, registered and sent on."""

__version__ = "0.1.0.dev0"
