"""The judge. In: a schema, and JSON bytes cut anywhere. Out: released text and violations. Uses: nothing of lockgate.

Sans-I/O: no clock, no socket, no chance.
"""
