"""Faces of the log. In: an offset. Out: the records after it, as a client wants them.

Uses: ``protocol``, ``store``, ``observe``.

Faces only re-encode what the log holds; none has state of its own beyond a stream and an offset.
"""
