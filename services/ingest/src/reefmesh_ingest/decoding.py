"""Decode, the second step: a payload of any bytes becomes a report, or a refusal."""

import structlog

from reefmesh_ingest.domain.arrival import Reception
from reefmesh_ingest.domain.decode import Reason, Refusal, Report, decode
from reefmesh_ingest.domain.decode.values import clean_text

log = structlog.get_logger()


def decode_payload(reception: Reception) -> Report | Refusal:
    """Decode by the format that the message declares.

    A decoder's own fault must not stall the reef: it is logged and becomes a refusal, so that the message is kept and can be
    replayed after the decoder was corrected.
    """
    message = reception.message
    try:
        return decode(message.schema_id, message.body)
    except Exception as error:
        log.exception("decoder fault", schema=message.schema_id, event_id=message.event_id)
        return Refusal(reason=Reason.DECODER_FAULT, detail=clean_text(f"{type(error).__name__}: {error}", 500))
