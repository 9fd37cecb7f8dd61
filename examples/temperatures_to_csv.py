"""Appends every good temperature to a CSV file. A repeat is a second line: take one of lines that are alike.

BROKER_URL=amqps://lab:secret@host CSV=temperatures.csv python examples/temperatures_to_csv.py
"""

import asyncio
import csv
import os
from pathlib import Path

from faststream import FastStream

from reefmesh.contracts import quantities
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.readings import Readings
from reefmesh.faststream.connect import reef_broker

broker = reef_broker(os.environ["BROKER_URL"], service="lab")
app = FastStream(broker)


@broker.readings()
def append(batch: Readings) -> None:
    with Path(os.environ["CSV"]).open("a", newline="") as file:
        for each in batch.readings:
            water = each.channels.get(quantities.SEA_WATER_TEMPERATURE)
            if water is not None and water.flag is Flag.PASS:
                csv.writer(file).writerow((each.buoy_id, each.observed_at.isoformat(), each.revision, water.value))


if __name__ == "__main__":
    asyncio.run(app.run())
