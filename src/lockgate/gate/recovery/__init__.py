"""Recovery: how the released text goes on after a violation. Nothing is ever taken back.

In: bytes of upstream and a schema's places. Out: events, as every gate's. May use the rest of the gate, nothing else.
"""
