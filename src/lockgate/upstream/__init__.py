"""Providers. In: a request body. Out: lists of events: text by channel, finish, usage, failures.

Uses: ``protocol``, ``waiting``.
"""
