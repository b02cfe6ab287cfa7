"""Every setting of the gateway: file, environment ``LOCKGATE_*`` and flags fill the same model.

Order of precedence: flags, environment, file, defaults (``sources.py`` lays them over each other). A nested key is
written with two underscores in the environment: ``LOCKGATE_SERVER__PORT=8701``. ``delivery``, ``validation`` and
``monitoring`` spell their keys as they stand on the wire (camelCase). Only this room reads the environment.
In: files, variables, flags. Out: checked values, each with where it came from.

Uses: ``gate``, ``registry``, ``retry``, ``upstream``, ``sources``.
"""

from lockgate.config.access_rules import Access
from lockgate.config.provider_keys import providers_in, rows_to_show, upstream_key, where_keys_go
from lockgate.config.settings import (
    Delivery,
    Playground,
    Quotas,
    Server,
    Settings,
    Store,
    in_force,
    load,
)
from lockgate.config.upstream import Upstream, UpstreamCapability, UpstreamProvider
from lockgate.sources import Flag, SettingsError

__all__ = [
    "Access",
    "Delivery",
    "Flag",
    "Playground",
    "Quotas",
    "Server",
    "Settings",
    "SettingsError",
    "Store",
    "Upstream",
    "UpstreamCapability",
    "UpstreamProvider",
    "in_force",
    "load",
    "providers_in",
    "rows_to_show",
    "upstream_key",
    "where_keys_go",
]
