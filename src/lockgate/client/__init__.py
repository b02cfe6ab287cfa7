"""The Python client. In: a gateway's address. Out: records, exactly once, over any number of connections.

Uses: ``protocol``.
"""
