"""All questions about speed, one after another: a table and a JSON file for each.

Usage: python benchmarks/suite.py TEXT --out DIR [--arpa FILE] [--device cpu]

About ten minutes on two cores, once the models with random weights are made (kept in DIR/models).
Leave the machine alone meanwhile. The scripts can be run one by one, with more options.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def commands(options: argparse.Namespace) -> dict[str, list[str]]:
    models = ["--work", str(options.out / "models")]
    device = ["--device", options.device]
    arpa = ["--arpa", options.arpa] if options.arpa else []
    on_cpu: dict[str, list[str]] = {
        "startup": [],
        "concurrency": [options.text, "--lines", "3000"],
        "memory": ["--lines", "50000"],
        "scaling": [options.text, *models, "--figure", str(options.out / "scaling.svg")],
    }
    return {
        "scoring": [options.text, *models, *device, *arpa],
        "stepping": [options.text, *models, *device],
        **(on_cpu if options.device == "cpu" else {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--arpa", help="an n-gram model, for KenLM (extra kenlm)")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name, arguments in commands(options).items():
        start = time.perf_counter()
        print(f"\n## {name}\n", flush=True)
        json = ["--json", str(options.out / f"{name}.json")]
        command = [sys.executable, str(HERE / f"{name}.py"), *arguments, *json]
        done = subprocess.run(command, check=False)
        failed += [name] if done.returncode else []
        print(f"\n({name}: {time.perf_counter() - start:.0f} s)", flush=True)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
