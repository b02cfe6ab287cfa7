"""The stream log. In: payloads, appended in order by one fenced owner. Out: entries with offsets.

Uses: ``protocol``, ``waiting``.
"""
