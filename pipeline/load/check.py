"""What a schema cannot say: arithmetic that cannot be, shapes that no rack has, flags that contradict the shape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import Problem
from pipeline.load.conform import nearest
from pipeline.load.flags import FROM_SHAPE, KNOWN
from pipeline.load.nodes import Node
from pipeline.schema.catalogue import Catalogue, Llm, Sku
from pipeline.schema.recipe import ROLES, Pool, Recipe, Role

FLAG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NUMBERS = {
    "max-num-seqs": int,
    "max-num-batched-tokens": int,
    "max-model-len": int,
    "block-size": int,
    "gpu-memory-utilization": float,
}


@dataclass(frozen=True, slots=True)
class _PoolCheck:
    """One role of one recipe with everything that its checks need."""

    role: Role
    pool: Pool
    node: Node
    sku: Sku | None
    llm: Llm | None
    recipe: Recipe

    def findings(self) -> Iterator[Problem]:
        yield from self.arithmetic()
        if self.sku is not None:
            yield from self.seating(self.sku)
        yield from self.sharding()
        if self.llm is not None:
            yield from self.dividing(self.llm)
        yield from self.flag_names()
        yield from self.flag_values()
        yield from self.environment()

    def arithmetic(self) -> Iterator[Problem]:
        pool = self.pool
        stated = pool.gpus_stated
        if stated is not None and stated != pool.gpus:
            per_worker = pool.gpus_per_worker
            sum_ = f"{pool.workers} x tp {pool.tp} x pp {pool.pp} x dp {pool.dp} = {pool.gpus}"
            hint = (
                f"{stated}/{per_worker} is {stated / per_worker:g} workers"
                if stated % per_worker
                else f"{stated // per_worker} workers would be"
            )
            yield self.node.at(("gpus",)).mark.problem(f"{self.role} states {stated} GPUs, but {sum_}", hint)

    def seating(self, sku: Sku) -> Iterator[Problem]:
        pool, rank, tray = self.pool, self.pool.gpus_per_rank, sku.gpus_per_tray
        if rank > tray and not pool.crosses_trays:
            what = f"{self.role} tp {pool.tp} x pp {pool.pp} needs {rank} GPUs, a tray of {sku.id} has {tray}"
            yield self.node.at(("tp",)).mark.problem(
                what, "if it is meant to cross trays, say crosses_trays: true"
            )
        if pool.gpus_per_worker % tray and tray % pool.gpus_per_worker:
            what = f"a {self.role} worker of {pool.gpus_per_worker} GPUs fills no whole number of trays of {tray}"
            yield self.node.mark.problem(what, "use a multiple or a divisor of the tray")

    def sharding(self) -> Iterator[Problem]:
        pool, ranks = self.pool, self.pool.tp * self.pool.dp
        where = self.node.at(("ep",)).mark
        if pool.ep != 1 and ranks % pool.ep:
            yield where.problem(
                f"{self.role} ep {pool.ep} does not divide tp x dp = {ranks}", f"ep is 1 or {ranks}"
            )
        elif pool.ep not in (1, ranks):
            yield where.problem(
                f"{self.role} ep {pool.ep}: vLLM spreads experts over all tp x dp = {ranks} GPUs",
                f"ep is 1 or {ranks}",
            )
        if pool.dp > 1 and pool.ep == 1:
            yield where.problem(
                f"{self.role} dp {pool.dp} without ep: every rank would hold all experts", f"ep: {ranks}"
            )

    def dividing(self, llm: Llm) -> Iterator[Problem]:
        pool = self.pool
        if llm.experts % pool.ep:
            yield self.node.at(("ep",)).mark.problem(
                f"{llm.experts} experts of {llm.id} do not divide by ep {pool.ep}"
            )
        if llm.attention_heads % pool.tp:
            yield self.node.at(("tp",)).mark.problem(
                f"{llm.attention_heads} attention heads of {llm.id} do not divide by tp {pool.tp}"
            )

    def flag_names(self) -> Iterator[Problem]:
        flags = self.node.at(("flags",))
        for name in self.pool.flags:
            where = flags.at((name,)).key or flags.mark
            bare = name.removeprefix("no-")
            if not FLAG.fullmatch(name):
                yield where.problem(
                    f"`{name}` is not a kebab-case vLLM option",
                    f"write `{name.strip('-').replace('_', '-').lower()}`",
                )
            elif name in FROM_SHAPE:
                yield where.problem(
                    f"flag `{name}` comes from the shape", f"set {FROM_SHAPE[name]} of {self.role} instead"
                )
            elif name not in KNOWN and bare not in KNOWN:
                yield where.warning(
                    f"`{name}` is not a vLLM option that this project knows",
                    nearest(bare, KNOWN).split(":")[0],
                )

    def flag_values(self) -> Iterator[Problem]:
        flags = self.node.at(("flags",))
        simulated = getattr(self.recipe.simulate, self.role)
        declared = {
            "max-num-seqs": simulated.max_num_seqs,
            "max-num-batched-tokens": simulated.max_num_batched_tokens,
        }
        for name, kind in NUMBERS.items():
            value = self.pool.flags.get(name)
            where = flags.at((name,)).mark
            if value is None:
                if name in (
                    "max-num-seqs",
                    "max-num-batched-tokens",
                    "gpu-memory-utilization",
                ) and not declared.get(name):
                    place = f"simulate.{self.role}" if name in declared else f"{self.role}.flags"
                    yield flags.mark.problem(
                        f"{self.role} leaves {name} to vLLM's default",
                        f"say it, or declare it under {place}: nothing is guessed",
                    )
            elif (
                isinstance(value, bool)
                or not isinstance(value, int if kind is int else int | float)
                or value <= 0
            ):
                yield where.problem(f"{name} is a positive number", f"given: {value!r}")
        if "block-size" not in self.pool.flags:
            yield flags.mark.problem(
                f"{self.role} leaves block-size to vLLM's default",
                f"say it under {self.role}.flags: nothing is guessed",
            )
        group, offloaded = (
            self.pool.flags.get("offload-group-size", 1),
            self.pool.flags.get("offload-num-in-group", 1),
        )
        if not (isinstance(group, int) and isinstance(offloaded, int) and 0 < offloaded <= group):
            where = flags.at(
                (
                    "offload-num-in-group"
                    if "offload-num-in-group" in self.pool.flags
                    else "offload-group-size",
                )
            ).mark
            yield where.problem(
                f"{offloaded} of every {group} layers cannot be offloaded",
                "offload-num-in-group is 1 … offload-group-size",
            )
        longest = self.recipe.workload.isl + self.recipe.workload.osl
        limit = self.pool.flags.get("max-model-len")
        if isinstance(limit, int) and not isinstance(limit, bool) and 0 < limit < longest:
            yield flags.at(("max-model-len",)).mark.problem(
                f"max-model-len {limit} is shorter than isl + osl = {longest}"
            )
        share = self.pool.flags.get("gpu-memory-utilization")
        if isinstance(share, int | float) and share > 1:
            yield flags.at(("gpu-memory-utilization",)).mark.problem(
                f"gpu-memory-utilization {share} is a share of HBM", "at most 1"
            )

    def environment(self) -> Iterator[Problem]:
        env = self.node.at(("env",))
        for name in self.pool.env:
            if not VARIABLE.fullmatch(name):
                yield (env.at((name,)).key or env.mark).problem(
                    f"`{name}` is not a name of an environment variable"
                )


def folder_of(recipe: Recipe) -> str:
    """The folder that a recipe belongs in, below recipes/.

    Lengths are in binary thousands: 8192 in and 1024 out is ``8k1k``.
    """
    lengths = "".join(
        f"{n // 1024}k" if n % 1024 == 0 else f"{n}-" for n in (recipe.workload.isl, recipe.workload.osl)
    ).strip("-")
    return f"{recipe.model}-{recipe.precision}/{recipe.sku}/{lengths}"


def check(
    recipe: Recipe, node: Node, folder: str, catalogue: Catalogue, declared: frozenset[str]
) -> Iterator[Problem]:
    """Every finding about one recipe that parsed; ``declared`` are the SKUs and LLMs that exist, sound or not."""
    sku, llm = catalogue.skus.get(recipe.sku), catalogue.llms.get(recipe.model)
    if sku is None and recipe.sku not in declared:
        yield node.at(("sku",)).mark.problem(
            f"unknown SKU `{recipe.sku}`", nearest(recipe.sku, catalogue.skus)
        )
    if llm is None and recipe.model not in declared:
        yield node.at(("model",)).mark.problem(
            f"unknown LLM `{recipe.model}`", nearest(recipe.model, catalogue.llms)
        )
    if llm is not None and recipe.precision not in llm.precisions:
        yield node.at(("precision",)).mark.problem(
            f"no weights of {llm.id} in {recipe.precision} are known", f"known: {', '.join(llm.precisions)}"
        )
    yield from _concurrencies(recipe, node)
    yield from _requests(recipe, node)
    if folder != folder_of(recipe):
        yield node.mark.problem(
            f"this recipe belongs in {folder_of(recipe)}/, not in {folder}/",
            "move it, or mend model, precision, sku, isl, osl",
        )
    if "@sha256:" not in recipe.image:
        yield node.at(("image",)).mark.warning(
            f"image {recipe.image} is a tag: it can change under you", "pin it: NAME@sha256:…"
        )
    for role in ROLES:
        yield from _PoolCheck(role, recipe.pools[role], node.at((role,)), sku, llm, recipe).findings()
    if sku is None:
        return
    used = recipe.gpus_held(sku.gpus_per_tray) // sku.gpus_per_tray
    if used > sku.trays:
        what = f"{recipe.gpus_counted} GPUs and {recipe.infra_trays} infra trays need {used} trays, a rack of {sku.id} has {sku.trays}"
        yield node.mark.problem(what, f"{sku.domain_gpus} GPUs is the largest scale-up domain")


def _concurrencies(recipe: Recipe, node: Node) -> Iterator[Problem]:
    where = node.at(("conc",)).mark
    if len(set(recipe.conc)) < len(recipe.conc):
        yield where.problem(f"conc {list(recipe.conc)} names one twice", f"conc: {sorted(set(recipe.conc))}")
    elif list(recipe.conc) != sorted(recipe.conc):
        yield where.problem(f"conc {list(recipe.conc)} is not rising", f"conc: {sorted(recipe.conc)}")


def _requests(recipe: Recipe, node: Node) -> Iterator[Problem]:
    for name, length in (("isl", recipe.workload.isl), ("osl", recipe.workload.osl)):
        if int(length * recipe.client.shortest) < 1:
            what = f"{name} {length} from {recipe.client.shortest:g} of it on is also 0 tokens"
            yield node.at(("workload", name)).mark.problem(
                what, "client.shortest: 1 makes all requests alike"
            )
    if not recipe.client.ignore_eos:
        what = "a stream that may end by itself cannot be told from one that was cut"
        yield node.at(("client", "ignore_eos")).mark.problem(
            what, "ignore_eos: true; lengths are those of the workload"
        )
