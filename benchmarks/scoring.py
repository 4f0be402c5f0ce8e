"""Text to scores, tokens a second, beside what else scores the same text on this machine.

Usage: python benchmarks/scoring.py TEXT [--model PATH | --vocab 10000 --hidden 650 --layers 2]
                                    [--work DIR] [--lines 3000] [--arpa FILE] [--device cpu]
                                    [--json FILE]

Without --model a model with random weights is made in DIR, from the words of TEXT; a model given
needs model.safetensors and its graphs. lmscore runs as its users run it, from the file to lines of
output: reading, tokenising, batching and writing are in its time. PyTorch and ONNX Runtime get ids
that are ready, sorted by length, and the model's weights. GPT-2 has random weights, and ids in the
same number (its own tokenizer would make more). KenLM (--arpa: any n-gram model) gets words.

The ceilings are the matrix products of the model alone, of the same sizes, through ONNX Runtime.
Each competitor runs in a process of its own; they take turns; medians; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from models import add_model_options, chosen_model
from texts import first_lines
from turns import save, take_turns

BATCH = 32  # sentences of PyTorch's batches
FEW = 40  # lines for those who read token by token

Options = argparse.Namespace


def lmscore_cli(variant: str) -> Callable[[Options], float]:
    """`lmscore score FILE`, from the first byte read to the last line written; loading included."""

    def run(options: Options) -> float:
        from lmscore.cli import main

        threads = [f"--threads={options.threads}"] if options.threads else []
        model = ["-m", options.model, "--variant", variant, "--device", options.device]
        tokens = sum(map(len, ids(options)))
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file, no_output():
            file.writelines(f"{line}\n" for line in first_lines(options.text, options.lines))
            file.flush()
            start = time.perf_counter()
            status = main(["score", "-q", "--context", "sentence", *model, *threads, file.name])
            if status:
                raise SystemExit("lmscore score failed")
            return tokens / (time.perf_counter() - start)

    return run


@contextmanager
def no_output() -> Iterator[None]:
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)


def ids(options: Options) -> list[list[int]]:
    """For each line the ids that are scored, </s> the last."""
    from lmscore.bundle import Bundle
    from lmscore.runtime.text.tokenizer import TextTokenizer

    bundle = Bundle.read(options.model)
    found = TextTokenizer.load(bundle).encode_batch(first_lines(options.text, options.lines))
    return [[*row, bundle.config.eos_token_id] for row in found]


def torch_batches(kind: str) -> Callable[[Options], float]:
    """Padded batches, sorted by length: as quick as plain PyTorch gets."""

    def run(options: Options) -> float:
        import torch
        from torch.nn.utils.rnn import pad_sequence

        network, bos = torch_network(options)
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(kind, torch.float32)
        rows = sorted(([bos, *row] for row in ids(options)), key=len, reverse=True)
        batches = [
            pad_sequence([torch.tensor(row) for row in rows[i : i + BATCH]]).to(options.device)
            for i in range(0, len(rows), BATCH)
        ]

        def score(batch: torch.Tensor) -> torch.Tensor:
            hidden, _ = network(batch[:-1], network.initial_state(batch.size(1)))
            return network.log_probs(hidden).gather(2, batch[1:, :, None])

        if kind == "compile":
            score = torch.compile(score, dynamic=True)
        with (
            torch.inference_mode(),
            torch.autocast(
                torch.device(options.device).type, dtype=dtype, enabled=dtype != torch.float32
            ),
        ):
            for batch in batches[-5:]:
                score(batch).cpu()
            start = time.perf_counter()
            for batch in batches:
                score(batch).cpu()
        return sum(len(row) - 1 for row in rows) / (time.perf_counter() - start)

    return run


def torch_network(options: Options):  # noqa: ANN201
    import torch

    from lmscore.bundle import Bundle, load_weights
    from lmscore.train.memory import keep_freed_memory
    from lmscore.train.network import RecurrentLM

    keep_freed_memory()
    if options.threads:
        torch.set_num_threads(options.threads)
    bundle = Bundle.read(options.model)
    network = RecurrentLM(bundle.config).eval()
    network.load_weights(load_weights(bundle))
    return network.to(options.device), bundle.config.bos_token_id


def torch_steps(options: Options) -> float:
    """The loop people write: a sentence at a time, a token at a time."""
    import torch

    network, bos = torch_network(options)
    rows = ids(options)[:FEW]
    start = time.perf_counter()
    with torch.inference_mode():
        for row in rows:
            state, token = network.initial_state(1), bos
            for target in row:
                tokens = torch.tensor([[token]], device=options.device)
                hidden, state = network(tokens, state)
                float(network.log_probs(hidden)[0, 0, target])
                token = target
    return sum(map(len, rows)) / (time.perf_counter() - start)


def onnxruntime_steps(options: Options) -> float:
    """The same loop over the fp32 graph."""
    import numpy as np

    from lmscore.bundle import Bundle
    from lmscore.runtime.engine import import_onnxruntime

    bundle = Bundle.read(options.model)
    session = import_onnxruntime().InferenceSession(
        str(bundle.graph_path("fp32")), providers=["CPUExecutionProvider"]
    )
    names = [tensor.name for tensor in bundle.config.state]
    outputs = ["log_probs", *(tensor.next for tensor in bundle.config.state)]
    fixed = {
        "targets": np.empty((1, 1, 0), np.int64),
        "k": np.array([0]),
        "lengths": np.ones(1, np.int32),
        "parents": np.zeros(1, np.int64),
        "measured": np.zeros(1, np.int64),
    }
    fixed = {value.name: fixed[value.name] for value in session.get_inputs() if value.name in fixed}
    rows = ids(options)[:FEW]
    start = time.perf_counter()
    for row in rows:
        state = [np.zeros(tensor.shape(1), np.float32) for tensor in bundle.config.state]
        token = bundle.config.bos_token_id
        for target in row:
            feeds = {**fixed, "tokens": np.array([[token]]), **dict(zip(names, state, strict=True))}
            log_probs, *state = session.run(outputs, feeds)
            float(log_probs[0, 0, target])
            token = target
    return sum(map(len, rows)) / (time.perf_counter() - start)


def kenlm(method: str) -> Callable[[Options], float]:
    def run(options: Options) -> float:
        import kenlm as module

        model, lines = module.Model(options.arpa), first_lines(options.text, options.lines)
        tokens = sum(map(len, ids(options)))
        start, passes = time.perf_counter(), 0
        while (seconds := time.perf_counter() - start) < 1:
            for line in lines:
                model.score(line) if method == "score" else list(model.full_scores(line))
            passes += 1
        return passes * tokens / seconds

    return run


def gpt2(options: Options) -> float:
    """What minicons, lm-scorer and mlm-scoring run at the least: GPT-2 small, batches of 8."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config()).eval().to(options.device)
    rows = sorted(ids(options)[:FEW], key=len, reverse=True)
    start = time.perf_counter()
    with torch.inference_mode():
        for i in range(0, len(rows), 8):
            longest = len(rows[i])
            batch = torch.tensor([row + [0] * (longest - len(row)) for row in rows[i : i + 8]])
            logits = model(batch.to(options.device)).logits[:, :-1]
            logits.log_softmax(-1).gather(2, batch[:, 1:, None].to(options.device)).cpu()
    return sum(map(len, rows)) / (time.perf_counter() - start)


def ceiling(variant: str) -> Callable[[Options], float]:
    def run(options: Options) -> float:
        from lmscore.bundle import Bundle
        from lmscore.runtime.bench.products import scoring_ceiling
        from lmscore.runtime.engine import token_budget

        config = Bundle.read(options.model).config
        return scoring_ceiling(
            config,
            variant,
            rows=32,
            tokens=token_budget(config),
            device=options.device,
            threads=options.threads,
            seconds=4,
        )

    return run


COMPETITORS: dict[str, Callable[[Options], float]] = {
    "PyTorch eager fp32, batches of ids": torch_batches("fp32"),
    "PyTorch eager bf16": torch_batches("bf16"),
    "PyTorch eager fp16": torch_batches("fp16"),
    "torch.compile fp32": torch_batches("compile"),
    "PyTorch, token by token": torch_steps,
    "onnxruntime fp32, token by token": onnxruntime_steps,
    "GPT-2 small (Transformers, fp32)": gpt2,
    "KenLM score": kenlm("score"),
    "KenLM full_scores": kenlm("full_scores"),
    "lmscore fp32, from text": lmscore_cli("fp32"),
    "lmscore int8, from text": lmscore_cli("int8"),
    "lmscore fp16, from text": lmscore_cli("fp16"),
    "ceiling fp32": ceiling("fp32"),
    "ceiling int8": ceiling("int8"),
}


def chosen(options: Options) -> list[str]:
    """On the CPU there is no use for fp16, on a GPU none for int8."""
    other = "fp16" if options.device == "cpu" else "int8"
    names = [name for name in COMPETITORS if other not in name]
    return [name for name in names if options.arpa or not name.startswith("KenLM")]


def print_table(speeds: dict[str, float], title: str) -> None:
    base = next(iter(speeds.values()))
    print(f"| {title} | tokens/s | of PyTorch eager | of its ceiling |\n|---|---|---|---|")
    for name, speed in speeds.items():
        variant = name.removesuffix(", from text").split()[-1]
        top = speeds.get(f"ceiling {variant}") if name.startswith("lmscore") else None
        share = f"{100 * speed / top:.0f} %" if top else ""
        print(f"| {name} | {speed:,.0f} | {speed / base:.2f} | {share} |")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    add_model_options(parser)
    parser.add_argument("--lines", type=int, default=3000)
    parser.add_argument("--arpa", help="an n-gram model, for KenLM")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        print(COMPETITORS[options.worker](options))
        return

    options.model = chosen_model(options)
    passed = ("model", "lines", "arpa", "device", "threads")
    given = [f"--{n}={getattr(options, n)}" for n in passed if getattr(options, n) is not None]
    names = chosen(options)
    speeds = take_turns(__file__, names, [options.text, *given], turns=options.turns)
    print_table(speeds, f"{Path(options.model).name}, {options.lines:,} lines")
    save(options.json, {"lines": options.lines, "model": Path(options.model).name, **speeds})


if __name__ == "__main__":
    main()
