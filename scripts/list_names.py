"""Lists names of classes and modules that the package uses more than once. A name should mean one thing.

Run by ``make check``. A name that is used twice for a good reason stands in ``ALLOWED``, with the reason; there is room
for five.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).parents[1] / "src" / "lockgate"
_MOST_ALLOWED: Final = 5

ALLOWED: Final = {
    "module log": "the stream log of the store that the folder is named after",
    "module base": "the protocol that the modules of a room follow, the same in each room",
}


def names_of(path: Path) -> Iterator[str]:
    """What a file gives a name to: itself, and its classes, with or without a leading underscore."""
    if path.stem not in ("__init__", "__main__"):
        yield f"module {path.stem}"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            yield f"class {node.name.lstrip('_')}"


def used_twice(folder: Path) -> dict[str, list[str]]:
    """Names that stand for more than one thing, with the files that use them."""
    places = defaultdict(list)
    for path in sorted(folder.rglob("*.py")):
        for name in names_of(path):
            places[name].append(str(path.relative_to(folder)))
    return {name: files for name, files in sorted(places.items()) if len(files) > 1}


def faults(found: dict[str, list[str]], allowed: dict[str, str]) -> list[str]:
    """What is wrong: names without a reason, and reasons that nothing needs."""
    lines = [f"{name}: {', '.join(files)}" for name, files in found.items() if name not in allowed]
    lines += [f"{name}: is allowed, but used once" for name in allowed if name not in found]
    if len(allowed) > _MOST_ALLOWED:
        lines.append(f"{len(allowed)} names are allowed; {_MOST_ALLOWED} is the most")
    return lines


def main() -> int:
    found = used_twice(SOURCE)
    for name in sorted(found.keys() & ALLOWED.keys()):
        print(f"{name} ({ALLOWED[name]}): {', '.join(found[name])}")
    wrong = faults(found, ALLOWED)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
