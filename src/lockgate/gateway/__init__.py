"""The only room that wires rooms together: provider to gate to log, log to faces, all of it to a server.

Uses: all below it.
"""
