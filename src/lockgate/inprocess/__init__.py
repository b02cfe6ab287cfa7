"""Gates in the caller's own process. In: chunks of an openai client, text, or an ASGI response. Out: the same, judged.

Uses: ``gate``, ``protocol``, ``upstream``.

No server, no log and no other attempt. Nothing here opens a connection: it reads what the caller's own objects bring,
closes them when a text is over, and needs nothing of their libraries but the names that their methods have.

From the bottom up: ``turns`` and ``closing`` (event loops, and what is to be closed), ``handling`` (options, and one
text through its gate), ``value_types`` (elements as the caller's types), ``text_iterators`` (``astream``, ``stream``),
``answer_plan`` (what a request asks for), ``placing`` (released text back into chunks), ``judged_answer`` (all texts of
an answer), ``gated_client`` (``wrap``), ``gated_response`` (the middleware).
"""
