"""Recovery: how a text goes on after a violation. Nothing that was released is ever taken back.

In: bytes of upstream. Out: events, as from every gate. One gate (``recovering``) holds strategies (``patch``, ``skip``)
and asks them in order; patch holds rules, each a class with an id and a line for people.

May use: of the gate ``base`` and what that uses; nothing above, and nothing else of lockgate but ``errors``.
"""
