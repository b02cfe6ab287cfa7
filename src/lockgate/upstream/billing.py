"""Which providers stop a generation, and its bill, when the connection is closed.

From OpenRouter's documentation of stream cancellation (August 2026), where names are as it shows them in ``provider``;
a direct connection goes by the name of the provider in the settings.
"""

from __future__ import annotations

from typing import Final, Literal

_STOPS: Final = (
    *("anthropic", "azure", "chutes", "cohere", "deepinfra", "deepseek", "fireworks", "novita", "openai", "simulator"),
    *("together", "xai"),
)
_CONTINUES: Final = (
    *("alibaba", "amazon bedrock", "bedrock", "google", "groq", "huggingface", "hugging face", "minimax", "mistral"),
    *("nebius", "perplexity", "replicate", "sambanova"),
)


def billing_of(provider: str | None) -> Literal["stops", "continues", "unknown"]:
    """What closing the connection does to the bill, by the name of who answered."""
    name = (provider or "").strip().lower()
    if any(name.startswith(one) for one in _CONTINUES):
        return "continues"
    return "stops" if any(name.startswith(one) for one in _STOPS) else "unknown"
