"""For ASGI applications that stream answers of language models: see :class:`GateMiddleware`."""

from lockgate.inprocess.gated_response import GateMiddleware

__all__ = ["GateMiddleware"]
