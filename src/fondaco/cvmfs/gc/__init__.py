"""Garbage collection: objects that no revision to be kept needs are removed from the store."""
