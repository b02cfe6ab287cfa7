"""The simulated upstream. In: a chat-completions request. Out: a stream like OpenRouter's, with the faults asked for.

Uses: ``protocol``.
"""
