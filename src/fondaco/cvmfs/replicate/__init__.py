"""Replication: a copy of a repository in another store, verified object by object, that shows whole revisions only."""
