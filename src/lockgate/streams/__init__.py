"""Owns the tasks of streams. In: a plan, deltas of a provider or of producers. Out: records in the log.

Uses: ``gate``, ``protocol``, ``retry``, ``observe``, ``upstream``, ``store``,
``waiting``, ``workers``, ``keys``, ``registry``, and the library (``lockgate``).

Knows neither HTTP nor settings: what it needs of them comes in as plain values.
"""
