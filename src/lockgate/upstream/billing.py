"""Which providers stop a generation, and its bill, when the connection is closed.

Source: OpenRouter's documentation of stream cancellation (August 2026). Names are those that OpenRouter shows in
``provider``; a direct connection uses the provider's name from the settings.
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
    """What closing the connection does to the bill, by the name of the provider that answered."""
    name = (provider or "").strip().lower()
    if any(name.startswith(one) for one in _CONTINUES):
        return "continues"
    return "stops" if any(name.startswith(one) for one in _STOPS) else "unknown"
