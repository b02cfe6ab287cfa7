"""Documents for any JSON Schema. In: a schema, a seed, a size. Out: a document that satisfies it, or a clear refusal.

How it works: all schemas that apply to a value are gathered into one (``flat``), and a branch is chosen wherever there
is a choice. A value is drawn from that (``writer``), its strings from patterns and formats (``regexes``, ``texts``).
Drawing cannot guarantee some keywords, such as ``not`` or ``oneOf``. The validator checks them (``part_validator``); if
it refuses the value, another one is drawn. At the end the whole document is checked (``schema_entry``): no document
leaves that does not satisfy its schema.
"""
