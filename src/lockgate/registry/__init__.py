"""Named, versioned schemas and their compatibility. In: schemas, and the log that keeps them. Out: schemas by name.

Uses: ``protocol``, ``store``, ``workers``.

The rules (``versions``, ``references``, ``catalogue``, ``compatibility``, ``bundles``) are plain values and functions.
``registry`` keeps their history in the log of streams, so every node on the log knows the same schemas, whatever the
log is made of; ``folder`` brings in what stands in files.
"""
