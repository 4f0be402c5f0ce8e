"""The server under load on loopback, against the library in windows of 32 texts.

Usage: python benchmarks/serve.py TEXT [--model PATH] [--clients 1 8 32 128] [--seconds 5]
                                  [--words 20] [--json FILE]

Closed loop: each client sends its next text when the last is answered. Open loop: texts come at
random times, at half the highest rate of the closed loop, whether the earlier ones are answered or
not. The clients are one process of their own, whose CPU time is shown. "per CPU second" divides by
the CPU time of the server alone; the library's row is `score_stream` with `window=32`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from texts import first_lines
from turns import save

PROGRAM = [sys.executable, "-m", "lmscore", "serve", "--port", "0", "--max-waiting", "100000"]
TICKS = os.sysconf("SC_CLK_TCK")


def pieces(path: str, words: int) -> list[str]:
    """Texts of so many words each."""
    found = " ".join(first_lines(path, 20_000)).split()
    return [" ".join(found[start : start + words]) for start in range(0, len(found) - words, words)]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Connection:
    """A connection that is kept open, and the least HTTP that is needed."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(*self._address)

    async def score(self, text: str) -> float:
        """Send a text; the seconds until the answer was there, which is for this text."""
        body = json.dumps({"input": text}).encode()
        head = f"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        start = time.perf_counter()
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        size = int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        found = await self._reader.readexactly(size)
        seconds = time.perf_counter() - start
        assert answer.startswith(b"HTTP/1.1 200"), answer
        assert json.loads(found)["data"][0]["text"] == text
        return seconds


async def closed_loop(
    address: tuple[str, int], texts: list[str], clients: int, seconds: float
) -> list[float]:
    end, latencies = time.perf_counter() + seconds, []

    async def client(number: int) -> None:
        connection = Connection(*address)
        await connection.open()
        draw = random.Random(number)
        while time.perf_counter() < end:
            latencies.append(await connection.score(draw.choice(texts)))

    await asyncio.gather(*map(client, range(clients)))
    return latencies


async def open_loop(
    address: tuple[str, int], texts: list[str], rate: float, seconds: float
) -> list[float]:
    draw, latencies, idle, tasks = random.Random(1), [], [], set()

    async def one(due: float) -> None:
        connection = idle.pop() if idle else Connection(*address)
        if not hasattr(connection, "_writer"):
            await connection.open()
        await connection.score(draw.choice(texts))
        latencies.append(time.perf_counter() - due)  # from when it was due, not when it was sent
        idle.append(connection)

    due = time.perf_counter()
    end = due + seconds
    while due < end:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.add(asyncio.create_task(one(due)))
        due += draw.expovariate(rate)
    await asyncio.gather(*tasks)
    return latencies


def measured(latencies: list[float], wall: float, cpu: float, own: float) -> dict[str, float]:
    latencies.sort()
    at = {
        f"p{q}_ms": 1000 * latencies[min(len(latencies) - 1, len(latencies) * q // 100)]
        for q in (50, 95, 99)
    }
    rates = {"texts_per_s": len(latencies) / wall, "texts_per_cpu_s": len(latencies) / cpu}
    return {**rates, **at, "client_cpu_share": own / wall}


def library(options: argparse.Namespace) -> dict[str, float]:
    """The same texts without a server, in a process of its own."""
    code = (
        "import json, sys, time, lmscore\n"
        "lm = lmscore.load(sys.argv[1] or None)\n"
        "texts = json.load(sys.stdin)\n"
        "list(lm.score_stream(texts[:200], tokens=False, window=32))\n"
        "start, cpu = time.perf_counter(), time.process_time()\n"
        "count = 0\n"
        "while time.perf_counter() < start + float(sys.argv[2]):\n"
        "    count += len(list(lm.score_stream(texts[:2000], tokens=False, window=32)))\n"
        "wall, cpu = time.perf_counter() - start, time.process_time() - cpu\n"
        "alone = []\n"
        "for text in texts[:300]:\n"
        "    begin = time.perf_counter(); lm.score(text, tokens=False)\n"
        "    alone.append(time.perf_counter() - begin)\n"
        "print(count / wall, count / cpu, 1000 * sorted(alone)[150])\n"
    )
    command = [sys.executable, "-c", code, options.model or "", str(options.seconds)]
    texts = json.dumps(pieces(options.text, options.words))
    done = subprocess.run(command, input=texts, capture_output=True, text=True, check=True)
    rate, per_cpu, alone = map(float, done.stdout.split())
    return {"texts_per_s": rate, "texts_per_cpu_s": per_cpu, "p50_ms": alone}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--model", default="")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128, 256])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--words", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    texts = pieces(options.text, options.words)
    rows: dict[str, dict[str, Any]] = {"library, windows of 32": library(options)}
    model = ["-m", options.model] if options.model else []
    server = subprocess.Popen([*PROGRAM, *model], stderr=subprocess.PIPE, text=True)
    try:
        url = server.stderr.readline().split()[-1]
        host, port = url.removeprefix("http://").split(":")
        address = (host, int(port))
        asyncio.run(closed_loop(address, texts, 4, 1))  # warm
        runs: list[tuple[str, Any]] = [(f"{n} clients", n) for n in options.clients]
        for title, clients in [*runs, ("open loop", None)]:
            name = title
            wall, cpu, own = time.perf_counter(), cpu_seconds(server.pid), time.process_time()
            if clients is None:
                rate = max(row["texts_per_s"] for key, row in rows.items() if "clients" in key) / 2
                name = f"open loop, {rate:.0f} texts/s"
                found = asyncio.run(open_loop(address, texts, rate, options.seconds))
            else:
                found = asyncio.run(closed_loop(address, texts, clients, options.seconds))
            wall, own = time.perf_counter() - wall, time.process_time() - own
            rows[name] = measured(found, wall, cpu_seconds(server.pid) - cpu, own)
    finally:
        server.terminate()
        server.wait()
    first = rows["library, windows of 32"]["texts_per_cpu_s"]
    print("| | texts/s | per CPU second | ratio | p50 ms | p95 | p99 | CPU of the clients |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        tail = [f"{row[key]:.1f}" if key in row else "" for key in ("p50_ms", "p95_ms", "p99_ms")]
        own = f"{row['client_cpu_share']:.0%}" if "client_cpu_share" in row else ""
        per_cpu = row["texts_per_cpu_s"]
        print(
            f"| {name} | {row['texts_per_s']:,.0f} | {per_cpu:,.0f} | {per_cpu / first:.2f} | "
            f"{' | '.join(tail)} | {own} |"
        )
    save(options.json, {"rows": rows})


if __name__ == "__main__":
    main()
