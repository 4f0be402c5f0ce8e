"""A layer of linear attention: its memory is a matrix for each head, written by the delta rule.

For each head, with query q, key k and value v in R^d, decay a and rate b in 0..1 (Yang, Kautz &
Hatamizadeh 2025, "Gated Delta Networks", section 3):

    S_t = a_t S_{t-1} (I - b_t k_t k_t^T) + b_t v_t k_t^T,    o_t = S_t q_t / sqrt(d)

so a key's old value is replaced by the new one, and everything fades by the decay. Query, key and
value come from a projection and a short convolution over time; the heads' outputs are normalised,
gated, projected, and added to a projection of the layer's input:

    h_t = rms(W_ho (rms(o_t) * silu(gate_t)) + bias + skip_t)

Letters in shapes: T time (tokens), B batch, D size of the input, H hidden, n heads of size d,
C tokens of a chunk.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmscore.bundle import CONVOLVED, ROOT_EPSILON, CellSpec, head_size

_CHUNK = 64  # tokens whose writes are solved for at once
_REMEMBER = 4.0  # the initial bias of a decay: sigmoid(4) is 0.982


class GatedDeltaLayer(nn.Module):
    """One layer. Its state, [1, B, size] each: the memory, and what was convolved."""

    def __init__(self, spec: CellSpec, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.head_size = head_size(hidden_size)
        shapes = spec.layer_shapes(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(shapes["weight_ih"]))
        self.bias_ih = nn.Parameter(torch.zeros(shapes["bias_ih"]))
        self.weight_conv = nn.Parameter(torch.empty(shapes["weight_conv"]))
        self.weight_ho = nn.Parameter(torch.empty(shapes["weight_ho"]))
        self.bias_ho = nn.Parameter(torch.zeros(shapes["bias_ho"]))
        for weight in (self.weight_ih, self.weight_ho):
            nn.init.uniform_(weight, -(weight.size(1) ** -0.5), weight.size(1) ** -0.5)
        with torch.no_grad():
            nn.init.uniform_(self.weight_conv, -0.1, 0.1)
            self.weight_conv[:, 0, -1] += 1  # at first little but the newest token is seen
            heads = hidden_size // self.head_size
            self.bias_ih[-2 * heads : -heads] = _REMEMBER

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Input [T, B, D], state [1, B, size] each -> hidden [T, B, H], the next state."""
        T, B, _ = x.shape
        H, d = len(self.weight_ho), self.head_size
        n = H // d
        parts = torch.split(F.linear(x, self.weight_ih, self.bias_ih), [3 * H, H, H, n, n], -1)
        mixed, gate, skip, decay, rate = (part.float() for part in parts)
        memory, convolved = state
        before = convolved.view(B, CONVOLVED - 1, 3 * H).transpose(0, 1)
        seen = torch.cat([before, mixed])  # [3 + T, B, 3 * H]
        with torch.autocast(x.device.type, enabled=False):  # sums over a whole text
            mixed = F.silu(_convolve(seen, self.weight_conv)).view(T, B, 3, n, d)
            q, k, v = mixed.permute(2, 1, 3, 0, 4)  # [B, n, T, d] each
            log_decay, rate = (
                part.permute(1, 2, 0) for part in (F.logsigmoid(decay), rate.sigmoid())
            )
            o, memory = gated_delta_rule(
                _unit(q), _unit(k), v, log_decay, rate, memory.view(B, n, d, d)
            )
            read = _rms(o).permute(2, 0, 1, 3).reshape(T, B, H) * F.silu(gate)
        hidden = _rms(F.linear(read, self.weight_ho, self.bias_ho).float() + skip)
        following = seen[T:].transpose(0, 1).reshape(1, B, -1)
        return hidden, (memory.reshape(1, B, -1), following)


def _convolve(seen: Tensor, weight: Tensor) -> Tensor:
    """The sums [T, B, size] of each token and those before, from [3 + T, B, size] each unit's own.

    As an image of height 3 + T and width B, channels last, which takes a fifth of the time of
    products.
    """
    image = seen[None].permute(0, 3, 1, 2)  # [1, size, 3 + T, B]
    found = F.conv2d(image, weight[..., None], groups=len(weight))
    return found.permute(0, 2, 3, 1)[0].contiguous()


def gated_delta_rule(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, rate: Tensor, memory: Tensor
) -> tuple[Tensor, Tensor]:
    """What queries read, [B, n, T, d], and the memory after them, [B, n, d, d], keys first.

    q, k, v [B, n, T, d], the keys of length 1; log_decay, rate [B, n, T]; memory [B, n, d, d]. The
    tokens of a chunk are computed at once: what each writes is the solution of a triangular
    system, since it depends on what the ones before it wrote (ibid., section 3.3).
    """
    outputs = []
    for start in range(0, q.size(2), _CHUNK):
        part = slice(start, start + _CHUNK)
        q_part, k_part, v_part, decay, write = (
            each[:, :, part] for each in (q, k, v, log_decay, rate)
        )
        output, memory = _chunk(q_part, k_part, v_part, decay, write, memory)
        outputs.append(output)
    return torch.cat(outputs, 2), memory


def _chunk(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, rate: Tensor, memory: Tensor
) -> tuple[Tensor, Tensor]:
    since_start = log_decay.cumsum(-1)  # [B, n, C]
    between = since_start[..., :, None] - since_start[..., None, :]
    earlier = torch.ones_like(between[0, 0], dtype=torch.bool).tril()
    decay = between.masked_fill(~earlier, -torch.inf).exp()  # [B, n, C, C] from column to row
    whole = since_start.exp()[..., None]
    rate = rate[..., None]
    # (I + A) written = rate * (v - what the memory of the chunk's start has for k)
    overlap = rate * (k @ k.transpose(-1, -2)) * decay
    known = rate * (v - whole * (k @ memory))
    written = torch.linalg.solve_triangular(
        overlap.tril(-1), known, upper=False, unitriangular=True
    )
    q = q * q.size(-1) ** -0.5
    output = whole * (q @ memory) + (q @ k.transpose(-1, -2) * decay) @ written
    kept = (since_start[..., -1:] - since_start).exp()[..., None]  # until the end of the chunk
    after = whole[..., -1:, :] * memory + (k * kept).transpose(-1, -2) @ written
    return output, after


def _unit(x: Tensor) -> Tensor:
    """Vectors of length 1."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + ROOT_EPSILON)


def _rms(x: Tensor) -> Tensor:
    """Vectors whose root mean square is 1 (Zhang & Sennrich 2019)."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + ROOT_EPSILON)
