"""Schemas whose references lead everywhere: URIs, anchors, dynamic ones, embedded resources, other documents.

Seeded: the same number makes the same schema and the same values.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

HOST = "https://bundles.example"
#: Names as generators write them, some of which a URI must escape.
NAMES = ["word", "box", "list", "Row<Item>", "a b", "100%", "Größe", "C[]", "x/y", "q~z", "{t}", "C#"]


class Bundle(NamedTuple):
    """A schema, what it may refer to, and its parts.

    Attributes:
        schema: Each member of its documents is judged by one part.
        parts: Name of the member -> JSON pointer to the schema of that part.
    """

    schema: dict[str, Any]
    registry: dict[str, Any]
    draft: int
    parts: dict[str, str]
    rng: random.Random

    def value(self) -> Any:
        return value(self.rng, 3)


class _Target(NamedTuple):
    """Something to refer to, and how it may be written from inside each base."""

    spellings: list[str]
    only_in: str | None  # base, where the spelling is a fragment alone


def bundle(seed: int) -> Bundle:
    return _Maker(random.Random(seed)).made()


class _Maker:
    """Makes one bundle: first the names of everything, then schemas that refer to them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.draft = rng.choice([6, 7, 2019, 2020, 2020, 2020])
        self.definitions = "$defs" if self.draft >= 2019 else "definitions"
        self.targets: list[_Target] = []
        self.is_dynamic = self.draft == 2020 and rng.random() < 0.25
        self.base = ""

    def made(self) -> Bundle:
        rng = self.rng
        root_base = rng.choice(["", f"{HOST}/a/root", f"{HOST}/root.json", "urn:example:root"])
        names = rng.sample(NAMES, rng.randint(2, 5))
        # Where each definition lives: in the root, in a resource of its own inside the root, or in another document.
        homes = {name: rng.choice(["root", "root", "embedded", "registry"]) for name in names}
        can_join = root_base.startswith(HOST)
        uris = {name: self._uri(at, can_join=can_join) for at, name in enumerate(names)}
        anchors = {name: f"anchor{at}" for at, name in enumerate(names) if rng.random() < 0.4}
        for name in names:
            self._name(name, homes[name], root_base, uris[name], anchors.get(name))
        root: dict[str, Any] = {self.definitions: {}}
        if root_base:
            root["$id"] = root_base
        registry: dict[str, Any] = {}
        for name in names:
            self.base = root_base if homes[name] == "root" else uris[name][1]
            made = self.schema(3)
            if name in anchors:
                made = self._anchored(made, anchors[name])
            if homes[name] == "registry":
                registry[uris[name][1]] = made if isinstance(made, dict) else {"not": {"not": made}}
                continue
            if homes[name] == "embedded":
                made = {"$id": uris[name][0], **(made if isinstance(made, dict) else {"allOf": [made]})}
                if self.draft <= 7 and "$ref" in made:
                    made = {"$id": uris[name][0], "allOf": [{"$ref": made["$ref"]}]}
            root[self.definitions][name] = made
        self.base = root_base
        parts = [self.schema(3) for _ in range(4)]
        root["properties"] = {f"p{at}": part for at, part in enumerate(parts)}
        pointers = {f"p{at}": f"/properties/p{at}" for at in range(len(parts))}
        return Bundle(root, registry, self.draft, pointers, rng)

    def _uri(self, at: int, *, can_join: bool) -> tuple[str, str]:
        """How a resource is named in the root, and the URI that this is."""
        full = f"{HOST}/{self.rng.choice(['a/', '', 'b/c/'])}res{at}"
        if can_join and self.rng.random() < 0.5:
            return full.removeprefix(HOST), full
        return full, full

    def _name(self, name: str, home: str, root_base: str, uri: tuple[str, str], anchor: str | None) -> None:
        if home == "root":
            token = name.replace("~", "~0").replace("/", "~1")
            if "%" in token or "#" in token:
                token = token.replace("%", "%25") if self.rng.random() < 0.5 else token
            fragments = [f"#/{self.definitions}/{token}"] + ([f"#{anchor}"] if anchor else [])
            self.targets.append(_Target(fragments, root_base))
            if root_base.startswith(HOST):
                self.targets.append(_Target([root_base.removeprefix(HOST) + one for one in fragments], None))
            elif root_base:
                self.targets.append(_Target([root_base + one for one in fragments], "never"))
            return
        whole = [uri[1]] + ([f"{uri[1]}#{anchor}"] if anchor else [])
        self.targets.append(_Target(whole, None))
        self.targets.append(_Target([one.removeprefix(HOST) for one in whole], None))

    def _anchored(self, made: Any, anchor: str) -> Any:
        made = made if isinstance(made, dict) else {"allOf": [made]}
        if self.draft <= 7:
            return {"allOf": [made], "$id": f"#{anchor}"} if "$id" not in made else made
        keyword = "$dynamicAnchor" if self.is_dynamic and self.rng.random() < 0.6 else "$anchor"
        return {**made, keyword: "node" if keyword == "$dynamicAnchor" and self.rng.random() < 0.4 else anchor}

    # -- schemas -------------------------------------------------------------------------------------------------

    def schema(self, depth: int) -> Any:
        rng = self.rng
        if depth == 0 or rng.random() < 0.25:
            return self._leaf()
        below = depth - 1
        several = [self.schema(below) for _ in range(rng.randint(2, 3))]
        makers: list[Any] = [
            lambda: {"oneOf": several},
            lambda: {"oneOf": several},
            lambda: {"anyOf": several},
            lambda: {"allOf": several},
            lambda: {"not": several[0]},
            lambda: {"items": several[0], "uniqueItems": rng.random() < 0.3},
            lambda: {"contains": several[0], "type": "array"},
            lambda: {"properties": {"a": several[0], "b": several[1]}},
            lambda: {"properties": {"a": several[0]}, "additionalProperties": several[1]},
            lambda: {"patternProperties": {"^a": several[0]}, "required": ["a"]},
            lambda: {"enum": [value(rng, 2) for _ in range(2)]},
            lambda: {"const": value(rng, 2)},
            lambda: {"const": rng.choice([{"type": "string"}, {"$ref": "#/nowhere"}, [{"$id": "x"}]])},
        ]
        if self.draft >= 7:
            makers.append(lambda: {"if": several[0], "then": several[1]})
        if self.draft >= 2019:
            makers.append(lambda: {"properties": {"a": several[0]}, "unevaluatedProperties": False})
            makers.append(lambda: {"dependentSchemas": {"a": several[0]}})
        made = rng.choice(makers)()
        if self.draft >= 2019 and rng.random() < 0.03 and self.base.startswith(HOST):
            # A name that is given twice now and then, as some generators do; what it holds refers to full URIs only.
            outer, self.base = self.base, f"{HOST}/twice/{rng.randint(0, 2)}"
            made = {"$id": self.base, "allOf": [self.schema(below)], "title": str(rng.random())}
            self.base = outer
        return made

    def _leaf(self) -> Any:
        rng = self.rng
        fitting = [target for target in self.targets if self._fits(target)]
        if fitting and rng.random() < 0.7:
            ref = rng.choice(rng.choice(fitting).spellings)
            keyword = "$ref"
            if self.is_dynamic and rng.random() < 0.4:
                keyword, ref = "$dynamicRef", rng.choice([ref, ref])
            return {keyword: ref}
        return rng.choice(
            [{"type": "string"}, {"type": "integer"}, {"type": ["null", "boolean"]}, {"type": "object"}, True, False,
             {"maxLength": 1}, {"minimum": 1}, {"required": ["a"]}, {"multipleOf": 2}, {"type": "array"}]
        )  # fmt: skip

    def _fits(self, target: _Target) -> bool:
        spelling = target.spellings[0]
        if spelling.startswith("#"):
            return self.base == target.only_in
        if target.only_in == "never":
            return self.base.startswith("urn:")
        # A path alone needs a base that it can be joined to.
        return spelling.startswith(HOST) or self.base.startswith(HOST)


def value(rng: random.Random, depth: int) -> Any:
    if depth == 0 or rng.random() < 0.4:
        return rng.choice(["a", "", "oak", 0, 1, 2, 2.5, -4, True, False, None, [], {}])
    if rng.random() < 0.4:
        return [value(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    if rng.random() < 0.1:
        return rng.choice([{"type": "string"}, {"$ref": "#/nowhere"}, [{"$id": "x"}]])
    return {name: value(rng, depth - 1) for name in rng.sample(["a", "b", "ab", "type"], rng.randint(0, 3))}
