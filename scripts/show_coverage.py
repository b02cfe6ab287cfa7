"""Print how much of the package the last test run executed, and the modules with the least of it.

What runs in processes that the tests start (gateways, commands) is not counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from coverage import Coverage

SHOWN = 5


class Share(NamedTuple):
    """Statements of one module."""

    executed: int
    statements: int
    module: str

    @property
    def percent(self) -> float:
        return 100 * self.executed / self.statements


def shares() -> list[Share]:
    """One for each module that has statements."""
    coverage = Coverage()
    coverage.load()
    found = []
    for path in sorted(Path("src").rglob("*.py")):
        _, statements, _, missing, _ = coverage.analysis2(str(path))
        if statements:
            module = ".".join(path.relative_to("src").with_suffix("").parts)
            found.append(Share(len(statements) - len(missing), len(statements), module))
    return found


def main() -> None:
    found = shares()
    whole = Share(sum(one.executed for one in found), sum(one.statements for one in found), "")
    least = sorted(found, key=lambda one: one.percent)[:SHOWN]
    print(f"coverage: {whole.percent:.0f} % of {whole.statements} statements, without other processes;", end=" ")
    print("least: " + ", ".join(f"{one.module} {one.percent:.0f} %" for one in least))


if __name__ == "__main__":
    main()
