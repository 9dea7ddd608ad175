"""What MiniMax puts into its answers besides OpenAI's fields."""

from __future__ import annotations

from typing import Any

__all__ = ["NOISE", "details_text", "drop_noise"]

# platform.minimax.io, text-post: fields beside the choices that no OpenAI client knows.
NOISE = (
    "base_resp",
    "input_sensitive",
    "input_sensitive_type",
    "output_sensitive",
    "output_sensitive_type",
    "output_sensitive_int",
)
# As above, inside a message or delta: the model's name for itself, and audio that is not there.
MESSAGE_NOISE = ("name", "audio_content")


def drop_noise(part: dict[str, Any], names: tuple[str, ...] = MESSAGE_NOISE) -> bool:
    """Remove the vendor's extras and an empty role; tell whether there were any."""
    found = [name for name in names if name in part and not (name == "audio_content" and part[name])]
    if part.get("role") == "":
        found.append("role")
    for name in found:
        del part[name]
    return bool(found)


def details_text(details: object) -> str:
    """Join the texts of `reasoning_details`."""
    if not isinstance(details, list):
        return ""
    texts = [detail.get("text") for detail in details if isinstance(detail, dict)]
    return "".join(text for text in texts if isinstance(text, str))
