"""Processes beside the node for work that nobody can bound beforehand. In: a schema, a text. Out: what they come to.

Uses: ``gate``, ``observe``, ``sim`` (it writes documents for a schema), and the library (``lockgate``).

Each has limits of CPU time and memory that the system keeps, so whatever a stranger's schema costs, it costs one of
these processes and no stream of others. They talk by frames over pipes, know no secret, and end with the node.
"""
