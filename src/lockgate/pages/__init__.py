"""What people look at. In: the log, readers, prompts. Out: pages and the few routes that only they use.

Uses: ``streams``, ``store``, ``delivery``.
"""
