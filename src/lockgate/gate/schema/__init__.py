"""JSON Schema in, checks out: what can be decided about a value while its bytes arrive.

May use: of the gate ``events``, ``limits``, ``grammar`` and ``scan``; nothing else of lockgate but ``errors``.
"""
