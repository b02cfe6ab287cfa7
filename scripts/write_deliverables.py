"""Writes the documents that were asked for by name, from the code, the settings and docs/acceptance.toml.

Run by ``make docs``; a test fails when a file is not what this script would write. The modules of ``deliverables`` make
one document each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))

from deliverables import acceptance, assembly, configuration, flow, metrics, provider_types, solution
from deliverables.asked import ROOT

PAGES: Final[dict[str, Callable[[], str]]] = {
    "docs/acceptance.md": acceptance.page,
    "docs/concepts/chunk-assembly.md": assembly.page,
    "docs/concepts/validation-flow.md": flow.page,
    "docs/reference/configuration.schema.json": configuration.schema_text,
    "docs/reference/metrics.md": metrics.page,
    "docs/reference/provider.interface.ts": provider_types.text,
    "docs/reference/solution.md": solution.page,
    "docs/reference/streaming-configuration.md": configuration.page,
}


def main() -> None:
    for name, page in PAGES.items():
        (ROOT / name).write_text(page(), encoding="utf-8")
        print(name, file=sys.stderr)


if __name__ == "__main__":
    main()
