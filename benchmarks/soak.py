"""A server under mixed requests with faults: nothing lost, nothing mixed up, memory flat.

Usage: python benchmarks/soak.py [--requests 100000] [--clients 16] [--workers 1] [--kill SECONDS]
                                 [--model PATH] [--threads N] [--seconds S] [--seed 1]

Each client sends, one after another, requests drawn at random: scores, measures, completions with
and without a stream, next words, states, tokens; one in ten is a fault: broken JSON, an unknown
field, a body beyond the limit, half a body and then nothing, a client that leaves before its
answer. Every text is new and holds a number of its own, so an answer for another request would be
seen. With --workers 2 or more, --kill ends one process with SIGKILL every so many seconds; what it
had not answered is then sent again. At the end: counts, latencies, memory over time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

PROGRAM = [sys.executable, "-m", "lmscore", "serve", "--port", "0", "--max-body", "65536"]
WORDS = "the of and to in a is that it was for on are as with his they at be this from".split()
MEGABYTE = 1 << 20


class LostError(Exception):
    """The connection ended before the answer."""


class Client:
    """A client with a connection, the requests that it draws, and what became of them."""

    def __init__(self, address: tuple[str, int], number: int, seed: int) -> None:
        self._address, self._number = address, number
        self._draw = random.Random(f"{seed} {number}")
        self._sent = 0
        self._writer: asyncio.StreamWriter | None = None
        self.outcomes: Counter[str] = Counter()
        self.seconds: list[float] = []

    async def run(self, take: Callable[[], bool]) -> None:
        """Send requests while there are any left to take."""
        kinds: list[Callable[[], Awaitable[str]]] = [
            *[self._score] * 5,
            *[self._measure] * 2,
            *[self._complete] * 3,
            *[self._stream, self._next, self._states, self._tokens],
        ]
        faults = [self._no_json, self._unknown, self._huge, self._half, self._leave]
        while take():
            kind = self._draw.choice(faults if self._draw.random() < 0.1 else kinds)
            while True:
                start = time.perf_counter()
                try:
                    outcome = await kind()
                except (LostError, ConnectionError, asyncio.IncompleteReadError):
                    self._close()
                    self.outcomes["connection lost, sent again"] += 1
                    await asyncio.sleep(0.05)
                    continue
                break
            self.seconds.append(time.perf_counter() - start)
            self.outcomes[outcome] += 1
        self._close()

    def _text(self) -> str:
        self._sent += 1
        words = self._draw.choices(WORDS, k=self._draw.randint(1, 30))
        return f"{' '.join(words)} {self._number}x{self._sent}"

    async def _ask(self, path: str, body: Any, *, raw: bytes | None = None) -> tuple[int, bytes]:
        data = json.dumps(body).encode() if raw is None else raw
        await self._send(path, data, len(data))
        return await self._answer()

    async def _send(self, path: str, data: bytes, length: int) -> None:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._address)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        self._writer.write(head.encode() + data)
        await self._writer.drain()

    async def _answer(self) -> tuple[int, bytes]:
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        except asyncio.IncompleteReadError as error:
            raise LostError from error
        status = int(head.split(b" ", 2)[1])
        if b"transfer-encoding: chunked" in head:
            body = b""
            while chunk := await self._chunk():
                body += chunk
        else:
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            body = await self._reader.readexactly(length)
        if b"connection: close" in head:
            self._close()
        return status, body

    async def _chunk(self) -> bytes:
        """The next chunk of a stream; empty at its end."""
        size = (await self._reader.readline()).strip()
        if not size:
            raise LostError
        chunk = await self._reader.readexactly(int(size, 16))
        await self._reader.readexactly(2)
        return chunk

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def _score(self) -> str:
        texts = [self._text() for _ in range(self._draw.randint(1, 4))]
        status, body = await self._ask("/v1/score", {"input": texts, "per": "word"})
        assert status == 200, body
        assert [one["text"] for one in json.loads(body)["data"]] == texts, "another's answer"
        return "score"

    async def _measure(self) -> str:
        text = self._text()
        asked = {"input": text, "per": "token", "entropy": True, "rank": True, "alternatives": 3}
        status, body = await self._ask("/v1/score", asked)
        assert status == 200, body
        assert json.loads(body)["data"][0]["text"] == text, "another's answer"
        return "measure"

    async def _complete(self) -> str:
        text = self._text()
        asked = {"prompt": text, "echo": True, "logprobs": 1, "n": 2, "seed": 1, "max_tokens": 8}
        status, body = await self._ask("/v1/completions", asked)
        assert status == 200, body
        assert all(one["text"].startswith(text) for one in json.loads(body)["choices"])
        return "completion"

    async def _stream(self) -> str:
        text = self._text()
        asked = {"prompt": text, "echo": True, "max_tokens": 8, "stream": True}
        status, body = await self._ask("/v1/completions", asked)
        assert status == 200, body
        *events, end = body.removesuffix(b"\n\n").split(b"\n\n")
        assert end == b"data: [DONE]", body
        found = [json.loads(event.removeprefix(b"data: ")) for event in events]
        assert found[0]["choices"][0]["text"] == text, "another's answer"
        return "stream"

    async def _next(self) -> str:
        text = self._text()
        status, body = await self._ask("/v1/next", {"input": text, "k": 3})
        assert status == 200, body
        assert json.loads(body)["data"][0]["text"] == text, "another's answer"
        return "next"

    async def _states(self) -> str:
        status, body = await self._ask("/v1/states", {"prompt": self._text(), "k": 2})
        if status == 400:
            return "no states with workers"
        assert status == 200, body
        state, token = (json.loads(body)["data"][0][key] for key in ("state", "top"))
        asked = {"states": [state], "tokens": [token[0]["token"]], "drop": True}
        status, body = await self._ask("/v1/states/step", asked)
        assert status == 200, body
        state = json.loads(body)["data"][0]["state"]
        status, body = await self._ask("/v1/states/drop", {"states": [state]})
        assert (status, json.loads(body)) == (200, {"dropped": 1}), body
        return "states"

    async def _tokens(self) -> str:
        text = self._text()
        status, body = await self._ask("/tokenize", {"prompt": text, "add_special_tokens": False})
        assert status == 200, body
        status, body = await self._ask("/detokenize", {"tokens": json.loads(body)["tokens"]})
        assert json.loads(body)["prompt"].split() == text.split(), "another's answer"
        return "tokens"

    async def _no_json(self) -> str:
        status, body = await self._ask("/v1/score", None, raw=b'{"input": "a')
        assert status == 400, body
        return "fault: no JSON"

    async def _unknown(self) -> str:
        status, body = await self._ask("/v1/score", {"input": "a", "colour": 1})
        assert status == 400, body
        assert b"colour" in body
        return "fault: an unknown field"

    async def _huge(self) -> str:
        await self._send("/v1/score", b"", 1 << 30)
        status, body = await self._answer()
        assert status == 413, body
        self._close()
        return "fault: a huge body"

    async def _half(self) -> str:
        await self._send("/v1/score", b'{"input": "half', 1000)
        self._close()
        return "fault: half a body"

    async def _leave(self) -> str:
        asked = {"prompt": self._text(), "n": 4, "max_tokens": 200, "stop": ["never ever"]}
        data = json.dumps(asked).encode()
        await self._send("/v1/completions", data, len(data))
        await asyncio.sleep(self._draw.random() / 50)
        self._close()
        return "fault: left before the answer"


def processes(parent: int) -> list[int]:
    """The server and its workers."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *map(int, children)]


def memory(parent: int) -> float:
    """Megabytes that the processes have for themselves."""
    found = 0
    for pid in processes(parent):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:  # it has just ended
            continue
        found += sum(int(line.split()[1]) for line in text.splitlines() if "Private" in line)
    return found * 1024 / MEGABYTE


async def soak(options: argparse.Namespace, server: Any, address: tuple[str, int]) -> None:
    left, killed = options.requests, 0
    clients = [Client(address, number, options.seed) for number in range(options.clients)]
    memories: list[tuple[int, float]] = []
    start = time.perf_counter()

    def take() -> bool:
        nonlocal left
        if options.seconds and time.perf_counter() > start + options.seconds:
            return False
        left -= 1
        return left >= 0

    async def watch() -> None:
        while True:
            memories.append((options.requests - max(0, left), memory(server.pid)))
            await asyncio.sleep(2)

    async def kill() -> None:
        nonlocal killed
        while options.kill:
            await asyncio.sleep(options.kill)
            workers = processes(server.pid)[1:]
            if len(workers) == options.workers:
                os.kill(random.choice(workers), signal.SIGKILL)
                killed += 1

    beside = [asyncio.create_task(watch()), asyncio.create_task(kill())]
    await asyncio.gather(*(client.run(take) for client in clients))
    for task in beside:
        task.cancel()
    seconds = time.perf_counter() - start
    report(clients, memories, seconds, killed)


def report(
    clients: list[Client], memories: list[tuple[int, float]], seconds: float, killed: int
) -> None:
    outcomes = sum((client.outcomes for client in clients), Counter())
    latencies = sorted(one for client in clients for one in client.seconds)
    for name, count in sorted(outcomes.items()):
        print(f"{count:>8}  {name}")
    print(f"{len(latencies)} requests in {seconds:.0f} s, {killed} processes killed")
    for share in (50, 99, 99.9):
        place = min(len(latencies) - 1, int(share / 100 * len(latencies)))
        print(f"p{share}: {1000 * latencies[place]:.1f} ms")
    for tenth in range(11):
        place = min(len(memories) - 1, tenth * len(memories) // 10)
        print("after {:>7} requests: {:.0f} MB of its own".format(*memories[place]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kill", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--model", default="")
    parser.add_argument(
        "--threads", type=int, help="of the server; one where others need the cores"
    )
    parser.add_argument("--seconds", type=float, default=0, help="the most that it may take")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    model = ["-m", options.model] if options.model else []
    workers = ["--workers", str(options.workers)]
    threads = ["--threads", str(options.threads)] if options.threads else []
    command = [*PROGRAM, *model, *workers, *threads]
    log = Path(f"/tmp/soak-{os.getpid()}.log")
    with log.open("w") as file:
        server = subprocess.Popen(command, stderr=file)
    try:
        while "serving" not in log.read_text():
            time.sleep(0.1)
            assert server.poll() is None, log.read_text()
        host, port = log.read_text().split("http://")[1].split()[0].split(":")
        asyncio.run(soak(options, server, (host, int(port))))
        server.send_signal(signal.SIGTERM)
        print(f"exit status after SIGTERM: {server.wait(60)}")
        said = [line for line in log.read_text().splitlines() if "serving" not in line]
        print(f"{len(said)} lines on standard error beside the address; {said[:1]}")
    finally:
        server.kill()
        server.wait()
        log.unlink()


if __name__ == "__main__":
    main()
