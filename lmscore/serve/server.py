"""The process that serves: a socket, signals, and an end that loses no request."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from lmscore.errors import LmscoreError, OptionError

_PATIENCE = 30  # seconds that requests in progress have after SIGTERM


class _Server(uvicorn.Server):
    """A server that ends on SIGTERM and Ctrl-C as if nothing had happened."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: `serve` handles them."""
        yield


def open_socket(host: str, port: int) -> socket.socket:
    """Bind a socket; port 0 takes a free one.

    Raises:
        OptionError: the host is unknown, or the port is taken or forbidden.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # asyncio sends at once (TCP_NODELAY) only on sockets that say that they are TCP's; else the
        # end of an answer waits 40 ms for the client's acknowledgement of its beginning.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
        except BaseException:
            bound.close()
            raise
    except (OSError, UnicodeError) as error:  # the latter: no name of a host
        reason = getattr(error, "strerror", None) or error
        raise OptionError(f"host {host}, port {port}: cannot be listened on: {reason}") from error
    return bound


def serve(
    app: ASGIApp,
    bound: socket.socket,
    *,
    on_start: Callable[[str], object],
    on_hangup: Callable[[], object],
    on_failure: Callable[[LmscoreError], object],
) -> None:
    """Serve until SIGTERM or SIGINT, and finish the requests that have begun.

    Args:
        app: of `make_app`.
        bound: of `open_socket`.
        on_start: called with the URL once connections are accepted.
        on_hangup: called in a thread on SIGHUP.
        on_failure: called with the error of `on_hangup`.
    """
    host, port = bound.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody asks who the client is
        timeout_graceful_shutdown=_PATIENCE,
        lifespan="on",
    )
    hangup = partial(_hang_up, asyncio.Lock(), on_hangup, on_failure)
    asyncio.run(_serve(_Server(config), bound, lambda: on_start(url), hangup))


async def _hang_up(
    lock: asyncio.Lock,
    on_hangup: Callable[[], object],
    on_failure: Callable[[LmscoreError], object],
) -> None:
    """Reload, one at a time; what fails leaves everything as it is."""
    async with lock:
        try:
            await asyncio.to_thread(on_hangup)
        except LmscoreError as error:
            on_failure(error)


async def _serve(
    server: _Server,
    bound: socket.socket,
    on_start: Callable[[], object],
    hang_up: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(hang_up())
        reloads.add(task)  # or it might be collected
        task.add_done_callback(reloads.discard)

    def end() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, reload)
    running = asyncio.ensure_future(server.serve(sockets=[bound]))
    while not server.started and not running.done():
        await asyncio.sleep(0.01)
    if server.started:
        on_start()
    await running
