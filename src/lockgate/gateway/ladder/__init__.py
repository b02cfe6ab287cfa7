"""The continuation ladder: how a generation that failed goes on where its released text ends.

In: the released text of a channel, its schema, and the bytes of another attempt. Out: the bytes to feed to a gate that
was rebuilt from the released text. Everything here is sans-I/O; what it lets through is judged by that gate.
"""
