"""A fondaco in a folder: starts and watches the real services on this machine, on loopback only."""
