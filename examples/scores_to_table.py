"""Keeps the newest score of every reef in a table. A repeat changes nothing: the number is compared in the same transaction.

BROKER_URL=amqps://board:secret@host DATABASE=scores.db python examples/scores_to_table.py
"""

import asyncio
import os
import sqlite3

from faststream import FastStream

from reefmesh.contracts.scores import ReefScore
from reefmesh.faststream import ReefEnvelope
from reefmesh.faststream.connect import reef_broker

broker = reef_broker(os.environ["BROKER_URL"], service="board")
app = FastStream(broker)
database = sqlite3.connect(os.environ["DATABASE"])
database.execute("CREATE TABLE IF NOT EXISTS score (reef TEXT PRIMARY KEY, seq INTEGER, verdict TEXT)")
KEEP = """INSERT INTO score VALUES (?, ?, ?) ON CONFLICT (reef) DO UPDATE
          SET seq = excluded.seq, verdict = excluded.verdict WHERE excluded.seq > score.seq"""


@broker.scores()
async def keep(score: ReefScore, envelope: ReefEnvelope) -> None:
    with database:
        database.execute(KEEP, (score.reef_id, envelope.seq, score.dive.verdict))


if __name__ == "__main__":
    asyncio.run(app.run())
