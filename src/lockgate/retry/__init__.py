"""How a failed answer goes on. In: facts, ``now_s``, a random number, released text. Out: the next attempt, and a join.

Uses: ``protocol``.

Sans-I/O: no clock, no socket, no random numbers of its own. The room has back-off, circuit breakers, the classes of
failures, and the rungs of the continuation ladder. Each rung asks for the rest of the released text in its own way. A
join compares the new answer with the released text and passes on what follows it; a gate that was rebuilt from the
released text judges all of that.
"""
