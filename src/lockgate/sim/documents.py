"""The catalogue: what the simulated models can write."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, TypeAlias

from lockgate.sim.answer_schema import ANY_OBJECT
from lockgate.sim.entry import CatalogueEntry
from lockgate.sim.kinds.people import ITINERARY, LAB_REPORT, ORG_CHART, POLL
from lockgate.sim.kinds.records import CHESS, LOG_LINES, WEATHER
from lockgate.sim.kinds.trade import INVOICE, PRODUCTS, RECIPES
from lockgate.sim.kinds.wide import GLOSSARY, PLACES
from lockgate.sim.prose import FreeText
from lockgate.sim.schema_writer.schema_entry import SchemaEntry

#: Every kind of document, by name.
CATALOGUE: Final = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            *(PRODUCTS, ITINERARY, LAB_REPORT, INVOICE, CHESS, WEATHER),
            *(ORG_CHART, RECIPES, LOG_LINES, PLACES, POLL, GLOSSARY),
        )
    }
)

#: Anything that writes a document, or prose.
Writer: TypeAlias = CatalogueEntry | FreeText | SchemaEntry

_WRITERS: Final[tuple[Writer, ...]] = (*CATALOGUE.values(), FreeText(), SchemaEntry(ANY_OBJECT))
#: All models, by name. ``sim/text`` writes prose, and ``sim/schema`` writes a document for the schema in the request.
MODELS: Final = MappingProxyType({f"sim/{writer.name}": writer for writer in _WRITERS})
