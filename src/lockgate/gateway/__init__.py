"""HTTP, and nothing else: routes, access, contract, wiring. In: requests and settings. Out: answers.

Uses: ``streams``, ``retry``, ``protocol``, ``registry``, ``observe``, ``upstream``, ``store``, ``delivery``, ``pages``,
``config``, ``gate`` and the library (``lockgate``).
"""
