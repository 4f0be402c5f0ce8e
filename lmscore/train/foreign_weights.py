"""The parts of a network among the tensors that another program saved.

The names of pytorch/examples' word_language_model, of icefall's RnnLmModel and of ESPnet's
SequentialRNNLM and RNNLM are known, and of modules that are called like theirs; a mapping names
others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lmscore.bundle import CELLS, Cell
from lmscore.errors import ModelError, OptionError
from lmscore.files import open_input_raw

PARTS = ("embedding", "rnn", "output")
"""The parts of a network that a mapping may name."""

_EMBEDDINGS = (
    "encoder",
    "input_embedding",
    "embed",
    "embedding",
    "embeddings",
    "emb",
    "word_embedding",
)
_OUTPUTS = ("decoder", "output_linear", "lo", "output", "linear", "fc", "proj", "out", "head")
_WRAPPERS = ("model", "state_dict", "model_state_dict", "net")  # of checkpoints

# nn.LSTM and the like number their layers; a list of nn.LSTMCell numbers its modules.
_NUMBER = r"(?P<layer>\d{1,4})"
_WEIGHT = r"(?P<weight>(?:weight|bias)_(?:ih|hh))"
_LAYER = re.compile(rf"(?:(?P<module>.+)\.)?{_WEIGHT}_l{_NUMBER}")
_CELL = re.compile(rf"(?:(?P<module>.+)\.)?{_NUMBER}\.{_WEIGHT}")

_BY_GATES: Mapping[int, Cell] = {4: "lstm", 3: "gru"}


class _Weight(NamedTuple):
    name: str  # in the file
    tensor: Tensor


@dataclass(frozen=True)
class ForeignNetwork:
    """The weights of a network by lmscore's names, and its sizes."""

    weights: dict[str, Tensor]
    cell: Cell
    vocab_size: int
    hidden_size: int
    embedding_size: int
    layers: int
    tied: bool


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a .pt file that holds nothing else but plain data.

    Raises:
        InputFileError: the file cannot be read.
        ModelError: it is neither, or holds no tensors.
    """
    with open_input_raw(path) as file:
        begin = file.read(9)
    try:
        if begin[8:9] == b"{":
            from safetensors.torch import load_file

            return dict(load_file(str(path)))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors each raise their own
        raise ModelError(
            f"{path}: neither safetensors nor a .pt file of tensors alone; a pickled module is "
            "not read: save its state_dict() with torch.save"
        ) from error
    while isinstance(found, Mapping):
        inner = next((found[key] for key in _WRAPPERS if isinstance(found.get(key), Mapping)), None)
        if inner is None:
            break
        found = inner
    tensors = found if isinstance(found, Mapping) else {}
    tensors = {str(key): value for key, value in tensors.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ModelError(f"{path}: no tensors by name in it; save the state_dict() of the module")
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.layout != torch.strided or tensor.is_meta:
            raise ModelError(
                f"{path}: {name} is a tensor of {tensor.dtype}, {tensor.layout}, on "
                f"{tensor.device}; expected plain floating-point numbers"
            )
        if not tensor.float().isfinite().all():
            raise ModelError(f"{path}: {name} has NaN or infinite values")
    return tensors


def recognise(
    tensors: Mapping[str, Tensor],
    *,
    source: str,
    cell: Cell | None = None,
    mapping: Mapping[str, str] | None = None,
) -> ForeignNetwork:
    """Find the parts of a network among tensors.

    Args:
        tensors: a state dict.
        source: the name of the file in errors.
        cell: for nn.RNN, whose non-linearity the weights do not tell: rnn-tanh or rnn-relu.
        mapping: the names of modules, by `PARTS`.

    Raises:
        OptionError: the cell is missing or wrong, or the mapping names no module of the file.
        ModelError: lmscore has no such network.
    """
    names = dict(mapping or {})
    rest = dict(tensors)
    layers = _recurrent(rest, names.get("rnn"), source)
    embedding = _matrix(rest, names.get("embedding"), _EMBEDDINGS, "embedding", source)
    if embedding is None:
        raise ModelError(f"{source}: no embedding among {_some(rest)}; {_advice('embedding')}")
    output = _matrix(rest, names.get("output"), _OUTPUTS, "output", source)
    bias = output and _bias(rest, output)
    if rest:
        raise ModelError(
            f"{source}: cannot take {_some(rest)}, which belongs to no embedding, nn.LSTM, nn.GRU, "
            "nn.RNN or output layer; lmscore has no such network"
        )
    _check_shape(embedding, ("vocabulary", "size"), source)
    V, E = embedding.tensor.shape
    weights, H, kind = _layer_weights(layers, E, cell, source)
    weights["embedding.weight"] = embedding.tensor
    tied = output is None or output.tensor.equal(embedding.tensor)
    if output is None or tied:
        _check_shape(embedding, (V, H), source, ", since it is the output layer, too")
    else:
        _check_shape(output, (V, H), source)
        weights["output.weight"] = output.tensor
    if bias is None:
        weights["output.bias"] = torch.zeros(V)
    else:
        _check_shape(bias, (V,), source)
        weights["output.bias"] = bias.tensor
    floats = {name: weight.float() for name, weight in weights.items()}
    return ForeignNetwork(floats, kind, V, H, E, len(layers), tied=tied)


def _check_shape(
    weight: _Weight, expected: Sequence[int | str], source: str, reason: str = ""
) -> None:
    """Raise ModelError if a weight has another shape; a name stands for any size but 0."""
    shape = weight.tensor.shape
    if len(shape) != len(expected) or any(
        size != want if isinstance(want, int) else not size
        for size, want in zip(shape, expected, strict=True)
    ):
        raise ModelError(
            f"{source}: {weight.name} has shape {list(shape)}, expected "
            f"[{', '.join(map(str, expected))}]{reason}"
        )


def _recurrent(
    rest: dict[str, Tensor], module: str | None, source: str
) -> list[dict[str, _Weight]]:
    """Take the weights of each recurrent layer, by PyTorch's names, out of `rest`."""
    odd = next((n for n in rest if "_reverse" in n or re.search(r"weight_hr", n)), None)
    if odd is not None:
        what = "reads both ways" if "_reverse" in odd else "projects its state (proj_size)"
        raise ModelError(
            f"{source}: {odd} is of a layer that {what}, which no cell of lmscore does"
        )
    found: dict[tuple[str, int], dict[str, _Weight]] = {}
    for name in list(rest):
        match = _LAYER.fullmatch(name) or _CELL.fullmatch(name)
        if match and (module is None or match["module"] == module):
            key = (match["module"] or "", int(match["layer"]))
            found.setdefault(key, {})[match["weight"]] = _Weight(name, rest.pop(name))
    modules = sorted({name for name, _ in found})
    if len(modules) > 1:
        raise ModelError(
            f"{source}: recurrent layers in {', '.join(modules)}, and lmscore has one stack of "
            "them; remove the others from the file"
        )
    layers = [found[key] for key in sorted(found)]
    numbers = [number for _, number in sorted(found)]
    if not layers:
        raise ModelError(f"{source}: no recurrent layer among {_some(rest)}; {_advice('rnn')}")
    if numbers != list(range(len(layers))):
        raise ModelError(f"{source}: recurrent layers {numbers}, expected 0, 1, ...")
    return layers


def _layer_weights(
    layers: list[dict[str, _Weight]], embedding_size: int, cell: Cell | None, source: str
) -> tuple[dict[str, Tensor], int, Cell]:
    """The weights by lmscore's names, the hidden size, and the cell."""
    for index, layer in enumerate(layers):
        if missing := {"weight_ih", "weight_hh"} - layer.keys():
            raise ModelError(f"{source}: layer {index} has no {min(missing)}")
    gates, H = _gates(layers[0]["weight_hh"], source)
    found = _BY_GATES.get(gates)
    if found is None and (cell is None or not CELLS[cell].is_elman):
        raise OptionError(
            f"{source}: an nn.RNN, whose weights do not tell its non-linearity: give cell "
            "rnn-tanh or rnn-relu"
        )
    if found is not None and cell not in (None, found):
        raise OptionError(f"cell is {cell!r}, but the weights in {source} are of {found!r}")
    rows = gates * H
    weights = {}
    for index, layer in enumerate(layers):
        reads = H if index else embedding_size
        shapes = {"weight_ih": (rows, reads), "weight_hh": (rows, H)}
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            weight = layer.get(name, _Weight(name, torch.zeros(rows)))
            _check_shape(weight, shapes.get(name, (rows,)), source)
            weights[f"rnn.{name}_l{index}"] = weight.tensor
    return weights, H, found or cell or "rnn-tanh"


def _gates(weight: _Weight, source: str) -> tuple[int, int]:
    """The number of gates, 1 of an nn.RNN, and the hidden size; by the recurrent weights."""
    shape = weight.tensor.shape
    if len(shape) == 2 and 0 not in shape:
        rows, H = shape
        if rows % H == 0 and rows // H in (1, *_BY_GATES):
            return rows // H, H
    raise ModelError(
        f"{source}: {weight.name} has shape {list(shape)}, expected [4 H, H] of an nn.LSTM, "
        "[3 H, H] of an nn.GRU or [H, H] of an nn.RNN"
    )


def _matrix(
    rest: dict[str, Tensor], module: str | None, known: tuple[str, ...], part: str, source: str
) -> _Weight | None:
    """Take the weight of a module out of `rest`; None if there is none."""
    matrices = [name for name in rest if name.endswith(".weight")]
    if module is not None:
        found = [name for name in matrices if name == f"{module}.weight"]
        if not found:
            raise OptionError(
                f"`mapping` names the {part} {module!r}, but {source} has {_some(rest)}"
            )
    else:
        by_name = {name.split(".")[-2]: name for name in reversed(matrices)}
        found = [by_name[name] for name in known if name in by_name][:1]
    return _Weight(found[0], rest.pop(found[0])) if found else None


def _bias(rest: dict[str, Tensor], weight: _Weight) -> _Weight | None:
    """Take the bias beside a weight out of `rest`; None if there is none."""
    name = weight.name.removesuffix("weight") + "bias"
    return _Weight(name, rest.pop(name)) if name in rest else None


def _some(tensors: Mapping[str, Tensor]) -> str:
    names = [f"{name} {list(tensor.shape)}" for name, tensor in sorted(tensors.items())]
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "") if names else "no tensors"


def _advice(part: str) -> str:
    return f"name the module with `mapping` {part}=NAME"
