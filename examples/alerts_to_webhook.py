"""Posts every alert of the mesh to a web address. It comes at least once: the receiver knows a repeat by its key.

BROKER_URL=amqps://pager:secret@host WEBHOOK_URL=https://... python examples/alerts_to_webhook.py
"""

import asyncio
import os

import httpx
from faststream import FastStream

from reefmesh.contracts.alerts import Alert
from reefmesh.errors import TransientError
from reefmesh.faststream import ReefEnvelope
from reefmesh.faststream.connect import reef_broker

broker = reef_broker(os.environ["BROKER_URL"], service="pager")
app = FastStream(broker)


@broker.alerts()
async def post(alert: Alert, envelope: ReefEnvelope) -> None:
    async with httpx.AsyncClient(headers={"Idempotency-Key": envelope.event_id}) as client:
        answer = await client.post(os.environ["WEBHOOK_URL"], json={"text": alert.summary})
    if answer.status_code >= 500:  # it may work later: the reef waits, and its next alert too
        raise TransientError(f"the webhook answered {answer.status_code}")


if __name__ == "__main__":
    asyncio.run(app.run())
