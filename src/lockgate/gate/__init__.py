"""The judge. In: a schema, and JSON bytes cut anywhere. Out: released text and violations. Uses: nothing of lockgate.

Sans-I/O: no clock, socket, process, thread or chance.

From the bottom up: ``events``, ``limits``, ``grammar`` (words that all share), ``repetition`` (what loops), ``scan``
(bytes to tokens), ``schema/`` (what may stand where), ``values`` and ``partial`` (the value so far), ``authority`` (the
last word), ``base`` (what every gate is), the gates (``halt``, ``passthrough``, ``recovery/``, ``lines``), ``compiled``
(a schema makes its gates), ``repair``. No module uses one above it.
"""
