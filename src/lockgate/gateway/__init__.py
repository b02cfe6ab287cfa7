"""HTTP, and nothing else: routes, access, contract, wiring. In: requests and settings. Out: answers.

Uses: ``streams``, ``retry``, ``protocol``, ``observe``, ``upstream``, ``store``, ``delivery``, ``pages``,
``config``, ``gate``, ``workers``, ``keys``, ``waiting``, ``registry`` and the library (``lockgate``).
"""
