"""How fast a model is on this machine, and how fast the machine would let it be."""

from lmscore.runtime.bench.advice import advice
from lmscore.runtime.bench.benchmark import Benchmark, Speed, run_benchmark

__all__ = [
    "Benchmark",
    "Speed",
    "advice",
    "run_benchmark",
]
