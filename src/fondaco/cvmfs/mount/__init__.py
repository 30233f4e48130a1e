"""A repository mounted read-only over FUSE, every byte verified; `fondaco cvmfs mount`.

The optional dependency pyfuse3 is needed by :mod:`session` and what that imports, and by nothing else. The other
modules decide: which inode number, which attributes, which magic attribute, what leaves the cache, which manifest is
taken over.

One thread serves the kernel and owns all state (nodes, open catalogs, open files), so that none of it is locked; what
waits for a network or decompresses runs in worker threads.
"""
