"""Frames that a client sends on WebSocket, and the acknowledgement that it posts where it reads by HTTP."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias, TypeVar

import msgspec

from lockgate.protocol.offsets import Offset, parse_offset
from lockgate.protocol.outside_names import is_name

#: The subprotocol of WebSocket that these frames, and those of ``protocol.server_frames``, belong to.
SUBPROTOCOL: Final = "lockgate.v1"
#: Most of one frame, in bytes of UTF-8; the longest thing in it is a key.
MAX_CLIENT_FRAME_BYTES: Final = 4096

_T = TypeVar("_T")
_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class ClientFrame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a reader says: any of these, in one frame or several.

    Attributes:
        token: In the first frame of who sent neither with the request: a key of the gateway, or the parameter
            ``access`` of a signed URL. With ``cancel``: the token of the stream.
        ack: An offset: all up to it is here and done with.
        credit: At most so many bytes may be under way beyond ``ack``, within ``delivery.window_bytes``; 0 pauses.
        cancel: The generation is to be cancelled.
        pong: The number of the ``ping`` that this answers.
    """

    token: str | None = None
    ack: str | None = None
    credit: _Count | None = None
    cancel: Literal[True] | None = None
    pong: _Count | None = None


class Acknowledgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a reader is that reads by HTTP.

    Attributes:
        reader: The name that it gave itself (``reader=``).
        ack: An offset: all up to it is here and done with.
        credit: At most so many bytes may be under way beyond ``ack``, within ``delivery.window_bytes``; 0 pauses.
    """

    reader: str
    ack: str | None = None
    credit: _Count | None = None


_FRAME: Final = msgspec.json.Decoder(ClientFrame)
_ACKNOWLEDGEMENT: Final = msgspec.json.Decoder(Acknowledgement)


def read_client_frame(text: str) -> ClientFrame:
    """A frame as it came.

    Raises:
        ValueError: it is none; the message says what is wrong with it.
    """
    return _read(_FRAME, text)


def read_acknowledgement(body: bytes) -> Acknowledgement:
    """An acknowledgement as it was posted.

    Raises:
        ValueError: as ``read_client_frame``.
    """
    said = _read(_ACKNOWLEDGEMENT, body)
    if not is_name(said.reader):
        raise ValueError(f"reader {said.reader[:64]!a}: must be the name that the reader gave itself with reader=")
    return said


def _read(decoder: msgspec.json.Decoder[_T], text: str | bytes) -> _T:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def acknowledged(ack: str | None) -> Offset | None:
    """The position that an ``ack`` names.

    Raises:
        ValueError: it names none.
    """
    return None if ack is None else parse_offset(ack)
