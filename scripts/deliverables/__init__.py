"""The documents that were asked for, one module each; ``scripts/write_deliverables.py`` writes them."""
