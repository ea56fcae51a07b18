"""Gauss-Newton on the surrogate. Parameters are physical: one set per SKU and worker kind, not one per point.

Parameters of a SKU:

- the fixed overhead of a run, s;
- the prefill rate per GPU, tok/s; workers that fetch offloaded weights have a rate of their own;
- the step time of each decode worker kind, ms;
- the slope: what resident KV adds to a step. It is bound by memory bandwidth, so SKUs of equal HBM bandwidth
  share it per worker kind. A kind with a single point takes the slope of the kind of its family that has the
  most points.

Residuals are log(fitted / given) of rate and TPOT. A rate of few requests counts less: their lengths are
drawn, and the source draws others. Parameters move on a log scale. One parameter is not of a SKU:
``pass_tokens``, what a rank takes into a pass of a worker whose ranks step in lock-step. It is chosen by the
given TTFTs, which nothing else is. Names read
``word.kind@scope``, where the scope is a SKU or an HBM bandwidth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.calibrate.rows import Names, Row, names_of
from pipeline.deployment.closed_loop import Loop, LoopFigures
from pipeline.deployment.scheduler import block_size, max_num_batched_tokens
from pipeline.schema.timing import DecodeTiming, PrefillTiming, SkuTiming

Parameters = Mapping[str, float]
Vector = NDArray[np.float64]
Simulate = Callable[[Sequence[Loop]], Sequence[LoopFigures]]

START = {
    "overhead_s": 15.0,
    "step_ms.T": 13.0,
    "slope.T": 40.0,
    "step_ms.D": 38.0,
    "slope.D": 12.0,
}  # s, ms, µs per 1,000 tokens; near enough for convergence
STEP = 0.02  # relative step of the central differences
LINEARISATIONS, ITERATIONS = 3, 3
PASS_TOKENS = (
    8192,
    10240,
    12288,
    14336,
    16384,
    20480,
    24576,
    32768,
)  # candidates; the fit starts with the middle
MODEL_SD = 0.02  # relative error that remains of a rate with many requests
LARGEST_MOVE = 0.3


class Fit:
    """All points, their parameters, and the correction from surrogate to replay."""

    def __init__(self, rows: Sequence[Row], simulate: Simulate) -> None:
        self.rows, self.simulate = tuple(rows), simulate
        self.known: dict[Loop, LoopFigures] = {}
        self.pass_tokens = PASS_TOKENS[len(PASS_TOKENS) // 2]
        # log(replay / surrogate) of duration and TPOT
        self.correction: dict[Row, Vector] = {row: np.zeros(2) for row in self.rows}
        self.names = {row: names_of(row, self.rows) for row in self.rows}
        self.parameters: Parameters = self._start()
        self.jacobian: Vector = np.empty((0, 0))

    def fit(self) -> Parameters:
        """Fit the parameters to all points, and return them."""
        for _ in range(LINEARISATIONS):
            self._linearise()
            self.parameters = self.solve(self.rows, ITERATIONS)
            self.pass_tokens = self._best_pass_tokens(self.rows)
        return self.parameters

    def ttft_without(self, row: Row) -> float | None:
        """Return the median TTFT in ms of a point, with ``pass_tokens`` chosen by the others; None without one."""
        if row.ttft_ms is None:
            return None
        chosen = self._best_pass_tokens([one for one in self.rows if one is not row])
        (loop,) = self._loops([(row, self.parameters)], chosen)
        return self._run([loop])[0].ttft_p50_ms

    def _best_pass_tokens(self, rows: Sequence[Row]) -> int:
        """Return the candidate with the smallest squared log errors of the given TTFTs; without any, today's."""
        given = [row for row in rows if row.ttft_ms]
        if not given:
            return self.pass_tokens
        points = [(row, self.parameters) for row in given]
        errors = {}
        for tokens in PASS_TOKENS:
            found = self._run(self._loops(points, tokens))
            ratios = [one.ttft_p50_ms / (row.ttft_ms or 1.0) for one, row in zip(found, given, strict=True)]
            errors[tokens] = float(np.sum(np.log(ratios) ** 2))
        return min(errors, key=lambda tokens: errors[tokens])

    def correct(self, replayed: Mapping[Row, tuple[float, float]]) -> float:
        """Correct the surrogate to the replay at the current parameters; return the largest change as |log|.

        ``replayed`` has the duration in s and the TPOT in ms of each point.
        """
        worst = 0.0
        for row, figures in replayed.items():
            correction = np.log(np.array(figures) / self._surrogate([(row, self.parameters)])[0][:2])
            worst = max(worst, float(np.abs(correction - self.correction[row]).max()))
            self.correction[row] = correction
        return worst

    def solve(self, rows: Sequence[Row], iterations: int) -> Parameters:
        """Return the parameters after Gauss-Newton steps over ``rows`` with the current Jacobian.

        A step is halved while it does not reduce the sum of squares.
        """
        weights = np.concatenate([_weights(row) for row in rows])
        jacobian = self.jacobian[self._mask(rows)] * weights[:, None]
        parameters = dict(self.parameters)
        residuals = weights * self.residuals([(row, parameters) for row in rows])
        for _ in range(iterations):
            move = np.linalg.lstsq(jacobian, -residuals, rcond=1e-3)[0]
            move *= min(1.0, LARGEST_MOVE / float(np.abs(move).max()))
            for scale in (1.0, 0.5, 0.25, 0.125):
                trial = {
                    name: value * float(np.exp(scale * by))
                    for (name, value), by in zip(parameters.items(), move, strict=True)
                }
                trial_residuals = weights * self.residuals([(row, trial) for row in rows])
                if trial_residuals @ trial_residuals < residuals @ residuals:
                    break
            else:
                break
            gained = 1 - (trial_residuals @ trial_residuals) / (residuals @ residuals)
            parameters, residuals = trial, trial_residuals
            if gained < 1e-3:
                break
        return {name: float(f"{value:.4g}") for name, value in parameters.items()}

    def timing(self, row: Row) -> SkuTiming:
        """Return the fitted timing of the SKU of a point."""
        return sku_timing(row.recipe.sku, self.rows, self.parameters, self.pass_tokens)

    def timing_without(self, row: Row) -> SkuTiming:
        """Return the timing of the SKU of a point, fitted to all other points."""
        parameters = self.solve([one for one in self.rows if one is not row], 3)
        return sku_timing(row.recipe.sku, self.rows, parameters, self.pass_tokens)

    def residuals(self, points: Sequence[tuple[Row, Parameters]]) -> Vector:
        """Return log(fitted / given) of rate and TPOT, two values per point."""
        figures = []
        for (row, parameters), run in zip(points, self._surrogate(points), strict=True):
            duration, tpot = np.array([run.duration_s, run.tpot_p50_ms]) * np.exp(self.correction[row])
            fitted = rate(row, duration, parameters[self.names[row].overhead])
            figures.append(np.log([fitted / row.total_tok_s_gpu, tpot / row.tpot_ms]))
        return np.concatenate(figures)

    def uncertainty(self, row: Row) -> float:
        """Return the relative standard deviation with which the other points predict a point.

        It is infinite where they do not determine every parameter.
        """
        mask = self._mask([row])
        residuals = self.residuals([(one, self.parameters) for one in self.rows])
        sigma = float(np.sqrt((residuals**2).sum() / max(1, len(residuals) - len(self.parameters))))
        _, singular, turned = np.linalg.svd(self.jacobian[~mask], full_matrices=False)
        if singular[-1] < 1e-6:
            return float("inf")
        return sigma * float(np.linalg.norm(self.jacobian[mask] @ turned.T / singular, axis=1).max())

    def _start(self) -> Parameters:
        start = {}
        for name in sorted({name for names in self.names.values() for name in names}):
            word, _, kind = name.partition("@")[0].partition(".")
            start[name] = (
                self._highest_rate(name)
                if word == "tok_s_gpu"
                else START[f"{word}.{kind[0]}" if kind else word]
            )
        return start

    def _highest_rate(self, name: str) -> float:
        """Return 1.03 times the largest input rate per prefill GPU of the points that share a parameter."""
        rates = [
            row.total_tok_s_gpu
            * row.recipe.gpus_counted
            / row.recipe.prefill.gpus
            * sum(row.lengths.inputs)
            / row.tokens
            for row, names in self.names.items()
            if name in names
        ]
        return 1.03 * max(rates)

    def _linearise(self) -> None:
        shifted = [
            {**self.parameters, name: value * float(np.exp(sign * STEP))}
            for name, value in self.parameters.items()
            for sign in (1, -1)
        ]
        residuals = self.residuals([(row, parameters) for parameters in shifted for row in self.rows])
        up_down = residuals.reshape(len(self.parameters), 2, -1)
        self.jacobian = ((up_down[:, 0] - up_down[:, 1]) / (2 * STEP)).T

    def _mask(self, rows: Sequence[Row]) -> NDArray[np.bool_]:
        return np.repeat([row in rows for row in self.rows], 2)

    def _surrogate(self, points: Sequence[tuple[Row, Parameters]]) -> list[LoopFigures]:
        return self._run(self._loops(points, self.pass_tokens))

    def _loops(self, points: Sequence[tuple[Row, Parameters]], pass_tokens: int) -> list[Loop]:
        return [_loop(row, self.names[row], parameters, pass_tokens) for row, parameters in points]

    def _run(self, loops: Sequence[Loop]) -> list[LoopFigures]:
        todo = sorted(
            {loop for loop in loops if loop not in self.known},
            key=lambda loop: -loop.conc * loop.decode_ranks,
        )
        self.known.update(zip(todo, self.simulate(todo), strict=True))
        return [self.known[loop] for loop in loops]


def rate(row: Row, duration_s: float, overhead_s: float) -> float:
    """Return the total tok/s/GPU of a run: all tokens over the whole wall clock, fixed overhead included."""
    return float(row.tokens / (duration_s + overhead_s) / row.recipe.gpus_counted)


def sku_timing(sku: str, rows: Sequence[Row], parameters: Parameters, pass_tokens: int) -> SkuTiming:
    """Return the parameters of one SKU as a timing document; ``rows`` are all points of the fit."""
    named = {row: names_of(row, rows) for row in rows if row.recipe.sku == sku}
    prefill, decode = {}, {}
    for row, names in named.items():
        first, second = row.kinds
        prefill[first] = PrefillTiming(
            kind=first, tok_s_gpu=parameters[names.rate], pass_tokens=_pass_tokens(row, pass_tokens)
        )
        slope_of = names.slope.partition(".")[2].partition("@")[0]
        decode[second] = DecodeTiming(
            kind=second,
            step_ms=parameters[names.step],
            us_per_kv_ktoken=parameters[names.slope],
            slope_of=slope_of,
        )
    return SkuTiming(
        sku=sku,
        overhead_s=parameters[next(iter(named.values())).overhead],
        prefill=tuple(prefill[kind] for kind in sorted(prefill)),
        decode=tuple(decode[kind] for kind in sorted(decode)),
    )


def _pass_tokens(row: Row, tokens: int) -> int:
    """Return what a rank takes into a pass: no more than its budget."""
    return min(tokens, max_num_batched_tokens(row.recipe, "prefill"))


def _weights(row: Row) -> Vector:
    """Return the weights of rate and TPOT.

    The mean length of n requests, uniform in [a L, L], is known to ``(1 - a) / (1 + a) / sqrt(3 n)``.
    """
    shortest = row.recipe.client.shortest
    drawn = (1 - shortest) / (1 + shortest) / (3 * len(row.lengths.inputs)) ** 0.5
    return np.array([MODEL_SD / float(np.hypot(MODEL_SD, drawn)), 1.0])


def _loop(row: Row, names: Names, parameters: Parameters, pass_tokens: int) -> Loop:
    recipe = row.recipe
    return Loop(
        conc=row.conc,
        lengths=row.lengths,
        prefill_ranks=recipe.prefill.ranks,
        ranks_per_worker=recipe.prefill.dp,
        pass_tokens=_pass_tokens(row, pass_tokens),
        decode_ranks=recipe.decode.ranks,
        block=block_size(recipe, "decode"),
        prefill_tok_s=parameters[names.rate] * recipe.prefill.gpus_per_rank,
        step_s=parameters[names.step] / 1e3,
        per_token_s=parameters[names.slope] / 1e9,
    )
