"""Rules about what one scheduler admits: batch limits, CUDA graphs, seats."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from pipeline.load.rules.case import Case, Finding, Rule
from pipeline.schema.recipe import ROLES, Role

BUDGET, SEQS, LENGTH = "max-num-batched-tokens", "max-num-seqs", "max-model-len"
GRAPH_SIZE, GRAPH_SIZES, COMPILATION = (
    "max-cudagraph-capture-size",
    "cudagraph-capture-sizes",
    "compilation-config",
)

NO_GRAPHS = ("NONE", 0)


def _budget_below_seqs(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        budget, sequences = case.integer(role, BUDGET), case.integer(role, SEQS)
        if budget is not None and sequences is not None and budget < sequences:
            yield Finding(
                case.place(role, BUDGET),
                f"{role} {BUDGET} {budget} is below {SEQS} {sequences}",
                f"set {BUDGET} to {sequences} or more, or lower {SEQS}",
            )


def _budget_below_length(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        budget, length = case.integer(role, BUDGET), case.integer(role, LENGTH)
        is_whole = case.setting(role, "enable-chunked-prefill") is False
        if is_whole and budget is not None and length is not None and budget < length:
            yield Finding(
                case.place(role, BUDGET),
                f"{role} {BUDGET} {budget} is below {LENGTH} {length}, and chunked prefill is off",
                f"set {BUDGET} to {length} or more, lower {LENGTH}, or leave chunked prefill on",
            )


def _length_below_workload(case: Case) -> Iterator[Finding]:
    longest = case.recipe.workload.isl + case.recipe.workload.osl
    for role in ROLES:
        limit = case.integer(role, LENGTH)
        if limit is not None and limit < longest:
            yield Finding(
                case.place(role, LENGTH),
                f"{role} {LENGTH} {limit} is shorter than isl + osl = {longest} tokens",
                f"set it to {longest} or more",
            )


def _decode_seats(case: Case) -> Iterator[Finding]:
    limit, ranks = case.integer("decode", SEQS), case.recipe.decode.ranks
    if limit is None or limit * ranks >= case.conc:
        return
    yield Finding(
        case.place("decode", SEQS),
        f"decode runs at most {limit * ranks} sequences ({SEQS} {limit} x {ranks} ranks), "
        f"but conc goes up to {case.conc}",
        f"raise {SEQS}, add decode ranks, or remove the concurrencies above {limit * ranks}",
    )


def _step_budget(case: Case) -> Iterator[Finding]:
    budget, running = case.integer("decode", BUDGET), case.running
    if budget is None or running is None or not case.drafts:
        return
    needed = running * (1 + case.drafts)
    if budget < needed:
        yield Finding(
            case.place("decode", BUDGET),
            f"decode {BUDGET} {budget} is below the {needed} tokens of a full step: {running} sequences, "
            f"each with 1 + {case.drafts} speculative tokens",
            f"set {BUDGET} to {needed} or more, or draft fewer tokens",
        )


def _graph_capture(case: Case) -> Iterator[Finding]:
    running, largest = case.running, _largest_graph(case, "decode")
    if running is None or largest is None or not _uses_graphs(case, "decode"):
        return
    needed = running * (1 + case.drafts)
    if largest < needed:
        each = f" of {1 + case.drafts} tokens" if case.drafts else ""
        yield Finding(
            _graph_place(case, "decode"),
            f"decode captures CUDA graphs for at most {largest} tokens, but a step at conc {case.conc} "
            f"has {needed}: {running} sequences{each}",
            f"set {GRAPH_SIZE} to {needed} or more",
        )


def _graphs_unused(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        if case.setting(role, "enforce-eager") is not True:
            continue
        if _largest_graph(case, role) is not None or _graph_mode(case, role) not in (None, *NO_GRAPHS):
            yield Finding(
                _graph_place(case, role),
                f"{role} sets CUDA graphs, but enforce-eager turns them off",
                "remove enforce-eager, or the settings of the graphs",
            )


def _graph_sizes_disagree(case: Case) -> Iterator[Finding]:
    for role in ROLES:
        largest, sizes = case.integer(role, GRAPH_SIZE), _sizes(case, role)
        budget = case.integer(role, BUDGET)
        usable = [size for size in sizes if budget is None or size <= budget]
        if largest is None or not usable or not _uses_graphs(case, role) or max(usable) == largest:
            continue
        yield Finding(
            case.place(role, GRAPH_SIZE),
            f"{role} {GRAPH_SIZE} {largest} is not the largest usable size of {GRAPH_SIZES}, {max(usable)}",
            f"keep one of the two, or set {GRAPH_SIZE} to {max(usable)}",
        )


def _uses_graphs(case: Case, role: Role) -> bool:
    mode = _graph_mode(case, role)
    if case.setting(role, "enforce-eager") is True or mode in NO_GRAPHS:
        return False
    return not (mode is None and case.setting(role, "optimization-level") in (0, "0"))


def _graph_mode(case: Case, role: Role) -> JsonValue:
    mode = case.mapping(role, COMPILATION).get("cudagraph_mode")
    return mode.upper() if isinstance(mode, str) else mode


def _sizes(case: Case, role: Role) -> list[int]:
    stated = case.setting(role, GRAPH_SIZES)
    if stated is None:
        stated = case.mapping(role, COMPILATION).get("cudagraph_capture_sizes")
    values = stated if isinstance(stated, list) else [stated]
    return [one for one in values if isinstance(one, int) and not isinstance(one, bool)]


def _largest_graph(case: Case, role: Role) -> int | None:
    """Return the largest captured size that the recipe states; None where it is left to the engine."""
    stated = case.integer(role, GRAPH_SIZE)
    nested = case.mapping(role, COMPILATION).get("max_cudagraph_capture_size")
    sizes = _sizes(case, role)
    if stated is None and isinstance(nested, int) and not isinstance(nested, bool):
        stated = nested
    return max(sizes) if sizes else stated


def _graph_place(case: Case, role: Role) -> tuple[str | int, ...]:
    written = next(
        (one for one in (GRAPH_SIZE, GRAPH_SIZES, COMPILATION) if case.setting(role, one) is not None), ""
    )
    return case.place(role, written)


RULES = (
    Rule(
        id="budget-below-seqs",
        scope="role",
        severity="error",
        what="max-num-batched-tokens is below max-num-seqs.",
        why="Every running sequence takes at least one token of a step, so vLLM refuses to start.",
        source="vLLM 0.20.0 to 0.32.0, vllm/config/scheduler.py, verify_max_model_len",
        find=_budget_below_seqs,
    ),
    Rule(
        id="budget-below-length",
        scope="role",
        severity="error",
        what="Chunked prefill is off and max-num-batched-tokens is below max-model-len.",
        why=(
            "A prompt must then fit into one step. vLLM refuses to start, because it would have "
            "to reject longer prompts that max-model-len allows."
        ),
        source="vLLM 0.20.0 to 0.32.0, vllm/config/scheduler.py, verify_max_model_len",
        find=_budget_below_length,
    ),
    Rule(
        id="length-below-workload",
        scope="client",
        severity="error",
        what="max-model-len is below the input and output tokens of one request.",
        why="vLLM rejects every request of full length, so the run has no valid point.",
        source="vLLM documentation, engine argument --max-model-len: prompt and output together",
        find=_length_below_workload,
    ),
    Rule(
        id="decode-seats",
        scope="client",
        severity="warning",
        what="The decode ranks together have fewer seats (max-num-seqs) than the largest concurrency.",
        why=(
            "vLLM queues what is above the limit. It is no failure, but the point measures a "
            "queue, and its concurrency is not the number of sequences that decode."
        ),
        source=(
            "vLLM 0.20.0, vllm/v1/core/sched/scheduler.py: requests wait while "
            "max_num_running_reqs are running"
        ),
        find=_decode_seats,
    ),
    Rule(
        id="step-budget",
        scope="role",
        severity="warning",
        what="The token budget of a decode step is below running sequences x (1 + speculative tokens).",
        why=(
            "Running sequences are min(max-num-seqs, concurrency / ranks). A step that cannot "
            "hold all of them verifies some sequences only in the next step: speculative decoding "
            "then slows decode down. A limit that the concurrency never reaches is not reported: "
            "upstream ran max-num-seqs 512 with 2 drafted tokens and a budget of 1024 at 128 "
            "sequences a rank."
        ),
        source=(
            "vllm-project/vllm#41603 (run 15908); vLLM 0.20.0, vllm/config/vllm.py, "
            "_set_max_num_scheduled_tokens"
        ),
        find=_step_budget,
    ),
    Rule(
        id="graph-capture",
        scope="role",
        severity="warning",
        what="Decode uses CUDA graphs, but the largest captured size is below the tokens of a full step.",
        why=(
            "vLLM replays a graph only up to the largest captured size; a larger batch runs "
            "without graphs, and the time per output token jumps. Judged at the concurrency of "
            "the recipe, not at max-num-seqs."
        ),
        source="vLLM 0.20.0, vllm/config/vllm.py, _set_cudagraph_sizes",
        find=_graph_capture,
    ),
    Rule(
        id="graphs-unused",
        scope="role",
        severity="warning",
        what="A role sets sizes or a mode of CUDA graphs together with enforce-eager.",
        why=(
            "enforce-eager turns CUDA graphs off, so the settings have no effect although they "
            "look as if they had."
        ),
        source=(
            "vLLM 0.20.0, vllm/config/vllm.py, _set_cudagraph_sizes: no sizes where enforce_eager is set"
        ),
        find=_graphs_unused,
    ),
    Rule(
        id="graph-sizes-disagree",
        scope="role",
        severity="error",
        what="max-cudagraph-capture-size is not the largest of cudagraph-capture-sizes.",
        why=(
            "vLLM refuses to start when both are given and disagree. Sizes above "
            "max-num-batched-tokens do not count."
        ),
        source="vLLM 0.20.0, vllm/config/vllm.py, _set_cudagraph_sizes",
        find=_graph_sizes_disagree,
    ),
)
