"""The clocks of a rig while it is calibrated; the first camera's clock is the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..arrays import FloatArray
from ..types import CameraRig, ClockModel
from .people.tracklets import Tracklet, instants


def clock_offsets_s(rig: CameraRig) -> FloatArray:
    """Return the offsets (C,) of the cameras' clocks."""
    return np.array([camera.clock.offset_s for camera in rig.cameras])


def clock_drifts(rig: CameraRig) -> FloatArray:
    """Return the drifts (C,) of the cameras' clocks."""
    return np.array([camera.clock.drift for camera in rig.cameras])


def with_clocks(rig: CameraRig, offset_s: FloatArray, drift: FloatArray | None = None) -> CameraRig:
    """Return the rig with other clocks: offsets (C,) and drifts (C,), None: none drifts."""
    rates = np.zeros(len(rig)) if drift is None else drift
    clocks = (ClockModel(*clock) for clock in zip(offset_s.tolist(), rates.tolist(), strict=True))
    return replace(rig, cameras=tuple(replace(c, clock=clock) for c, clock in zip(rig.cameras, clocks, strict=True)))


def synchronous(rig: CameraRig) -> CameraRig:
    """Return the rig with clocks that agree."""
    return with_clocks(rig, np.zeros(len(rig)))


def with_clocks_beyond(rig: CameraRig, sampled: CameraRig) -> CameraRig:
    """Return a rig found from views that were sampled under the clocks of ``sampled``, with its clocks beyond these."""
    return with_clocks(
        rig, clock_offsets_s(sampled) + clock_offsets_s(rig), clock_drifts(sampled) + clock_drifts(rig)
    )


def common_instants(tracklets: Mapping[str, Sequence[Tracklet]], rig: CameraRig, most: int) -> FloatArray:
    """Return up to ``most`` instants (M,) of the common time at which the cameras of ``rig`` see people."""
    return instants(
        [replace(t, time_s=c.clock.common_s(t.time_s)) for c in rig.cameras for t in tracklets[c.name]], most
    )
