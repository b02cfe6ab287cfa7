"""Types of a registered version, for Python and TypeScript: made by generators of others, which need not be there.

They are sent the schema with all that it refers to inside it, so they have nothing to look for in files or elsewhere.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from lockgate.errors import BadRequest, NotOffered
from lockgate.registry.bundles import with_places
from lockgate.registry.catalogue import RegisteredVersion

TypeLanguage: TypeAlias = Literal["python", "typescript"]
#: A generator that takes longer is stuck.
_PATIENCE_S: Final = 120.0
_WORDS: Final = re.compile(r"[A-Za-z0-9]+")
_PYTHON_OPTIONS: Final = (
    *("--input-file-type", "jsonschema", "--output-model-type", "pydantic_v2.BaseModel"),
    *("--target-python-version", "3.11", "--use-annotated", "--enum-field-as-literal", "all"),
    # The same output everywhere, and nothing from elsewhere.
    *("--formatters", "builtin", "--disable-timestamp", "--ignore-pyproject"),
    *("--strict-refs", "--no-allow-remote-refs"),
)


class _Generator(NamedTuple):
    """Makes types of one language.

    Attributes:
        command: How it is started; None where it is not installed.
        options: Of a type's name, and a line that is to stand before all else.
        comment: How such a line is written.
        missing: What to do where it is not installed.
    """

    command: Callable[[], list[str] | None]
    options: Callable[[str, str], list[str]]
    comment: str
    missing: str


def _datamodel_codegen() -> list[str] | None:
    if find_spec("datamodel_code_generator") is not None:
        return [sys.executable, "-m", "datamodel_code_generator"]
    found = shutil.which("datamodel-codegen")
    return [found] if found is not None else None


def _json2ts() -> list[str] | None:
    """As npx finds it: in the project of this directory, or one that it lies in; else on the path."""
    here = Path.cwd()
    places = [str(folder / "node_modules" / ".bin") for folder in (here, *here.parents)]
    found = next((one for place in places if (one := shutil.which("json2ts", path=place))), shutil.which("json2ts"))
    return [found] if found is not None else None


_GENERATORS: Final[dict[TypeLanguage, _Generator]] = {
    "python": _Generator(
        _datamodel_codegen,
        lambda name, head: [*_PYTHON_OPTIONS, "--class-name", name, "--custom-file-header", head],
        "# {}",
        "--python needs datamodel-code-generator, which is not installed: pip install 'lockgate[types]'",
    ),
    "typescript": _Generator(
        _json2ts,
        lambda _name, head: ["--bannerComment", head],
        "// {}",
        "--typescript needs json-schema-to-typescript, which is not installed: "
        "npm install --save-dev json-schema-to-typescript",
    ),
}


def types_of(version: RegisteredVersion, document: bytes, language: TypeLanguage) -> str:
    """A module with the type of a version's documents.

    Args:
        document: The schema, with those inside it that it refers to.

    Raises:
        NotOffered: the generator is not installed; says how to install it.
        BadRequest: it can make none of this schema.
    """
    generator = _GENERATORS[language]
    command = generator.command()
    if command is None:
        raise NotOffered(generator.missing)
    name = type_name(version)
    try:
        schema = _titled(with_places(msgspec.json.decode(document)), name)
    except BadRequest as error:
        raise BadRequest(f"no types of {version.id} can be made: {error}") from None
    head = generator.comment.format(f"Types of {version.id}, sha256:{version.sha256}; made by lockgate schema types.")
    return _run([*command, *generator.options(name, head)], json.dumps(schema), version.id)


def type_name(version: RegisteredVersion) -> str:
    """``Invoice2`` for ``invoice@2``, and for ``invoice@2.1.0``: who takes a minor version changes no program."""
    words = "".join(word[0].upper() + word[1:] for word in _WORDS.findall(version.identity.name))
    name = f"{words}{version.version.major}"
    return name if name[0].isalpha() else f"Schema{name}"


def _titled(schema: Any, name: str) -> Any:
    if isinstance(schema, bool):
        schema = {} if schema else {"not": {}}
    return {**schema, "title": name}


def _run(command: list[str], text: str, version_id: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  (a program that the user has installed)
            command, input=text, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise BadRequest(f"no types of {version_id} were made in {_PATIENCE_S:g} s: the generator is stuck") from None
    if done.returncode != 0 or not done.stdout.strip():
        said = (done.stderr.strip() or "it says nothing").splitlines()
        why = next((line for line in said if line.lstrip().startswith("message:")), said[-1])
        raise BadRequest(f"no types of {version_id} can be made: {why.strip()}")
    return done.stdout
