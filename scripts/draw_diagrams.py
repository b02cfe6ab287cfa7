"""Draws the diagrams of the docs as SVG, with Mermaid in Debian's Chromium: no network is used.

``make diagrams`` runs it, and installs the npm packages of tests/peers first. Each picture carries the digest of its
diagram, by which a test sees that it is of that one.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

from deliverables.asked import ROOT
from deliverables.flow import DIAGRAMS, digest

MERMAID: Final = ROOT / "tests" / "peers" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
#: Plain text in the labels, not HTML: an image may not hold that. Ids without chance: the same diagram, the same file.
_CONFIG: Final = {
    "startOnLoad": False,
    "theme": "neutral",
    "htmlLabels": False,
    "deterministicIds": True,
    "flowchart": {"htmlLabels": False, "useMaxWidth": True, "wrappingWidth": 320},
    "themeVariables": {"fontFamily": "sans-serif", "fontSize": "15px"},
}


def draw(mermaid: Path = MERMAID) -> dict[str, str]:
    """Each picture, by its name.

    Args:
        mermaid: The browser build of the npm package.
    """
    chromium = shutil.which("chromium")
    assert chromium, "there is no chromium: apt-get install chromium"
    assert mermaid.is_file(), f"there is no {mermaid}: make diagrams installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content("<body></body>")
        page.add_script_tag(path=mermaid)
        page.evaluate("config => mermaid.initialize(config)", _CONFIG)
        made = {}
        for name, diagram in DIAGRAMS.items():
            svg = page.evaluate("async ([id, text]) => (await mermaid.render(id, text)).svg", [name, diagram()])
            made[name] = _finished(svg, digest(diagram()))
        browser.close()
    return made


def _finished(svg: str, said: str) -> str:
    """With a white ground, for pages that are dark, and what it is of."""
    size = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"', svg)
    assert size is not None
    svg = svg.replace('width="100%"', f'width="{float(size[1]):.0f}" height="{float(size[2]):.0f}"', 1)
    svg = re.sub(r'style="max-width: [\d.]+px;[^"]*"', 'style="background: white"', svg, count=1)
    return svg.replace(">", f"><!-- {said} -->", 1) + "\n"


def main() -> None:
    for name, svg in draw(Path(sys.argv[1]) if len(sys.argv) > 1 else MERMAID).items():
        path = ROOT / "docs" / "concepts" / f"{name}.svg"
        path.write_text(svg, encoding="utf-8")
        print(path.relative_to(ROOT), file=sys.stderr)


if __name__ == "__main__":
    main()
