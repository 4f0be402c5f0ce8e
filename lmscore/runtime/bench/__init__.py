"""The speed of a model on this machine, and the limits that the machine sets."""

from lmscore.runtime.bench.advice import advice
from lmscore.runtime.bench.benchmark import Benchmark, Speed, run_benchmark

__all__ = ["Benchmark", "Speed", "advice", "run_benchmark"]
