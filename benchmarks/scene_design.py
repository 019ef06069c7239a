# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Which scenes are run, and what is asked of them.

The full product of the matrix has 25,920 cells. Run are: every factor alone around a base case (`sweep`), the scenes
of the issue's table of numbers with more seconds or seeds (`named`), and a seeded random sample of the full product
(`cell`), so that no combination can be tuned to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from geo_pose_ros.settings import Value
from geo_pose_ros.simulation.scenario import Hidden, Knock, Scenario

CAMERAS = (1, 2, 4, 6, 12, 32)
PEOPLE = (1, 2, 4, 8, 30)
RATES_HZ = (15.0, 30.0, 60.0, 0.0)
PHASES = ('trigger', 'random', 'half')
LOSSES = (0.0, 0.03, 0.1)
CALIBRATION_DEG = (0.0, 0.25, 0.5, 1.0)
SPEEDS = (1.0, 2.5)
FACTORS: tuple[tuple[str, tuple[object, ...]], ...] = (
    ('cameras', CAMERAS), ('people', PEOPLE), ('rate_hz', RATES_HZ), ('phase', PHASES), ('loss', LOSSES),
    ('calibration_error_deg', CALIBRATION_DEG), ('speed', SPEEDS),
)
CELLS, CELL_SEED = 24, 8
BASE = Scenario(cameras=4, people=2, duration_s=6.0)


@dataclass(frozen=True, slots=True)
class Target:
    """What a row is to reach.

    Attributes:
        metric: name of a field of Metrics.
        low, high: inclusive bounds.
        of: name of another row; the bounds are of the ratio to its value.
    """

    metric: str
    low: float = float('-inf')
    high: float = float('inf')
    of: str = ''


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the benchmark: a scenario, run once per seed (metrics are means, times to find something the worst).

    Attributes:
        name: unique.
        group: 'sweep', 'named' or 'cell'.
        scenario: without its seed.
        targets: what is asked.
        seeds: of the runs.
        settings: of the node, where they are not the defaults: (name, value).
    """

    name: str
    group: str
    scenario: Scenario
    targets: tuple[Target, ...] = ()
    seeds: tuple[int, ...] = (0,)
    settings: tuple[tuple[str, Value], ...] = ()


def everywhere(scenario: Scenario) -> tuple[Target, ...]:
    """Return what is asked of every row."""
    asked = []
    if scenario.cameras >= 2:
        asked.append(Target('instants', 0.995))
    if scenario.cameras >= 2 and scenario.rate_hz and scenario.phase == 'trigger' and not scenario.clock_offset_ms:
        # What one trigger made at once is one set.
        asked.append(Target('sets_per_instant', 0.995, 1.005))
    if scenario.cameras == 4:
        asked.append(Target('oracle_ratio', high=1.15))
    if scenario.calibration_error_deg <= 0.25 and not scenario.knocks:
        asked.append(Target('false_knocks', high=0.0))
    return tuple(asked)


def describe(scenario: Scenario) -> str:
    """Return the factors of the matrix in short."""
    rate = f'{scenario.rate_hz:g} Hz' if scenario.rate_hz else 'mixed rates'
    return (
        f'{scenario.cameras} x {scenario.people}, {rate}, {scenario.phase}, loss {100 * scenario.loss:g} %, '
        f'{scenario.calibration_error_deg:g} deg, x{scenario.speed:g}'
    )


def sweep_name(factor: str, value: object) -> str:
    """Return the name of the row of the sweep in which a factor has a value."""
    return 'base' if getattr(BASE, factor) == value else f'{factor} {shown(factor, value)}'


def shown(factor: str, value: object) -> str:
    """Return a value of a factor as people read it."""
    return 'mixed' if factor == 'rate_hz' and not value else str(value)


def sweep() -> Iterator[Row]:
    """Yield the base case and every factor alone around it."""
    yield Row('base', 'sweep', BASE, everywhere(BASE))
    for name, values in FACTORS:
        for value in values:
            if getattr(BASE, name) == value:
                continue
            scenario = replace(BASE, **{name: value})  # type: ignore[arg-type]
            if scenario.people > 8:
                scenario = replace(scenario, motion='cell', spacing_m=1.2, duration_s=3.0)
            yield Row(sweep_name(name, value), 'sweep', scenario, everywhere(scenario))


def _row(
    name: str, scenario: Scenario, *targets: Target, seeds: int = 1, first_seed: int = 0
) -> Row:
    drawn = tuple(range(first_seed, first_seed + seeds))
    return Row(name, 'named', scenario, (*everywhere(scenario), *targets), drawn)


def named() -> Iterator[Row]:
    """Yield the scenes of the table of numbers."""
    yield from _delivery()
    yield from _phases()
    yield from _clocks()
    yield from _crowds()
    yield from _pairs()
    yield from _identity()
    yield from _uncertainty()
    yield from _knocks()
    yield from _costs()


def _delivery() -> Iterator[Row]:
    for cameras, loss in product((2, 4, 12, 32), (0.03, 0.1)):
        yield _row(
            f'{cameras} cameras lose {100 * loss:g} %',
            Scenario(cameras=cameras, people=1, loss=loss, duration_s=5.0),
        )


def _phases() -> Iterator[Row]:
    two = Scenario(cameras=2, people=2, duration_s=10.0)
    yield _row('2 cameras, one trigger', two)
    yield _row(
        '2 cameras, half a period apart', replace(two, phase='half'), Target('recall', 0.98),
        Target('mpjpe_m', high=1.25, of='2 cameras, one trigger'),
    )
    for rate in (15.0, 30.0):
        four = Scenario(cameras=4, people=2, rate_hz=rate, duration_s=10.0)
        reference = f'4 cameras, one trigger, {rate:g} Hz'
        yield _row(reference, four, seeds=2)
        yield _row(
            f'4 cameras, random phases, {rate:g} Hz', replace(four, phase='random'),
            Target('views', 0.95, of=reference), Target('mpjpe_m', high=1.1, of=reference),
            Target('wrist_p95_m', high=1.3, of=reference), seeds=2,
        )


def _clocks() -> Iterator[Row]:
    base = Scenario(cameras=4, people=2, duration_s=14.0)
    yield _row('clocks agree', base, seeds=2)
    for offset_ms, phase in ((50.0, 'trigger'), (50.0, 'random'), (20.0, 'trigger')):
        yield _row(
            f'clocks off by up to {offset_ms:g} ms, {phase}', replace(base, clock_offset_ms=offset_ms, phase=phase),
            Target('clock_found_s', high=10.0), Target('clock_error_ms', high=3.0),
            Target('mpjpe_m', high=1.15, of='clocks agree'), seeds=2,
        )


def _crowds() -> Iterator[Row]:
    asked = Target('ghosts', high=0.02), Target('recall', 0.98), Target('ids', high=1.1)
    for people, cameras, rate, motion in (
        (2, 3, 30.0, 'walk'), (3, 3, 30.0, 'walk'), (4, 4, 15.0, 'walk'), (4, 6, 30.0, 'walk'), (8, 6, 15.0, 'walk'),
        (8, 12, 60.0, 'walk'), (15, 12, 6.0, 'cell'), (15, 12, 15.0, 'walk'),
    ):
        yield _row(
            f'{people} people, {cameras} cameras, {rate:g} Hz, {motion}',
            Scenario(
                cameras=cameras, people=people, rate_hz=rate, motion=motion,
                duration_s=10.0 if rate == 60.0 else 30.0,
            ),
            *asked,
        )
    yield _row(
        '4 people, 32 cameras, cold', Scenario(cameras=32, people=4, duration_s=2.0), *asked,
        Target('bodies', 0.98, 1.02),
    )


def _pairs() -> Iterator[Row]:
    # Detectors miss people for a second at a time, so that wrong pairs begin. Choices were made on seeds 0 to 9.
    asked = Target('association_ratio', 0.97), Target('ids', high=1.05), Target('ghosts', high=0.03)
    for people, motion, apart_deg in product((2, 3, 4, 6), ('cell', 'walk'), (72.0, 144.0)):
        yield _row(
            f'2 cameras {apart_deg:g} deg apart, {people} people missed, {motion}',
            Scenario(
                cameras=2, people=people, motion=motion, spacing_m=0.6 if motion == 'cell' else 0.5, rate_hz=25.0,
                miss=0.12, miss_s=1.0, duration_s=12.0, pair_deg=apart_deg,
            ),
            *asked, seeds=2, first_seed=100,
        )


def _identity() -> Iterator[Row]:
    # Some thirty each: one that fails is not yet a row that does.
    for length_s, seeds in ((0.3, 2), (1.0, 3), (3.0, 3)):
        hidden = tuple(
            Hidden(person, start + person * (length_s + 0.5), start + length_s + person * (length_s + 0.5))
            for start in np.arange(2.0, 38.0, 3.0 * (length_s + 2.0)).tolist() for person in range(3)
        )
        duration_s = max(h.end_s for h in hidden) + 2.0
        yield _row(
            f'hidden {length_s:g} s', Scenario(people=3, rate_hz=15.0, duration_s=duration_s, hidden=hidden),
            Target('same_id', 0.95), seeds=seeds,
        )
    yield _row(
        'crossing', Scenario(people=2, motion='cross', duration_s=7.0), Target('crossed_id', 0.99), seeds=12
    )
    yield _row(
        'crossing, 2 cameras', Scenario(cameras=2, people=2, motion='cross', duration_s=7.0),
        Target('crossed_id', 0.99), seeds=6,
    )


def _uncertainty() -> Iterator[Row]:
    asked = tuple(Target(f'inside_{views}', 0.9, 0.99) for views in (2, 1, 0))
    for angle in CALIBRATION_DEG:
        yield _row(
            f'covariance 95 %, {angle:g} deg', Scenario(people=3, calibration_error_deg=angle, duration_s=10.0),
            *asked, seeds=3,
        )
    # Few cameras and many people: joints of one view and of none.
    yield _row(
        'covariance 95 %, 2 cameras x 6', Scenario(cameras=2, people=6, duration_s=10.0, calibration_error_deg=0.25),
        *asked, seeds=2,
    )


def _knocks() -> Iterator[Row]:
    for pixels in (5.0, 10.0, 40.0, 200.0):
        yield _row(
            f'knocked by {pixels:g} px', Scenario(people=2, duration_s=16.0, knocks=(Knock(1, pixels, 5.0, 12.0),)),
            Target('knock_found_s', high=5.0), Target('false_knocks', high=0.0),
        )


def _costs() -> Iterator[Row]:
    for cameras, people, warm_ms in ((4, 1, 2.0), (12, 8, 10.0), (12, 30, 40.0), (32, 8, 0.0), (32, 30, 120.0)):
        crowd = people > 8
        asked = []
        if warm_ms:
            asked += [Target('cpu_warm_ms', high=warm_ms), Target('cold_ratio', high=3.0)]
        if people >= 8:
            asked += [Target('bodies', 0.98, 1.02)]
        yield _row(
            f'cost {cameras} x {people}',
            Scenario(
                cameras=cameras, people=people, motion='cell' if crowd else 'walk', spacing_m=1.2 if crowd else 1.0,
                duration_s=2.0 if crowd else 4.0,
            ),
            *asked,
        )


def cells() -> Iterator[Row]:
    """Yield the random sample of the full product."""
    full = list(product(CAMERAS, PEOPLE, RATES_HZ, PHASES, LOSSES, CALIBRATION_DEG, SPEEDS))
    drawn = np.random.default_rng(CELL_SEED).choice(len(full), CELLS, replace=False)
    for k in sorted(drawn.tolist()):
        cameras, people, rate_hz, phase, loss, angle, speed = full[k]
        scenario = Scenario(
            cameras=cameras, people=people, rate_hz=rate_hz, phase=phase, loss=loss, calibration_error_deg=angle,
            speed=speed, motion='cell' if people > 8 else 'walk', spacing_m=1.2 if people > 8 else 1.0,
            duration_s=1.5 if people > 8 else 3.0, seed=0,
        )
        yield Row(describe(scenario), 'cell', scenario, everywhere(scenario), seeds=(k,))


def rows() -> list[Row]:
    """Return all rows."""
    return [*sweep(), *named(), *cells()]
