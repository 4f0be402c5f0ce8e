"""The socket of the server."""

from __future__ import annotations

import asyncio
import socket

from lmscore.serve import open_socket


def test_answers_are_sent_at_once() -> None:
    async def accepted() -> int:
        options: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = writer.get_extra_info("socket")
            options.set_result(peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with open_socket("127.0.0.1", 0) as bound:
            async with await asyncio.start_server(connected, sock=bound):
                _, writer = await asyncio.open_connection(*bound.getsockname())
                found = await options
                writer.close()
                await writer.wait_closed()
        return found

    assert asyncio.run(accepted()) != 0
