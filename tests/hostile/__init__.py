"""Attacks on a real node: what they cost a well-behaved caller beside them, and which limit held."""
