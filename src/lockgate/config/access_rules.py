"""Who may use the gateway: keys, and signed URLs of readers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lockgate.config.section import Section


class Access(Section):
    """Who may use the gateway: see the page about access."""

    # A proxy on the same machine makes everybody look local: then "always".
    keys: Literal["auto", "always"] = Field(
        "auto", description="Requests need a key: auto, unless server.host is a loopback address; or always."
    )
    insecure: bool = Field(False, description="On any address, requests need no key, and the whole network may ask.")
    # As long as a page is commonly open, and short for one that is found in a history.
    url_s: float = Field(
        3600.0, gt=0, le=2_592_000, description="A signed URL is valid for this long, if its maker says nothing."
    )
    max_url_s: float = Field(
        604_800.0, gt=0, le=2_592_000, description="A signed URL is valid for at most this long, in seconds."
    )
    secret_s: float = Field(
        604_800.0,
        gt=0,
        le=31_536_000,
        description="URLs are signed with one secret for this long, in seconds; then a new one is made.",
    )
