"""The simulated provider. In: a chat-completions request. Out: a stream like OpenRouter's, with the requested faults.

Uses: nothing of lockgate.
"""
