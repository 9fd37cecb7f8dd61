"""Content types of the door: one report, or a batch with a report on each line."""

from typing import Final, Literal

from reefmesh_gateway.door.problem import DoorRefusal

ONE: Final = "application/json"
BATCH: Final = "application/x-ndjson"
_BATCHES: Final = (BATCH, "application/ndjson", "application/jsonl")
_CHARSETS: Final = ("", "utf-8", "utf8", "utf-16")

Kind = Literal["one", "batch"]


def kind_of(content_type: str) -> Kind:
    """Raises DoorRefusal (415) for a type that is none of these. A charset is not needed: a mark says what UTF-16 is."""
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charset = next(
        (value.strip('" ') for name, _, value in (each.partition("=") for each in parameters) if name == "charset"), ""
    )
    if charset in _CHARSETS:
        if media == ONE:
            return "one"
        if media in _BATCHES and charset != "utf-16":
            return "batch"
    raise DoorRefusal(
        status=415,
        reason="content-type",
        detail=f"send one report as {ONE}, or a batch as {BATCH} with a report on each line",
        headers={"accept": f"{ONE}, {BATCH}"},
    )
