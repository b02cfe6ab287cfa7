"""How a failed answer goes on. In: facts, ``now_s``, dice, released text. Out: the next attempt, and what joins it.

Uses: ``protocol``.

Sans-I/O: no clock, no socket, no chance. Back-off, circuit breakers, classes of failures, and the rungs of the
continuation ladder: each asks another attempt for the rest of the released text in its own way. Everything that a rung
lets through is judged by a gate that was rebuilt from the released text.
"""
