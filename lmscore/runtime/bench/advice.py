"""Advice on the number of threads, from a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lmscore.runtime.bench.benchmark import Benchmark, Speed

_SAME = 0.05  # relative gain: less is no reason to take more threads
_NOISY = 0.15  # relative spread: turns that differ by more were disturbed


def advice(found: Benchmark) -> list[str]:
    """Sentences on which --threads to set."""
    said = []
    if len(found.speeds) > 1:
        said += [_about_scoring(found.speeds), *_about_processes(found), _about_steps(found.speeds)]
    spread = max(speed.spread for speed in found.speeds)
    if spread > _NOISY:
        said.append(
            f"The turns differ by up to {100 * spread:.0f} %: something else uses the machine. "
            "Measure again when it is idle, or for longer (--seconds)."
        )
    return said


def _about_scoring(speeds: Sequence[Speed]) -> str:
    best = _best(speeds, lambda speed: speed.tokens_per_second)
    gain = best.tokens_per_second / speeds[0].tokens_per_second
    how = "more are no faster" if best is speeds[0] else f"{gain:.1f} x one thread"
    return f"Scoring one text: --threads {best.threads}, {how}."


def _about_processes(found: Benchmark) -> list[str]:
    if found.together is None:
        return []
    count, rate = found.together.processes, found.together.tokens_per_second
    gain = rate / max(speed.tokens_per_second for speed in found.speeds)
    what = f"{count} processes with --threads 1 each"
    if gain <= 1 + _SAME:
        return [f"Several texts at once: {what} are no faster together ({gain:.1f} x)."]
    return [f"Several texts at once, or one in parts: {what}, together {gain:.1f} x that."]


def _about_steps(speeds: Sequence[Speed]) -> str:
    single = _best(speeds, lambda speed: 1 / speed.step_seconds)
    beam = _best(speeds, lambda speed: 1 / speed.beam_step_seconds)
    if single is beam:
        return f"Decoding: --threads {single.threads}."
    return f"Decoding: --threads {single.threads} for single steps, {beam.threads} for a beam."


def _best(speeds: Sequence[Speed], rate: Callable[[Speed], float]) -> Speed:
    """The first speed that is about as fast as the fastest."""
    enough = max(map(rate, speeds)) / (1 + _SAME)
    return next(speed for speed in speeds if rate(speed) >= enough)
