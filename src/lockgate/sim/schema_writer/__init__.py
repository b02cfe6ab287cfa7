"""Documents for any JSON Schema. In: a schema, a seed, a size. Out: a document that satisfies it, or a clear refusal.

How it works: the schemas that hold for one value are gathered into one (``flat``), with a branch chosen wherever there
is a choice; a value is drawn from that (``writer``), strings from expressions and formats (``regexes``, ``texts``).
What drawing cannot see to, such as ``not`` or "exactly one", the validator sees (``judge``), and another draw is made.
The whole is judged at the end (``entry``): no document leaves that does not satisfy its schema.
"""
