"""Faces of the log. In: an offset. Out: the records after it, as a client wants them.

Uses: ``protocol``, ``store``, ``observe``, ``waiting``.

Faces only re-encode what the log holds. A face has no state but a stream and an offset.
"""
