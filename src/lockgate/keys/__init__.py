"""Who may ask for what: keys, signed URLs, and what each key has used. In: secrets and the log. Out: callers.

Uses: ``protocol``, ``store``.

Keys stand in the log of streams, so every node on the log knows them, whatever the log is made of.
"""
