"""Long documents of our own, with their schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.data.schemas import ORDER, TREE


def _tree(depth: int) -> dict[str, Any]:
    below = [_tree(depth - 1) for _ in range(3)] if depth else []
    return {"label": f"a node {depth} above the ground", "weight": depth / 4, "children": below}


def files() -> Iterator[tuple[str, str]]:
    """Name and text of every file: documents, what is known of each, and schemas."""
    lines = [{"sku": f"part {number} “é 😀”", "count": number, "gift": number % 3 == 0} for number in range(1, 400)]
    order = {"id": "AB-1234", "status": "paid", "total": 1e3, "lines": lines}
    spoiled = {**order, "lines": [*lines[:200], {"sku": "the wrong one", "count": 0}, *lines[200:]]}
    rows: list[tuple[str, Any, Any, bool]] = [
        ("order", ORDER, order, True),
        ("order-with-a-fault", ORDER, spoiled, False),
        ("tree", TREE, _tree(5), True),
        ("anything", None, {"rows": [[one, str(one), one % 2 == 0, None] for one in range(800)]}, True),
    ]
    for name, schema, document, is_valid in rows:
        path = f"schemas/{name}.schema.json"
        meta = {
            "schema": path if schema is not None else None,
            "validates": is_valid,
            "validates_with_formats_asserted": is_valid,
        }
        yield f"{name}.json", json.dumps(document, ensure_ascii=False, indent=1)
        yield f"{name}.meta.json", json.dumps(meta)
        if schema is not None:
            yield path, json.dumps(schema)
