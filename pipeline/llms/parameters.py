"""Parameters of an LLM by how its weights are sharded, from the sizes of its layers.

Matrices of a layer, hidden size ``h``, ``H`` heads and ``K`` KV heads of ``d``, ``r`` rows of an MLP:

- grouped attention ``2·h·H·d + 2·h·K·d``;
- latent attention, with the ranks ``q`` of queries and ``c`` of keys and values: sharded
  ``q·H·(nope + rope) + c·H·(nope + v) + H·v·h``, on every GPU ``h·(q + c + rope)``;
- an MLP or an expert ``3·h·r``; the router ``h·experts``; two norms of ``h``;
- the layer for multi-token prediction is one more with experts, and a projection ``2·h·h``.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.llms.config import Architecture


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters by group.

    ``latent``: what every GPU has of latent attention; ``router``: and norms.
    """

    routed: int
    shared: int
    dense: int
    attention: int
    latent: int
    router: int
    embeddings: int

    @property
    def total(self) -> int:
        """All parameters."""
        layers = self.routed + self.shared + self.dense + self.attention + self.latent + self.router
        return layers + self.embeddings


def parameters(arch: Architecture) -> Parameters:
    """Return the parameters of all layers, without those for multi-token prediction."""
    moe = arch.layers - arch.dense_layers
    return Parameters(
        routed=moe * arch.experts * _mlp(arch, arch.expert_rows),
        shared=moe * arch.shared * _mlp(arch, arch.expert_rows),
        dense=arch.dense_layers * _mlp(arch, arch.dense_rows),
        attention=arch.layers * _attention(arch),
        latent=arch.layers * _latent(arch),
        router=moe * _router(arch) + arch.layers * _norms(arch) + arch.hidden,
        embeddings=(1 if arch.has_tied_embeddings else 2) * arch.vocabulary * arch.hidden,
    )


def mtp(arch: Architecture) -> Parameters:
    """Return the parameters of the layers for multi-token prediction, without embedding and head."""
    count = arch.mtp_layers
    projection = 2 * arch.hidden * arch.hidden
    return Parameters(
        routed=count * arch.experts * _mlp(arch, arch.expert_rows),
        shared=count * arch.shared * _mlp(arch, arch.expert_rows),
        dense=0,
        attention=count * _attention(arch),
        latent=count * _latent(arch),
        router=count * (_router(arch) + _norms(arch) + projection + 3 * arch.hidden),
        embeddings=0,
    )


def active(arch: Architecture) -> int:
    """Return the parameters that one token uses: chosen experts only, no lookup of the embedding."""
    found = parameters(arch)
    idle = found.routed * (arch.experts - arch.per_token) // arch.experts if arch.experts else 0
    lookup = 0 if arch.has_tied_embeddings else arch.vocabulary * arch.hidden
    return found.total - idle - lookup


def _mlp(arch: Architecture, rows: int) -> int:
    biases = 2 * rows + arch.hidden if arch.has_biases else 0
    return 3 * arch.hidden * rows + biases


def _attention(arch: Architecture) -> int:
    if arch.latent is None:
        width = arch.heads * arch.head_dim
        biases = width + 2 * arch.kv_heads * arch.head_dim + arch.hidden if arch.has_biases else 0
        return 2 * arch.hidden * width + 2 * arch.hidden * arch.kv_heads * arch.head_dim + biases
    latent = arch.latent
    query = latent.query_rank * arch.heads * (latent.nope + latent.rope)
    keys = latent.kv_rank * arch.heads * (latent.nope + latent.value)
    return query + keys + arch.heads * latent.value * arch.hidden


def _latent(arch: Architecture) -> int:
    latent = arch.latent
    return arch.hidden * (latent.query_rank + latent.kv_rank + latent.rope) if latent else 0


def _router(arch: Architecture) -> int:
    return arch.hidden * arch.experts


def _norms(arch: Architecture) -> int:
    return 2 * arch.hidden
