"""The version that whoever writes a stream says its text is of: a producer with a push, or a provider with its answer.

Both are judged here, by one rule: a version that is known passes where it is the pinned one, or, with
``partialValidation``, where the pinned one takes all that it takes. What becomes of a chunk that is refused says
``Channel.refuse``.
"""

from __future__ import annotations

from typing import NamedTuple

from lockgate.registry.agreement import VersionRefusal, judge_producer
from lockgate.registry.registry import SchemaRegistry
from lockgate.streams.plan import Judging
from lockgate.streams.schemas import StreamSchema


class StatedVersion(NamedTuple):
    """What was said, and whether it fits.

    Attributes:
        refusal: Why the stream does not take it; None if it does.
    """

    text: str
    refusal: VersionRefusal | None


async def judge_stated(
    said: str, schema: StreamSchema | None, judging: Judging, registry: SchemaRegistry | None
) -> StatedVersion | None:
    """Whether text of that version may go into a stream.

    Args:
        said: Like ``invoice@2``; ``""`` if nobody says so.
        schema: What the stream is judged by.
        registry: None where what is said of versions is ignored.

    Returns:
        None where nothing is said, or nobody asks for it.

    Raises:
        RegistryFailing, Busy: nobody can tell.
    """
    if not said or registry is None or schema is None:
        return None
    return StatedVersion(said, await judge_producer(registry, said, schema.id, takes_others=judging.is_partial))
