"""The rules of the wire and of time. In: bytes, facts, ``now_s``. Out: bytes, decisions. Uses: nothing of lockgate.

Sans-I/O: no clock, no socket, no chance.
"""
