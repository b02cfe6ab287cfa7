"""Where settings come from: a file, the environment and flags, laid over each other.

Nothing here knows a setting by name: the keys are those of a pydantic model whose members are sections (models again)
or values. A section that says ``FURTHER`` may be a list of tables: the first is the section, the others are rows of the
member of that name. Each source adds what it says, key by key, with its origin; a later one wins. The model then checks
the whole, and whatever is wrong is told with the key and the source of the value that counts. Secrets are never told.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from lockgate.errors import Code, LockgateError

PREFIX: Final = "LOCKGATE_"
#: Variables with our prefix that are no settings, and who reads them.
NO_SETTINGS: Final[dict[str, str]] = {
    "LOCKGATE_ACCEPTANCE_BYTES": "The acceptance tests: how long their streams are.",
    "LOCKGATE_ENDS": "The crash tests: how many ends of a node their long form has.",
    "LOCKGATE_PURE": "`lockgate` itself: `1` runs the Python source, also where its modules are compiled.",
    "LOCKGATE_TEST_DATA": "The tests, and the pages measured on the same data: the folder of the recordings.",
}
#: Stands where a secret would.
HIDDEN: Final = "***"

Model = TypeVar("Model", bound=BaseModel)


class SettingsError(LockgateError):
    """A setting that cannot be used. The message is one line that names the key and where it came from."""

    code = Code.SETTINGS_ERROR


class Origin(NamedTuple):
    """Where a value came from: the kind of source, and its name (a path, a variable, a flag)."""

    kind: Literal["default", "file", "environment", "flag"]
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.kind


DEFAULT: Final = Origin("default")


class Flag(NamedTuple):
    """A setting on the command line.

    Attributes:
        name: How it was given: ``--port``, ``--set``.
        key: The setting, like ``server.port``.
        text: Its value.
    """

    name: str
    key: str
    text: str


@dataclass(frozen=True)
class Key:
    """One setting of a model.

    Attributes:
        path: Names of the members that lead to it, as Python has them.
        name: The same as files and flags have them, with dots: ``delivery.retry.maxAttempts``.
    """

    path: tuple[str, ...]
    name: str
    field: FieldInfo

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return _variable(self.path)


def keys_of(model: type[BaseModel]) -> Iterator[Key]:
    """Every setting of a model, in its order."""
    return (Key(path, name, field) for path, name, field in _walk(model) if _section(field) is None)


def _walk(
    model: type[BaseModel], path: tuple[str, ...] = (), prefix: str = ""
) -> Iterator[tuple[tuple[str, ...], str, FieldInfo]]:
    """Sections and settings: path, name, field."""
    for name, field in model.model_fields.items():
        inner, spelled = (*path, name), prefix + (field.alias or name)
        yield inner, spelled, field
        section = _section(field)
        if section is not None:
            yield from _walk(section, inner, f"{spelled}.")


class Row(NamedTuple):
    """A setting in force: a value fit for JSON, with secrets hidden, and where it came from."""

    key: str
    value: Any
    origin: Origin


@dataclass(frozen=True)
class InForce(Generic[Model]):
    """Settings that were checked, and where each value came from."""

    settings: Model
    origins: Mapping[tuple[str, ...], Origin]

    def rows(self) -> Iterator[Row]:
        """Every setting; of a map, every entry."""
        for key in keys_of(type(self.settings)):
            value: Any = self.settings
            for name in key.path:
                value = getattr(value, name)
            if isinstance(value, Mapping) and value:
                for entry, inner in value.items():
                    yield Row(f"{key.name}.{entry}", _shown(inner), self._origin((*key.path, entry)))
            else:
                yield Row(key.name, _shown(value), self._origin(key.path))

    def located(self, message: str) -> str:
        """A message that begins with the settings it is about, with where their values came from and no secrets."""
        about = message.partition(": ")[0].split(", ")
        origins = [self._origin(key.path) for key in keys_of(type(self.settings)) if key.name in about]
        names = _names(origin for origin in origins if origin != DEFAULT)
        return _bare(message) + (f" (from {names})" if names else "")

    def with_source(self, name: str) -> str:
        """The name of a setting or of an entry of a map, and where its value came from."""
        origins = [origin for path, origin in self.origins.items() if ".".join(path) == name]
        return f"{name} (from {_names(origins)})" if origins else name

    def _origin(self, path: tuple[str, ...]) -> Origin:
        return self.origins.get(path, DEFAULT)


class Sources(Generic[Model]):
    """What is given for the settings of a model; what is added later wins."""

    def __init__(self, model: type[Model]) -> None:
        self._model = model
        self._names = {path: name for path, name, _ in _walk(model)}
        self._given: dict[tuple[str, ...], tuple[Any, Origin]] = {}
        self._problems: list[str] = []

    def add_file(self, path: Path) -> None:
        """Add a ``.toml``, ``.yaml`` or ``.json`` file.

        Raises:
            SettingsError: it cannot be read as what it is.
        """
        self.add_values(_read_file(path), Origin("file", str(path)))

    def add_environment(self, environment: Mapping[str, str]) -> None:
        """Add the variables that begin with ``LOCKGATE_``."""
        ours = [name for name in environment if name.upper().startswith(PREFIX)]
        foreign = {*NO_SETTINGS, *_of_kubernetes(ours)}
        # A whole section first, so that a variable for one setting of it wins.
        for name in sorted(ours, key=lambda name: (name.count("__"), name)):
            if name.upper() not in foreign:
                names = name[len(PREFIX) :].lower().split("__")
                self._add_text(names, environment[name], Origin("environment", name))

    def add_flags(self, flags: Iterable[Flag]) -> None:
        """Add flags, in their order."""
        for flag in flags:
            self._add_text(flag.key.split("."), flag.text, Origin("flag", flag.name))

    def add_values(self, values: Mapping[str, Any], origin: Origin) -> None:
        """Add nested values."""
        self._add_section(self._model, (), values, origin)

    def resolve(self) -> InForce[Model]:
        """The settings.

        Raises:
            SettingsError: one line for each thing that is wrong.
        """
        problems = list(self._problems)
        try:
            settings = self._model.model_validate(self._nested())
        except ValidationError as error:
            problems += [self._refused(one) for one in error.errors()]
        if problems:
            raise SettingsError("\n".join(problems))
        return InForce(settings, {path: origin for path, (_, origin) in self._given.items()})

    # -- taking in ---------------------------------------------------------------------------------------------

    def _add_section(self, model: type[BaseModel], path: tuple[str, ...], values: Any, origin: Origin) -> None:
        if values is None:
            return  # a section of a YAML file whose lines are all commented out
        further = getattr(model, "FURTHER", None)
        if isinstance(values, list) and values and further is not None:
            self._add_section(model, path, values[0], origin)
            if len(values) > 1:
                self._add_value((*path, further), model.model_fields[further], values[1:], origin)
            return
        if not isinstance(values, Mapping):
            self._problem(self._names[path], "is a section, which holds settings by name", origin)
            return
        seen: dict[str, str] = {}
        for spelled, value in values.items():
            member = _member(model, str(spelled))
            if member is None:
                self._unknown(f"{self._names[path]}.{spelled}" if path else str(spelled), origin)
                continue
            name, field = member
            if name in seen:
                self._problem(self._names[(*path, name)], f"is given twice, also as {seen[name]}", origin)
            seen[name] = str(spelled)
            section = _section(field)
            if section is not None:
                self._add_section(section, (*path, name), value, origin)
            else:
                self._add_value((*path, name), field, value, origin)

    def _add_value(self, path: tuple[str, ...], field: FieldInfo, value: Any, origin: Origin) -> None:
        """One value, in place of what was given before; the entries of a map each know where they came from."""
        for known in [known for known in self._given if known[: len(path)] == path]:
            del self._given[known]
        if _is_map(field) and isinstance(value, Mapping) and value:
            self._given.update({(*path, str(entry)): (inner, origin) for entry, inner in value.items()})
        else:
            self._given[path] = (value, origin)

    def _add_text(self, names: Sequence[str], text: str, origin: Origin) -> None:
        """What a flag or a variable says."""
        section: type[BaseModel] | None = self._model
        path: tuple[str, ...] = ()
        field: FieldInfo | None = None
        for at, name in enumerate(names):
            if field is not None and _is_map(field) and origin.kind == "flag":
                self._given.pop(path, None)  # an empty map
                self._given[(*path, ".".join(names[at:]))] = (text, origin)
                return
            member = _member(section, name) if section is not None else None
            if member is None:
                if origin.kind == "environment":
                    self._unknown_variable(names, origin.name)
                else:
                    self._unknown(".".join(names), origin)
                return
            path, field = (*path, member[0]), member[1]
            section = _section(field)
        assert field is not None
        try:
            if section is not None:
                self._add_section(section, path, _json(text, dict, "object"), origin)
            else:
                self._add_value(path, field, _value(field, text), origin)
        except ValueError as error:
            self._problem(self._names[path], str(error), origin)

    def _nested(self) -> dict[str, Any]:
        nested: dict[str, Any] = {}
        for path, (value, _) in self._given.items():
            inner = nested
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            inner[path[-1]] = value
        return nested

    # -- telling -----------------------------------------------------------------------------------------------

    def _problem(self, key: str, what: str, *origins: Origin) -> None:
        self._problems.append(_line(key, what, origins))

    def _unknown(self, key: str, origin: Origin) -> None:
        meant = _closest(key.split("."), self._names)
        hint = f"; did you mean {self._names[meant]}?" if meant else ""
        if meant and self._names[meant] == key:
            hint = "; a file holds sections, not names with dots"
        self._problem(key, f"there is no such setting{hint}", origin)

    def _unknown_variable(self, names: Sequence[str], variable: str) -> None:
        meant = _closest(names, self._names)
        self._problem(variable, "there is no such setting" + (f"; did you mean {_variable(meant)}?" if meant else ""))

    def _refused(self, error: Any) -> str:
        """The line for one of pydantic's errors."""
        path, field, inside = self._find(error["loc"])
        key = self._names.get(path, "") + "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in inside
        )
        if error["type"] == "extra_forbidden":
            rows = [kind for kind in _kinds(field.annotation if field else None) if _is_model(kind)]
            meant = difflib.get_close_matches(str(inside[-1]), [name for row in rows for name in row.model_fields], 1)
            what = "there is no such setting" + "".join(f"; did you mean {name}?" for name in meant)
        else:
            what = _sentence(error["msg"]) + (_instead(field, error["input"]) if field else "")
        return _line(key or "settings", what, self._origins((*path, *inside), error["msg"]))

    def _find(self, place: tuple[Any, ...]) -> tuple[tuple[str, ...], FieldInfo | None, tuple[Any, ...]]:
        """The setting or section that pydantic means: its path, its field, and the way on inside its value."""
        section: type[BaseModel] | None = self._model
        path: tuple[str, ...] = ()
        field: FieldInfo | None = None
        for name in place:
            member = _member(section, name) if section is not None else None
            if member is None:
                break
            path, field = (*path, member[0]), member[1]
            section = _section(field)
        return path, field, place[len(path) :]

    def _origins(self, place: tuple[Any, ...], message: str) -> list[Origin]:
        """Where the value at fault came from; or each of several, if it is they together that the message names."""
        at_fault = [path for path in self._given if path == place[: len(path)]]
        if not at_fault:
            words = set(re.findall(r"[\w-]+(?:\.[\w-]+)+", message))
            at_fault = [path for path in self._given if self._names.get(path) in words]
        return [self._given[path][1] for path in at_fault]


# -- files and texts -------------------------------------------------------------------------------------------------


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"{path}: cannot be read: {why}") from None
    try:
        match path.suffix:
            case ".toml":
                found: Any = tomllib.loads(text)
            case ".yaml" | ".yml":
                found = yaml.safe_load(text) or {}
            case ".json":
                found = json.loads(text)
            case _:
                raise SettingsError(f"{path}: unknown kind of file: use .toml, .yaml or .json")
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: {_yaml_fault(error)}") from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: {error}") from None
    if not isinstance(found, Mapping):
        raise SettingsError(f"{path}: must hold sections like server and upstream")
    return found


def _yaml_fault(error: yaml.YAMLError) -> str:
    """What is wrong, and where, without the line itself: it may hold a secret."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return "is not YAML"
    where = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
    if isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError):
        return f"{error.problem} ({where})"
    return f"uses what settings do not need: an alias or a tag ({where})"


def _of_kubernetes(names: Iterable[str]) -> Iterator[str]:
    """What Kubernetes tells every container about services named ``lockgate`` and ``lockgate-…``."""
    upper = [name.upper() for name in names]
    services = [name.removesuffix("_SERVICE_HOST") for name in upper if name.endswith("_SERVICE_HOST")]
    for name in upper:
        if any(name == f"{one}_PORT" or name.startswith((f"{one}_SERVICE_", f"{one}_PORT_")) for one in services):
            yield name


def _value(field: FieldInfo, text: str) -> Any:
    """What a text means for a field; what is left a text, pydantic reads.

    Raises:
        ValueError: it means nothing. The message does not quote it.
    """
    # Quoted as JSON has it: some that hand on variables leave the quotes of a file in place.
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        try:
            text = json.loads(text)
        except ValueError:
            pass  # the quotes belong to it
    if text in ("", "null") and type(None) in get_args(field.annotation):
        return None
    if _is_map(field):
        return _json(text, dict, "object") if text else {}
    if _is_list(field):
        return _list(text, of_rows=any(_is_model(kind) for kind in _kinds(field.annotation)))
    return text


def _list(text: str, *, of_rows: bool) -> list[Any]:
    """A JSON list, or items with commas between them. ``[::1]`` is such an item."""
    if re.match(r"\s*\[\s*[\"{\[\]]", text) or (of_rows and text):
        found: list[Any] = _json(text, list, "list")
        return found
    return [item.strip() for item in text.split(",") if item.strip()]


def _json(text: str, kind: type, name: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        why = f": {error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"should be a JSON {name}{why}") from None
    if not isinstance(found, kind):
        raise ValueError(f"should be a JSON {name}")
    return found


# -- fields ----------------------------------------------------------------------------------------------------------


def _member(model: type[BaseModel], name: str) -> tuple[str, FieldInfo] | None:
    """A member under its own name or the one it has on the wire."""
    return next(((own, field) for own, field in model.model_fields.items() if name in (own, field.alias)), None)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of, itself first."""
    yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_list(field: FieldInfo) -> bool:
    return any(get_origin(kind) in (tuple, list) for kind in (field.annotation, *get_args(field.annotation)))


def _is_map(field: FieldInfo) -> bool:
    return any(get_origin(kind) in (dict, Mapping) for kind in (field.annotation, *get_args(field.annotation)))


def _variable(path: Sequence[str]) -> str:
    return PREFIX + "__".join(path).upper()


# -- words -----------------------------------------------------------------------------------------------------------


def _line(key: str, what: str, origins: Iterable[Origin]) -> str:
    names = _names(origins)
    return f"{key}: {what}" + (f" (from {names})" if names else "")


def _names(origins: Iterable[Origin]) -> str:
    return " and ".join(dict.fromkeys(str(origin) for origin in origins))


def _sentence(message: str) -> str:
    """pydantic's message as the rest of a line."""
    message = message.removeprefix("Value error, ").removeprefix("Input ").replace("valid tuple", "valid list")
    return message[:1].lower() + message[1:]


def _instead(field: FieldInfo, given: Any) -> str:
    """What was given; a secret is not said."""
    if SecretStr in _kinds(field.annotation) or isinstance(given, Mapping | BaseModel):
        return ""
    said = repr(_shown(given))
    return f", not {said if len(said) <= 80 else said[:79] + '…'}"


def _shown(value: Any) -> Any:
    """A value fit for JSON and for the eyes of others."""
    match value:
        case SecretStr():
            return HIDDEN
        case BaseModel():
            return {
                field.alias or name: _shown(getattr(value, name)) for name, field in type(value).model_fields.items()
            }
        case Mapping():
            return {str(name): _shown(inner) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_shown(inner) for inner in value]
        case str() | Path():
            return _bare(str(value))
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)


def _bare(text: str) -> str:
    """A text without what may be secret in it: keys as providers write them, credentials and queries of addresses."""
    text = text.encode(errors="backslashreplace").decode()  # a path can hold bytes that are no UTF-8
    text = re.sub(r"\bsk-[\w-]+", HIDDEN, text)
    address, mark, query = text.partition("?")
    if "://" not in address:
        return text
    address = re.sub(r"://[^/\s]*@", f"://{HIDDEN}@", address)
    return address + mark + re.sub(r"=[^&#\s]*", f"={HIDDEN}", query)


def _closest(names: Sequence[str], known: Mapping[tuple[str, ...], str]) -> tuple[str, ...] | None:
    """The setting that was probably meant: the same letters, or the same last name, or nearly the same letters."""
    letters = _letters("".join(names))
    by_letters = {_letters("".join(path)): path for path in known}
    if letters in by_letters:
        return by_letters[letters]
    same_end = {key: path for key, path in by_letters.items() if _letters(path[-1]) == _letters(names[-1])}
    close = difflib.get_close_matches(letters, same_end, 1, 0) or difflib.get_close_matches(letters, by_letters, 1)
    return by_letters[close[0]] if close else None


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()
