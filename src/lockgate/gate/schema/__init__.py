"""JSON Schema in, checks out: what can be decided about a value while its bytes arrive."""
