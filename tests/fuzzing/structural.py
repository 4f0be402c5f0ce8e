"""Real files with a few parts changed: what loads them gives a result, or an error of one line.

Usage: python tests/fuzzing/structural.py [--seconds 5] [--seed 0] [--keep FOLDER] [TARGET ...]

TARGET is weights, config, tokenizer, graph or arpa; all of them by default, each for so many
seconds in a process of its own, since some loaders are native code. Files are changed as documents:
values are replaced by others that are hard to treat, keys are doubled, renamed and left out, parts
are moved and nested. The same seed makes the same files in the same order. The exit status is 1 if
a loader failed otherwise, took longer than 10 seconds, or ended its process; the file is kept.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import multiprocessing
import random
import re
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from tokenizers import Tokenizer, decoders, models, normalizers

import lmscore
from lmscore.bundle import (
    CONFIG_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    Bundle,
    load_weights,
)
from lmscore.errors import LmscoreError
from lmscore.runtime.ngram import read_arpa
from tests.hostile.directory import FP32_FILE, forge
from tests.models import make_model

_LONGEST = 10.0  # seconds for one file
_TEXTS = ["the cat sat on the mat", "", "hello é <s> 🏳 <0x41>"]

Change = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Target:
    """A file of a kind, how it is changed, and what loads it."""

    name: str
    change: Change
    load: Callable[[Path], object]


# --- changes


def hard_value(draw: random.Random) -> Any:
    """A value that is hard to treat."""
    numbers = [-1, 0, 1, 2**31, 2**63, 2**64, -(2**70), 10**310, 1e308, 5e-324, math.nan, math.inf]
    texts = ["", "\x00", "\ud800", "\u0301", "<unk>", "<0x41>", "a" * 5000]
    groups: list[Any] = [[], {}, [[]], ["a"], {"a": 1}, {"type": "Sequence"}, [0] * 100]
    return draw.choice([None, True, *numbers, *texts, *groups])


def changed_json(document: Any, draw: random.Random) -> Any:
    """A document in which a part is replaced, moved, renamed, doubled, nested or gone."""
    place, key = draw.choice(list(_places(document)))
    if draw.random() < 0.4 and isinstance(place[key], dict | list) and place[key]:
        place, key = draw.choice(list(_places(place[key])))  # else the outer parts are too many
    what = draw.choice(["value", "value", "other", "delete", "rename", "twice", "nest", "add"])
    if what == "value":
        place[key] = hard_value(draw)
    elif what == "other":
        from_place, from_key = draw.choice(list(_places(document)))
        place[key] = copy.deepcopy(from_place[from_key])
    elif what == "delete":
        del place[key]
    elif what == "nest":
        for _ in range(draw.choice([1, 2, 50])):
            place[key] = draw.choice([[place[key]], {"a": place[key]}])
    elif isinstance(place, dict):
        _change_key(place, key, what, draw)
    else:
        place.insert(draw.randrange(len(place) + 1), copy.deepcopy(draw.choice(place)))
    return document


def _change_key(place: dict[str, Any], key: str, what: str, draw: random.Random) -> None:
    if what == "rename":
        other = draw.choice([key + "x", key.upper(), "", draw.choice(list(place))])
        place[other] = place.pop(key)
    elif what == "twice":
        place[f"\x01twice\x01{key}"] = draw.choice([place[key], hard_value(draw)])
    else:
        place[draw.choice(["type", "dtype", "a", ""])] = hard_value(draw)


def _places(document: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Every place of a document that can be changed; few of those in a long row."""
    keys = list(document) if isinstance(document, dict) else range(len(document))
    for key in keys if len(keys) < 40 else random.Random(len(keys)).sample(list(keys), 40):
        yield document, key
        if isinstance(document[key], dict | list):
            yield from _places(document[key], depth + 1)


def written(document: Any) -> bytes:
    """JSON with the keys that are to be there twice."""
    text = json.dumps(document).replace("\\u0001twice\\u0001", "")
    return text.encode("utf-8", "surrogatepass")


def change_json(data: bytes, draw: random.Random) -> bytes:
    """Change a file of JSON."""
    document = json.loads(data)
    for _ in range(draw.choice([1, 1, 2])):
        if document:
            changed_json(document, draw)
    return written(document)


def change_weights(data: bytes, draw: random.Random) -> bytes:
    """Change the JSON that a safetensors file begins with, or the size that announces it."""
    (size,) = struct.unpack("<Q", data[:8])
    header = change_json(data[8 : 8 + size], draw)
    if draw.random() < 0.2:
        header += b" " * draw.choice([1, 7, 8])
    announced = len(header) if draw.random() < 0.9 else draw.choice([0, 1, len(header) - 1, 2**63])
    return struct.pack("<Q", announced) + header + data[8 + size :]


def change_graph(data: bytes, draw: random.Random) -> bytes:
    """Change nodes, attributes, tensors and ports of a graph."""
    model = onnx.load_from_string(data)
    for _ in range(draw.choice([1, 1, 2])):
        draw.choice([_change_node, _change_node, _change_port, _change_tensor])(model.graph, draw)
    return bytes(model.SerializeToString())


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _change_node(graph: Any, draw: random.Random) -> None:
    nodes = draw.choice(list(_graphs(graph))).node
    if not nodes:
        return
    node, other = draw.choice(nodes), copy.deepcopy(draw.choice(nodes))
    what = draw.choice(["type", "wire", "swap", "delete", "double", "attribute", "nest"])
    if what == "type":
        kinds = ["Expand", "Tile", "ConstantOfShape", "Scan", "Loop", "If", "MatMul", "Range"]
        node.op_type = draw.choice([*kinds, other.op_type])
    elif what == "wire" and node.input and (other.input or other.output):
        node.input[draw.randrange(len(node.input))] = draw.choice([*other.input, *other.output])
    elif what == "swap":
        node.CopyFrom(other)
    elif what == "delete":
        nodes.remove(node)
    elif what == "double":
        nodes.append(other)
    elif what == "nest" and other.attribute:
        node.attribute.extend(other.attribute)
    elif node.attribute:
        attribute = draw.choice(node.attribute)
        attribute.i = draw.choice([-1, 0, 1, 2**31, 2**62])
        attribute.ints.extend([draw.choice([-1, 0, 2**40])])


def _change_port(graph: Any, draw: random.Random) -> None:
    ports = draw.choice([graph.input, graph.output])
    port = draw.choice(ports)
    shape = port.type.tensor_type.shape.dim
    what = draw.choice(["shape", "shape", "name", "type", "delete", "double"])
    if what == "shape" and shape:
        place = draw.choice(shape)
        place.dim_value = draw.choice([0, 1, 3, 2**31, 2**62])
        if draw.random() < 0.3:
            shape.add().dim_value = 1
    elif what == "name":
        port.name += "x"
    elif what == "type":
        port.type.tensor_type.elem_type = draw.choice([1, 6, 7, 8, 9, 10, 11])
    elif what == "delete":
        ports.remove(port)
    elif what == "double":
        ports.append(copy.deepcopy(port))


def _change_tensor(graph: Any, draw: random.Random) -> None:
    tensor = draw.choice(
        draw.choice([each for each in _graphs(graph) if each.initializer]).initializer
    )
    what = draw.choice(["dims", "dims", "type", "data", "name", "delete"])
    if what == "dims" and tensor.dims:
        tensor.dims[draw.randrange(len(tensor.dims))] = draw.choice([0, 1, -1, 2**31, 2**62])
    elif what == "type":
        tensor.data_type = draw.choice([1, 2, 3, 6, 7, 8, 9, 10, 11])
    elif what == "data":
        data = bytearray(tensor.raw_data)
        for _ in range(min(8, len(data))):
            data[draw.randrange(len(data))] = draw.choice([0, 127, 255])
        tensor.raw_data = bytes(data[: draw.choice([len(data), len(data) // 2])])
    elif what == "name":
        tensor.name += "x"
    else:
        graph.initializer.extend([copy.deepcopy(tensor)])


ARPA = rb"""
\data\
ngram 1=5
ngram 2=4
ngram 3=1

\1-grams:
-1.2	<unk>
-99	<s>	-0.3
-0.9	</s>
-0.8	the	-0.2
-1.0	cat	-0.1

\2-grams:
-0.2	<s> the	-0.1
-0.4	the cat	-0.2
-0.3	cat </s>
-1.1	cat the

\3-grams:
-0.1	<s> the cat

\end\
"""
_FIELDS = [b"nan", b"-inf", b"1e400", b"0x1p3", b"-1e-400", b"9" * 310, b"", b"\xff\xfe", b"</s>"]


def change_arpa(data: bytes, draw: random.Random) -> bytes:
    """Change lines of an ARPA file, and fields in them."""
    lines = data.split(b"\n")
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(lines))
        fields = re.split(rb"([\t =])", lines[at])
        what = draw.choice(["field", "field", "line", "delete", "swap", "join", "cut"])
        if what == "field":
            field = draw.randrange(len(fields))
            fields[field] = draw.choice([*_FIELDS, b"-1", b"1000000000000", b"the", b"cat"])
            lines[at] = b"".join(fields)
        elif what == "line":
            lines.insert(at, draw.choice(lines))
        elif what == "delete" and len(lines) > 1:
            del lines[at]
        elif what == "swap":
            other = draw.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif what == "join":
            lines[at] += draw.choice([b"\r", b"\x00", b"\t-0.1", b" the cat the cat", b"\x85"])
        elif what == "cut":
            lines = lines[: at + 1]
    return b"\n".join(lines)


# --- loaders


def _score(path: Path) -> None:
    lm = lmscore.load(path, variant="fp32", threads=1)
    found = lm.score_batch(_TEXTS, tokens=True)
    lm.sample("the", max_tokens=3, seed=1)
    lm.next_words("the", 3)
    assert all(math.isfinite(score.log_prob) for score in found)


def load_config(file: Path) -> None:
    """Read the configuration, and the model with it."""
    config = Bundle.read(file.parent).config
    assert Bundle.read(file.parent).config.from_json(config.to_json()) == config
    assert config.num_parameters > 0
    _score(file.parent)


def load_signed(file: Path) -> None:
    """Load a directory whose tokenizer or graph was changed and signed again."""
    forge(file.parent)
    _score(file.parent)


def load_ngrams(file: Path) -> None:
    """Read an ARPA file and score with it."""
    read_arpa(file)
    found = lmscore.load(file).score_batch(["the cat", "", "dog the"], tokens=True)
    assert not any(math.isnan(score.log_prob) for score in found)


TARGETS = [
    Target(WEIGHTS_FILE, change_weights, lambda file: load_weights(Bundle.read(file.parent))),
    Target(CONFIG_FILE, change_json, load_config),
    Target(TOKENIZER_FILE, change_json, load_signed),
    Target(FP32_FILE, change_graph, load_signed),
    Target("model.arpa", change_arpa, load_ngrams),
]
NAMES = dict(zip("weights config tokenizer graph arpa".split(), TARGETS, strict=True))


# --- the work


def make_files(folder: Path) -> None:
    """Models with random weights: of words, of bytes, and like Llama's; and an n-gram model."""
    make_model(folder / "word", tokenizer="word", variants=("fp32",), hidden=8)
    make_model(folder / "bpe", tokenizer="bpe", variants=("fp32",), hidden=8)
    make_model(folder / "llama", tokenizer=_like_llama(), variants=("fp32",), hidden=8)
    (folder / "word" / "model.arpa").write_bytes(ARPA)


def _like_llama() -> Tokenizer:
    """Pieces of words and, for what they do not spell, bytes."""
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    letters = sorted(set("\u2581thecatsonm"))
    merges = [("t", "h"), ("th", "e"), ("\u2581", "the"), ("a", "t"), ("c", "at")]
    names += [*letters, *map("".join, merges)]
    ids = {name: index for index, name in enumerate(names)}
    tokenizer = Tokenizer(
        models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["<s>", "</s>"])
    return tokenizer


def fuzz(name: str, folder: Path, seed: int, seconds: float, tried: Any) -> None:
    """Change and load files; the file that is being loaded lies in its place."""
    target, end, number = NAMES[name], time.monotonic() + seconds, 0
    signed = {
        path: (path.parent / CONFIG_FILE).read_bytes() for path in folder.glob(f"*/{target.name}")
    }
    originals = {path: path.read_bytes() for path in sorted(signed)}
    while time.monotonic() < end:
        draw = random.Random(f"{seed} {name} {number}")
        path = draw.choice(list(originals))
        (path.parent / CONFIG_FILE).write_bytes(signed[path])
        path.write_bytes(target.change(originals[path], draw))
        tried.value = number = number + 1
        try:
            target.load(path)
        except LmscoreError as error:
            if "\n" in str(error):
                raise AssertionError("an error of more than one line") from error
        path.write_bytes(originals[path])


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def watch(name: str, seed: int, seconds: float, keep: Path) -> bool:
    """Fuzz a target in a process of its own; whether it held."""
    context = multiprocessing.get_context("spawn")
    tried = context.Value("q", 0)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make_files(folder)
        child = context.Process(target=fuzz, args=(name, folder, seed, seconds, tried))
        child.start()
        hangs = not _ends(child, tried)
        child.join()
        failed = hangs or child.exitcode != 0
        what = "hangs" if hangs else f"ends with status {child.exitcode}" if failed else "holds"
        say(f"{name}: {tried.value} files, {what}")
        if failed:
            shutil.copytree(folder, keep / name, dirs_exist_ok=True)
            say(f"number {tried.value} is in {keep / name}")
    return not failed


def _ends(child: Any, tried: Any) -> bool:
    """Wait for a process; kill it if it is at one file for too long."""
    last, since = -1, time.monotonic()
    while child.is_alive():
        child.join(0.2)
        if tried.value != last:
            last, since = tried.value, time.monotonic()
        elif time.monotonic() - since > _LONGEST + (30 if not last else 0):  # imports come first
            child.kill()
            return False
    return True


def main() -> int:
    """Fuzz the targets that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=float, default=5.0, help="for each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzzing-failures"))
    given = parser.parse_args()
    if unknown := set(given.targets) - NAMES.keys():
        parser.error(f"no target {min(unknown)}; there are {', '.join(NAMES)}")
    held = [watch(name, given.seed, given.seconds, given.keep) for name in given.targets or NAMES]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
