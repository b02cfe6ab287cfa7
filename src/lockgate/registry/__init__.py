"""Named, versioned schemas and their compatibility. In: schemas. Out: compiled ones by name. Uses: ``gate``."""
