"""An address that follows the primary, as a cloud's name or a proxy does: it leads new connections elsewhere, old ones stay."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from reefmesh_components.ports import HOST

BYTES: Final = 65_536


class AddressSwitch:
    """``target_port`` is where the next connection goes."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(HOST, self.target_port)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(_copy(source, sink))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(BYTES):
            sink.write(piece)
            await sink.drain()
    except ConnectionError:  # one side is gone: so is the other, then
        return
    finally:
        sink.close()


@asynccontextmanager
async def address_switch(target_port: int) -> AsyncIterator[AddressSwitch]:
    switch = AddressSwitch(target_port)
    server = await asyncio.start_server(switch.pass_on, HOST, 0)
    switch.port = server.sockets[0].getsockname()[1]
    try:
        yield switch
    finally:
        server.close()
        for task in list(switch.tasks):
            task.cancel()
        await asyncio.gather(*switch.tasks, return_exceptions=True)
