"""Networks: from a table to a transformer. Each is one network; `ensemble.py` runs many copies of it at once."""

from __future__ import annotations

import math
from itertools import pairwise

from .machine import Tensor, torch

nn = torch.nn


class Tabular(nn.Module):
    """A logit for each context and action; contexts come as numbers (B,)."""

    def __init__(self, contexts: int, actions: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(contexts, actions))

    def forward(self, context: Tensor) -> Tensor:
        return self.logits[context]


class MLP(nn.Module):
    """(B, features) -> (B, outputs) through layers of tanh; without layers it is linear."""

    def __init__(self, features: int, outputs: int, hidden: tuple[int, ...] = (32, 32)) -> None:
        super().__init__()
        sizes = (features, *hidden, outputs)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)


class Transformer(nn.Module):
    """An autoregressive policy over sequences of `length` tokens, given a context: (B, features), (B, L) -> (B, L, vocabulary) logits.

    Position k sees the context and the tokens before k. One block of causal attention and one of tanh, with residuals and layer norms.
    """

    def __init__(self, features: int, vocabulary: int, length: int, size: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.vocabulary, self.heads = vocabulary, heads
        self.context = nn.Linear(features, size)
        self.token = nn.Embedding(vocabulary + 1, size)  # the last one begins a sequence
        self.position = nn.Embedding(length, size)
        self.before = nn.LayerNorm(size)
        self.query_key_value = nn.Linear(size, 3 * size)
        self.mixed = nn.Linear(size, size)
        self.after = nn.LayerNorm(size)
        self.wide, self.narrow = nn.Linear(size, 2 * size), nn.Linear(2 * size, size)
        self.out = nn.Linear(size, vocabulary)
        later = torch.ones(length, length).triu(1) * -1e9  # of the softmax nothing is left
        self.later: Tensor
        self.register_buffer("later", later)

    def forward(self, context: Tensor, tokens: Tensor) -> Tensor:
        batch, length = tokens.shape
        start = torch.full_like(tokens[:, :1], self.vocabulary)
        seen = torch.cat([start, tokens[:, :-1]], dim=1)
        places = torch.arange(length, device=tokens.device)
        x = self.token(seen) + self.position(places) + self.context(context)[:, None]
        parts = self.query_key_value(self.before(x)).reshape(batch, length, 3, self.heads, -1)
        query, key, value = (parts[:, :, i].transpose(1, 2) for i in range(3))
        score = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + self.later[:length, :length]
        x = x + self.mixed((torch.softmax(score, dim=-1) @ value).transpose(1, 2).reshape(batch, length, -1))
        x = x + self.narrow(torch.tanh(self.wide(self.after(x))))
        return self.out(x)


class Recurrent(nn.Module):
    """A gated unit: (B, inputs), (B, size) -> (B, outputs), (B, size)."""

    def __init__(self, inputs: int, outputs: int, size: int = 32) -> None:
        super().__init__()
        self.gate, self.fresh = nn.Linear(inputs + size, size), nn.Linear(inputs + size, size)
        self.out = nn.Linear(size, outputs)

    def forward(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.cat([x, memory], dim=-1)
        keep = torch.sigmoid(self.gate(both))
        memory = keep * memory + (1.0 - keep) * torch.tanh(self.fresh(both))
        return self.out(memory), memory
