"""The log in one SQLite file. In: jobs for one writer thread. Out: pages of entries.

Uses: ``store``, ``protocol``, ``waiting``.
"""
