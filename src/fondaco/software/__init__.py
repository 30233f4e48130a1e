"""Repositories as a service: what lies in a bucket becomes a CernVM-FS repository."""
