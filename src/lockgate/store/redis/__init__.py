"""The log in Redis, for gateways on several machines. In: steps of streams. Out: pages of entries.

Uses: ``store``, ``protocol``, ``waiting``.
"""
