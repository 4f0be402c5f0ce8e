"""Tiny model directories with random weights, as training would leave them, and the model in torch.

The same arguments give the same model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers import models as tokenizer_models
from tokenizers.trainers import BpeTrainer

from lmscore.bundle import (
    CELLS,
    CONTEXTS,
    MAX_COLUMNS,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    Bundle,
    Cell,
    Config,
    Context,
    Direction,
    Parity,
    TokenizerKind,
    head_size,
)
from lmscore.errors import MissingExtraError
from lmscore.files import sha256_file
from lmscore.names import Connections
from lmscore.runtime.engine import check_version

WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "sat",
    "on",
    "mat",
    "thanks",
    "for",
    "all",
    "fish",
    "so",
    "long",
    "and",
    "I",
    "you",
    "we",
    "they",
    "saw",
    "ran",
    "with",
    "to",
    "of",
    "in",
    "is",
    "was",
    "it",
    "not",
    "hello",
    "world",
    "good",
    "bye",
]

Ints = NDArray[np.int64]
Tensor = torch.Tensor

torch.set_num_threads(1)  # for models this small, threads only wait for each other


def make_model(
    path: Path,
    *,
    cell: Cell = "lstm",
    layers: int = 1,
    vocab: int | None = None,
    hidden: int = 16,
    tied: bool = True,
    context: Context = "sentence",
    direction: Direction = "forward",
    embedding: int | None = None,
    connections: Connections = "plain",
    window: int | None = None,
    tokenizer: TokenizerKind | Tokenizer = "word",
    cutoffs: tuple[int, ...] = (),
    self_normalized: bool = False,
    separate: bool = False,
    learned_initial_state: bool = False,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    variants: Sequence[str] = (),
) -> Bundle:
    """Make a complete model directory; `variants` are exported, none by default.

    window: of the cell `window`, 3 by default.

    tokenizer: `word` (vocabulary of `vocab`, default 60: WORDS, then w0 w1 ...; <unk> is 0),
    `bpe` (byte-level, no <unk>; default 300), `char` (printable ASCII; `vocab` is ignored), or one
    that has <s> and </s>.
    cutoffs: of the classes, if it is to have some.
    """
    path.mkdir(parents=True, exist_ok=True)
    kind: TokenizerKind
    if isinstance(tokenizer, Tokenizer):
        kind, made = "custom", tokenizer
    else:
        kind, made = tokenizer, make_tokenizer(tokenizer, vocab, context)
    made.save(str(path / TOKENIZER_FILE))
    eos = special_id(made, "</s>")
    config = Config(
        cell=cell,
        vocab_size=made.get_vocab_size(),
        hidden_size=hidden,
        num_hidden_layers=layers,
        tie_word_embeddings=tied,
        bos_token_id=eos if context == "document" else special_id(made, "<s>"),
        eos_token_id=eos,
        unk_token_id=made.token_to_id("<unk>"),
        context=context,
        direction=direction,
        output_layer="classes" if cutoffs else "softmax",
        cutoffs=cutoffs,
        self_normalized=self_normalized,
        separate=separate,
        learned_initial_state=learned_initial_state,
        embedding_size=embedding,
        connections=connections,
        window_size=None if CELLS[cell].is_recurrent else window or 3,
        tokenizer=kind,
        tokenizer_sha256=sha256_file(path / TOKENIZER_FILE),
        training={"data": "random weights"},
    )
    model = TorchModel(config, seed=seed, dtype=dtype)
    save_file(model.weights(dtype), path / WEIGHTS_FILE)
    make_parity(model, seed=seed).save(path)
    bundle = Bundle(path, config)
    bundle.write_config()
    if variants:
        from lmscore.export import export_model

        skip_if_too_old(cell)
        bundle = Bundle(path, export_model(path, variants=variants))
    return bundle


def skip_if_too_old(cell: Cell) -> None:
    """Skip the test if this ONNX Runtime lacks a cell's operator, as builds for GPUs may."""
    try:
        check_version(cell)
    except MissingExtraError as error:
        pytest.skip(str(error))


def special_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that must be there."""
    found = tokenizer.token_to_id(token)
    assert found is not None
    return found


def make_tokenizer(kind: TokenizerKind, vocab: int | None, context: Context) -> Tokenizer:
    """A tokenizer without a template: it adds no special token by itself."""
    assert context in CONTEXTS
    specials = ["</s>"] if context == "document" else ["<s>", "</s>"]
    if kind == "bpe":
        return _bpe(vocab or 300, specials)
    if kind == "char":
        pieces = [chr(code) for code in range(32, 127)]
    else:
        pieces = [*WORDS, *(f"w{number}" for number in range(vocab or 60))]
    names = ["<unk>", *specials, *pieces]
    if kind == "word":
        names = names[: vocab or 60]
    made = Tokenizer(
        tokenizer_models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>")
    )
    if kind == "char":
        made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        made.decoder = decoders.Fuse()
    else:
        made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(specials)
    return made


def _bpe(vocab: int, specials: list[str]) -> Tokenizer:
    made = Tokenizer(tokenizer_models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocab,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([" ".join(WORDS)] * 3, trainer)
    return made


class TorchModel(torch.nn.Module):
    """The model as PyTorch computes it: the reference that graphs are compared with."""

    def __init__(
        self, config: Config, *, seed: int = 0, dtype: torch.dtype = torch.float32
    ) -> None:
        """Draw weights and round them to `dtype`; they are computed with in float32."""
        super().__init__()
        V, E = config.vocab_size, config.embedding_dim
        self.config = config
        self.embedding = torch.nn.Embedding(V, E)
        own = {kind: torch.nn.ParameterDict() for kind in ("rnn", "highway", "initial")}
        encoder = {kind: torch.nn.ParameterDict() for kind in ("rnn", "highway")}
        self.rnn, self.highway, self.initial = own.values()
        self.encoder = torch.nn.ModuleDict(encoder)
        for name, shape in config.weight_shapes().items():
            kind, _, rest = name.removeprefix("encoder.").partition(".")
            if kind in own:
                group = (encoder if name.startswith("encoder.") else own)[kind]
                group[rest] = torch.nn.Parameter(torch.empty(shape))
        self.projection = None
        if config.is_projected:
            self.projection = torch.nn.Linear(config.layers_dim, E, bias=False)
        self.output = torch.nn.Linear(config.output_dim, V)
        if config.tie_word_embeddings:
            self.output.weight = self.embedding.weight
        if config.cutoffs:
            self.output.add_module(
                "classes", torch.nn.Linear(config.output_dim, len(config.cutoffs))
            )
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            # Keeps rnn-relu from exploding: the recurrence shrinks what it is given.
            bound = 0.9 * (3 / config.hidden_size) ** 0.5 if "weight_hh" in name else 0.5
            with torch.no_grad():
                parameter.uniform_(-bound, bound, generator=generator)
                parameter.copy_(parameter.to(dtype))

    def weights(self, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
        """What model.safetensors holds."""
        state = self.state_dict()
        return {name: state[name].to(dtype).contiguous() for name in self.config.weight_shapes()}

    @torch.no_grad()
    def score(
        self, tokens: Ints, state: Sequence[NDArray[np.float32]] | None = None
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], ...]]:
        """Tokens [B, T], a state of B rows -> log-probs [B, T, V], the state after them."""
        features, following = self._features(tokens, state)
        return self._log_probs(features).numpy(), tuple(part.numpy() for part in following)

    def _features(
        self, tokens: Ints, state: Sequence[NDArray[np.float32]] | None
    ) -> tuple[Tensor, list[Tensor]]:
        """What the output layer takes, [B, T, E] (H if untied), and the state after the tokens."""
        given = [torch.zeros(tensor.shape(len(tokens))) for tensor in self.config.state]
        if state is not None:
            given = [torch.from_numpy(tensor) for tensor in state]
        steps = []
        ids = torch.from_numpy(tokens)
        for token, x in zip(ids.unbind(1), self.embedding(ids).unbind(1), strict=True):
            hidden, given = self._read(token, x, given)
            steps.append(hidden)
        features = torch.stack(steps, 1)
        if self.projection is not None:
            features = self.projection(features)
        return features, given

    def _log_probs(self, features: Tensor) -> Tensor:
        """[..., E] -> [..., V], by the definition of classes where there are some."""
        logits = self.output(features)
        if not self.config.cutoffs:
            return torch.log_softmax(logits, dim=-1)
        head_size = self.config.cutoffs[0]
        of_classes = self.output.get_submodule("classes")(features)
        head = torch.log_softmax(torch.cat([logits[..., :head_size], of_classes], dim=-1), dim=-1)
        pieces = [head[..., :head_size]]
        for number, part in enumerate(self.config.classes):
            within = torch.log_softmax(logits[..., part], dim=-1)
            pieces.append(head[..., head_size + number, None] + within)
        return torch.cat(pieces, dim=-1)

    @torch.no_grad()
    def target_logits(self, tokens: Ints, targets: Ints) -> NDArray[np.float32]:
        """The targets' own logits: tokens, targets [B, T] -> [B, T]."""
        features, _ = self._features(tokens, None)
        logits: NDArray[np.float32] = self.output(features).numpy()
        return np.take_along_axis(logits, targets[..., None], 2)[..., 0]

    def _read(self, token: Tensor, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """One token [B], by the encoder in rows that it reads, where hidden is zeros.

        A learned state takes the place of that of rows that have read nothing.
        """
        if not self.config.has_phase:
            return self._step(x, state)
        *cell, phase = state
        at = phase[0, :, 0]
        if self.config.learned_initial_state:
            names = self.config.cell_spec.state
            cell = [
                torch.where(phase == 0, self.initial[name], part)
                for name, part in zip(names, cell, strict=True)
            ]
        if not self.config.separate:
            hidden, cell = self._step(x, cell)
            return hidden, [*cell, torch.full_like(phase, 2)]
        starts = (at == 0) & (token == self.config.eos_token_id)
        reading = (starts | (at == 1)) & (token != self.config.bos_token_id)
        hidden, written = self._step(x, cell)
        _, read = self._step(x, cell, self.encoder)
        column = reading[:, None]
        after = [torch.where(column, a, b) for a, b in zip(read, written, strict=True)]
        hidden = torch.where(column, torch.zeros(1), hidden)
        return hidden, [*after, torch.where(reading, 1.0, 2.0)[None, :, None]]

    def _step(
        self, x: Tensor, state: list[Tensor], encoder: Any = None
    ) -> tuple[Tensor, list[Tensor]]:
        """One token, written as the papers write it: x [B, E] -> hidden [B, H], next state."""
        rnn = self.rnn if encoder is None else encoder["rnn"]
        highway = self.highway if encoder is None else encoder["highway"]
        following = []
        for layer in range(self.config.num_hidden_layers):
            if not self.config.cell_spec.is_recurrent:
                read = x
                if layer == 0:
                    read = torch.cat([*state[0], x], -1)
                    following = [[torch.cat([state[0][1:], x[None]])]]
                total = self._sum("ih", layer, read, rnn)
                hidden = total.relu() if self.config.cell == "window-relu" else total.tanh()
            else:
                own = [part[layer] for part in state]
                if self.config.cell in WHOLE_STEPS:
                    after = WHOLE_STEPS[self.config.cell](x, own, layer, rnn)
                    kept = after[1:] if self.config.cell_spec.has_heads else after
                    following.append([part[None] for part in kept])
                    x = self._connected(layer, x, after[0], highway)
                    continue
                sums = self._sum("ih", layer, x, rnn), self._sum("hh", layer, own[0], rnn)
                peephole = [rnn[f"peephole_l{layer}"]] if "peephole" in self.config.cell else []
                after = CELL_STEPS[self.config.cell](*sums, own, *peephole)
                following.append([part[None] for part in after])
                hidden = after[0]
            x = self._connected(layer, x, hidden, highway)
        return x, [torch.cat(parts) for parts in zip(*following, strict=True)]

    def _connected(self, layer: int, x: Tensor, hidden: Tensor, highway: Any) -> Tensor:
        kind = self.config.connections
        if kind == "dense":
            return torch.cat([x, hidden], -1)
        if layer == 0 or kind == "plain":
            return hidden
        if kind == "residual":
            return hidden + x
        weight, bias = highway[f"weight_l{layer}"], highway[f"bias_l{layer}"]
        gate = (x @ weight.T + bias).sigmoid()
        joined: Tensor = gate * hidden + (1 - gate) * x
        return joined

    def _sum(self, kind: str, layer: int, x: Tensor, rnn: Any) -> Tensor:
        weight, bias = rnn[f"weight_{kind}_l{layer}"], rnn[f"bias_{kind}_l{layer}"]
        return torch.nn.functional.linear(x, weight, bias)


def _lstm_step(x: Tensor, r: Tensor, state: list[Tensor]) -> list[Tensor]:
    i, f, g, o = (x + r).chunk(4, -1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return [o.sigmoid() * c.tanh(), c]


def _coupled_step(x: Tensor, r: Tensor, state: list[Tensor]) -> list[Tensor]:
    i, g, o = (x + r).chunk(3, -1)
    c = (1 - i.sigmoid()) * state[1] + i.sigmoid() * g.tanh()
    return [o.sigmoid() * c.tanh(), c]


def _peephole_step(x: Tensor, r: Tensor, state: list[Tensor], peephole: Tensor) -> list[Tensor]:
    i, f, g, o = (x + r).chunk(4, -1)
    p_i, p_f, p_o = peephole.chunk(3)
    c = (f + p_f * state[1]).sigmoid() * state[1] + (i + p_i * state[1]).sigmoid() * g.tanh()
    return [(o + p_o * c).sigmoid() * c.tanh(), c]


def _step_without(gate: str, x: Tensor, r: Tensor, state: list[Tensor]) -> list[Tensor]:
    names = [name for name in "ifgo" if name != gate]
    gates = dict(zip(names, (x + r).chunk(3, -1), strict=True))
    i, f, o = (gates[name].sigmoid() if name in gates else 1 for name in "ifo")
    c = f * state[1] + i * gates["g"].tanh()
    return [o * c.tanh(), c]


def _gru_step(x: Tensor, r: Tensor, state: list[Tensor]) -> list[Tensor]:
    (x_r, x_z, x_n), (r_r, r_z, r_n) = x.chunk(3, -1), r.chunk(3, -1)
    z = (x_z + r_z).sigmoid()
    n = (x_n + (x_r + r_r).sigmoid() * r_n).tanh()
    return [(1 - z) * n + z * state[0]]


def _mogrifier_step(x: Tensor, state: list[Tensor], layer: int, rnn: Any) -> list[Tensor]:
    h, c = state
    x = 2 * (h @ rnn[f"mogrifier_1_l{layer}"].T).sigmoid() * x
    h = 2 * (x @ rnn[f"mogrifier_2_l{layer}"].T).sigmoid() * h
    x = 2 * (h @ rnn[f"mogrifier_3_l{layer}"].T).sigmoid() * x
    h = 2 * (x @ rnn[f"mogrifier_4_l{layer}"].T).sigmoid() * h
    x = 2 * (h @ rnn[f"mogrifier_5_l{layer}"].T).sigmoid() * x
    of_input = x @ rnn[f"weight_ih_l{layer}"].T + rnn[f"bias_ih_l{layer}"]
    return _lstm_step(of_input, h @ rnn[f"weight_hh_l{layer}"].T + rnn[f"bias_hh_l{layer}"], [h, c])


def _gated_delta_step(x: Tensor, state: list[Tensor], layer: int, rnn: Any) -> list[Tensor]:
    """With S of a head as the paper has it, values first: S' = a S (I - b k k') + b v k'."""
    own = {name: rnn[f"{name}_l{layer}"] for name in ("weight_ih", "bias_ih", "weight_conv")}
    W_ho, b_ho = rnn[f"weight_ho_l{layer}"], rnn[f"bias_ho_l{layer}"]
    H, B = len(W_ho), len(x)
    d = head_size(H)
    n = H // d
    parts = (x @ own["weight_ih"].T + own["bias_ih"]).split([3 * H, H, H, n, n], -1)
    seen = torch.cat([state[1].view(B, 3, 3 * H), parts[0][:, None]], 1)
    sums = torch.nn.functional.silu((seen * own["weight_conv"][:, 0].T).sum(1))
    q, k, v = (part.view(B, n, d) for part in sums.chunk(3, -1))
    q, k = (part / (part.square().sum(-1, keepdim=True) + 1e-6).sqrt() for part in (q, k))
    a, b = (part.sigmoid()[:, :, None, None] for part in parts[3:])
    S = state[0].view(B, n, d, d).transpose(-1, -2)
    S = a * S @ (torch.eye(d) - b * k[..., None] * k[..., None, :])
    S = S + b * v[..., None] * k[..., None, :]
    o = (S @ q[..., None])[..., 0] / d**0.5
    read = rms(o).reshape(B, H) * torch.nn.functional.silu(parts[1])
    h = rms(read @ W_ho.T + b_ho + parts[2])
    return [h, S.transpose(-1, -2).reshape(B, -1), seen[:, 1:].reshape(B, -1)]


def rms(x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


WHOLE_STEPS: dict[str, Callable[..., list[Tensor]]] = {
    "lstm-mogrifier": _mogrifier_step,
    "gated-delta": _gated_delta_step,
}
"""From input [B, D], state [B, size] each, the number of the layer and all weights."""


CELL_STEPS: dict[str, Callable[..., list[Tensor]]] = {
    "lstm": _lstm_step,
    "lstm-coupled": _coupled_step,
    "lstm-peephole": _peephole_step,
    "lstm-no-input": partial(_step_without, "i"),
    "lstm-no-forget": partial(_step_without, "f"),
    "lstm-no-output": partial(_step_without, "o"),
    "gru": _gru_step,
    "rnn-tanh": lambda x, r, _: [(x + r).tanh()],
    "rnn-relu": lambda x, r, _: [(x + r).relu()],
    "rnn-sigmoid": lambda x, r, _: [(x + r).sigmoid()],
}
"""From input and recurrent sums [B, G*H] and the state [B, H] each, the next state."""


def make_parity(model: TorchModel, *, rows: int = 6, time: int = 7, seed: int = 0) -> Parity:
    """What training writes: random sequences, each scored alone and without padding."""
    random = np.random.default_rng(seed)
    V = model.config.vocab_size
    columns = np.sort(random.choice(V, min(V, MAX_COLUMNS), replace=False)).astype(np.int64)
    lengths = random.permutation([time, 1, *random.integers(1, time + 1, rows - 2)])
    inputs, targets, log_probs, picked, states = _score_rows(model, lengths, time, random)
    heldout_lengths = random.integers(1, time + 4, rows + 2)
    held = _score_rows(model, heldout_lengths, time + 3, random)
    return Parity(
        inputs=inputs,
        targets=targets,
        lengths=lengths.astype(np.int32),
        columns=columns,
        log_probs=log_probs[..., columns],
        target_log_probs=picked,
        final_state=states,
        heldout_inputs=held[0],
        heldout_targets=held[1],
        heldout_lengths=heldout_lengths.astype(np.int32),
        heldout_target_log_probs=held[3],
        heldout_target_scores=model.target_logits(held[0], held[1])
        if model.config.self_normalized
        else None,
    )


def _score_rows(
    model: TorchModel, lengths: Ints, time: int, random: np.random.Generator
) -> tuple[Ints, Ints, NDArray[np.float32], NDArray[np.float32], tuple[NDArray[np.float32], ...]]:
    """Inputs, targets, log-probs, those of the targets, and final states of random sequences."""
    V = model.config.vocab_size
    text = np.zeros((len(lengths), time + 1), np.int64)
    log_probs = np.zeros((len(lengths), time, V), np.float32)
    states = []
    for row, length in enumerate(lengths):
        text[row, : length + 1] = random.integers(0, V, length + 1)
        found, state = model.score(text[row : row + 1, :length])
        log_probs[row, :length] = found[0]
        states.append(state)
    inputs, targets = text[:, :-1].copy(), text[:, 1:].copy()
    for row, length in enumerate(lengths):
        inputs[row, length:] = 0
    picked = np.take_along_axis(log_probs, targets[..., None], 2)[..., 0]
    final = tuple(np.concatenate(parts, axis=1) for parts in zip(*states, strict=True))
    return inputs, targets, log_probs, picked, final
