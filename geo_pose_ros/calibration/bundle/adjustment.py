"""Bundle adjustment over people: cameras, clocks and lenses together with the joints that they see.

Triggs, McLauchlan, Hartley, Fitzgibbon, "Bundle Adjustment - A Modern Synthesis", 1999. Unknown are, per camera, its
pose and on request clock offset, clock drift, focal length and the first two coefficients of distortion; per *pose*
(one person at one instant) the joints; per person the bone lengths. A residual is a keypoint in raw px, at the time
that the camera's clock says, divided by its standard deviation; its loss is Geman and McClure's. The scale of the
noise is taken from the residuals themselves at every stage, so that it falls as the cameras become right (graduated
non-convexity).

Every pose is eliminated exactly (Schur complement): what is solved is dense and has a few unknowns per camera. That
is why scipy's sparse least squares is not used: with 15,000 unknown coordinates its iterative inner solver needs
minutes for what the elimination does in seconds, and gives no covariance. A test compares the two.

Nothing here fixes the world: the seven dimensions of rotation, translation and scale stay free (see world.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ...arrays import FloatArray, IntArray
from ...errors import CalibrationError, ShapeError
from ...geometry.projection import normalize
from ...geometry.triangulation import triangulate_dlt
from ...skeleton import BODY17
from ...types import CameraRig, Intrinsics
from ..settings import AdjustConfig

_ZERO = np.zeros(3)
_LEAST_DEPTH_M = 0.1
# A joint is held where it is with this standard deviation, so that one that is hardly seen stays solvable.
_HOLD_M = 1.0
_DISTORTION_SPREAD = 0.1
_STAGES = 12
_STEPS = 4
# A step that changes the cost by less is the last one.
_CONVERGED = 1e-5
_GAUGE = 7
# Errors farther apart in time are independent.
_MEMORY_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class PoseViews:
    """M poses (one person at one instant) as C cameras see them.

    Attributes:
        time_s: (M,) when.
        person: (M,) whose, 0..P-1.
        xy: (C, M, J, 2) raw px, NaN = not seen.
        velocity: (C, M, J, 2) px/s, NaN where unknown.
        weight: (C, M, J) 1 / standard deviation up to a common factor, 1/px; 0 = not used.
    """

    time_s: FloatArray
    person: IntArray
    xy: FloatArray
    velocity: FloatArray
    weight: FloatArray

    def __post_init__(self) -> None:
        poses = len(self.time_s)
        shape = self.xy.shape
        if (
            len(shape) != 4 or shape[1] != poses or shape[2:] != (len(BODY17), 2) or self.velocity.shape != shape
            or self.weight.shape != shape[:3] or self.person.shape != (poses,)
        ):
            raise ShapeError(
                f'PoseViews: received {poses} times, person {self.person.shape}, xy {shape}, velocity '
                f'{self.velocity.shape}, weight {self.weight.shape}; expected (M,), (M,), (C, M, 17, 2) twice and '
                '(C, M, 17).'
            )

    def __len__(self) -> int:
        return len(self.time_s)

    def select(self, kept: NDArray[np.bool_]) -> PoseViews:
        """Return the poses of the mask (M,)."""
        return PoseViews(
            self.time_s[kept], self.person[kept], self.xy[:, kept], self.velocity[:, kept], self.weight[:, kept]
        )


@dataclass(frozen=True, slots=True, eq=False)
class RigState:
    """A rig with its clocks: what the adjustment starts from and ends with.

    Attributes:
        rig: C cameras.
        offset_s: (C,) by how much a camera's stamps are late: stamp = time + offset + drift * time.
        drift: (C,) dimensionless.
    """

    rig: CameraRig
    offset_s: FloatArray
    drift: FloatArray

    @classmethod
    def of(cls, rig: CameraRig) -> RigState:
        """Return the rig with clocks that agree."""
        return cls(rig, np.zeros(len(rig)), np.zeros(len(rig)))

    @property
    def cam_from_world(self) -> FloatArray:
        """(C, 3, 4)."""
        return np.stack([camera.cam_from_world for camera in self.rig.cameras])


@dataclass(frozen=True, slots=True)
class Layout:
    """Which unknowns a camera has, and where; the same for all cameras."""

    clock: bool
    drift: bool
    focal: bool
    distortion: bool

    @classmethod
    def of(cls, config: AdjustConfig) -> Layout:
        """Return the layout that the settings ask for."""
        return cls(
            config.clocks, config.drift, config.intrinsics != 'fixed', config.intrinsics == 'focal+distortion'
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The unknowns of one camera: rotation (rad) and translation (m) in its own frame, then what was asked."""
        return (
            'rx', 'ry', 'rz', 'tx', 'ty', 'tz',
            *(('offset_s',) if self.clock else ()), *(('drift',) if self.drift else ()),
            *(('log_focal',) if self.focal else ()), *(('k1', 'k2') if self.distortion else ()),
        )

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Return where ``name`` stands among a camera's unknowns."""
        return self.names.index(name)


@dataclass(frozen=True, slots=True, eq=False)
class Adjustment:
    """What the adjustment found.

    Attributes:
        state: the cameras and clocks, in a world of its own.
        xyz: (M, J, 3) m, NaN where fewer than two cameras saw the joint.
        bones_m: (P, B) bone lengths.
        sigma_px: standard deviation of a keypoint of weight 1: the unit of ``weight``.
        covariance: (C * k, C * k) of the cameras' unknowns in the order of ``layout``, for the world that fits these
            cameras best (a change of all cameras together is not in it); honest about errors that last in time.
        layout: the unknowns of one camera.
        iterations: steps taken.
        trust: (C, M, J) robust weight of each keypoint, 1 = fully used, NaN = none.
    """

    state: RigState
    xyz: FloatArray
    bones_m: FloatArray
    sigma_px: float
    covariance: FloatArray
    layout: Layout
    iterations: int
    trust: FloatArray

    def sigma(self, name: str) -> FloatArray:
        """Return the standard deviation (C,) of one of the cameras' unknowns."""
        index = self.layout.index(name) + len(self.layout) * np.arange(len(self.state.rig))
        return np.sqrt(np.maximum(np.diag(self.covariance)[index], 0.0))

    @property
    def sigma_rotation_rad(self) -> FloatArray:
        """(C,) root of the summed variances about the three axes."""
        return np.sqrt(sum(self.sigma(name) ** 2 for name in ('rx', 'ry', 'rz')))

    @property
    def sigma_position_m(self) -> FloatArray:
        """(C,) the same of the position."""
        return np.sqrt(sum(self.sigma(name) ** 2 for name in ('tx', 'ty', 'tz')))


def project_with_jacobian(
    intrinsics: Intrinsics, points: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Project points (N, 3) of the camera frame, z > 0.

    Returns:
        px (N, 2) and its derivatives by the point (N, 2, 3), by the logarithm of the focal length (N, 2), and by the
        first two coefficients of distortion (N, 2, 2).
    """
    n = len(points)
    if not n:
        return np.zeros((0, 2)), np.zeros((0, 2, 3)), np.zeros((0, 2)), np.zeros((0, 2, 2))
    K, given = intrinsics.K, points[:, None, :]
    if intrinsics.distortion_model == 'equidistant':
        pixels, J = cv2.fisheye.projectPoints(given, _ZERO, _ZERO, K, intrinsics.D)
        by_point, by_focal, by_distortion = J[:, 11:14], J[:, 0:2], J[:, 4:6]
    else:
        D = np.pad(intrinsics.D, (0, max(0, 5 - len(intrinsics.D))))
        pixels, J = cv2.projectPoints(given, _ZERO, _ZERO, K, D)
        by_point, by_focal, by_distortion = J[:, 3:6], J[:, 6:8], J[:, 10:12]
    focal = (by_focal * (K[0, 0], K[1, 1])).sum(1).reshape(n, 2)
    return (
        np.asarray(pixels, np.float64).reshape(n, 2), np.asarray(by_point, np.float64).reshape(n, 2, 3), focal,
        np.asarray(by_distortion, np.float64).reshape(n, 2, 2),
    )


def triangulate(state: RigState, views: PoseViews) -> FloatArray:
    """Return the joints (M, J, 3) m that the views give linearly; NaN with fewer than two.

    Views far from the joint count less in a second pass.
    """
    seen = corrected(state, views)
    xn = np.stack([normalize(c.intrinsics, xy) for c, xy in zip(state.rig.cameras, seen, strict=True)])
    cameras, poses, joints = views.weight.shape
    flat, weight = xn.reshape(cameras, -1, 2), views.weight.reshape(cameras, -1)
    cams = state.cam_from_world
    xyz = triangulate_dlt(cams, flat, weight)
    for _ in range(2):
        local = np.einsum('cij,nj->cni', cams[..., :3], xyz) + cams[:, None, :, 3]
        depth = np.maximum(local[..., 2], _LEAST_DEPTH_M)
        distance = np.linalg.norm(local[..., :2] / depth[..., None] - flat, axis=-1) * depth
        typical = np.nanmedian(distance) if np.isfinite(distance).any() else 1.0
        share = 1.0 / (1.0 + np.nan_to_num(distance / (3.0 * typical + 1e-12), nan=0.0) ** 2)
        xyz = triangulate_dlt(cams, flat, weight * share / np.nan_to_num(depth, nan=1.0))
    return xyz.reshape(poses, joints, 3)


def corrected(state: RigState, views: PoseViews) -> FloatArray:
    """Return the keypoints (C, M, J, 2) px at the instants that the clocks say; ``views`` were sampled without."""
    shift_s = state.offset_s[:, None] + state.drift[:, None] * views.time_s
    moved: FloatArray = views.xy + np.nan_to_num(views.velocity) * shift_s[..., None, None]
    return moved


@dataclass(slots=True, eq=False)
class _Unknowns:
    """The current values, as arrays."""

    R: FloatArray
    t: FloatArray
    lenses: list[Intrinsics]
    offset_s: FloatArray
    drift: FloatArray
    xyz: FloatArray
    bones_m: FloatArray

    def moved(self, layout: Layout, step: FloatArray, points: FloatArray, bones: FloatArray) -> _Unknowns:
        """Return the values after a step: cameras (C, k), points (M, J, 3), bones (P, B)."""
        turn = Rotation.from_rotvec(step[:, :3]).as_matrix()
        offset_s, drift, lenses = self.offset_s, self.drift, self.lenses
        if layout.clock:
            offset_s = offset_s + step[:, layout.index('offset_s')]
        if layout.drift:
            drift = drift + step[:, layout.index('drift')]
        if layout.focal:
            k1 = layout.index('k1') if layout.distortion else 0
            lenses = [
                _bent(lens, s[layout.index('log_focal')], s[k1 : k1 + 2] if layout.distortion else np.zeros(2))
                for lens, s in zip(lenses, step, strict=True)
            ]
        return _Unknowns(
            turn @ self.R, (turn @ self.t[..., None])[..., 0] + step[:, 3:6], lenses, offset_s, drift,
            self.xyz + points, self.bones_m + bones,
        )


def _bent(lens: Intrinsics, log_focal: float, distortion: FloatArray) -> Intrinsics:
    K = lens.K.copy()
    K[[0, 1], [0, 1]] *= np.exp(log_focal)
    D = lens.D
    if distortion.any():
        D = np.pad(D, (0, max(0, 4 - len(D))))
        D[:2] += distortion
    return replace(lens, K=K, D=D)


@dataclass(slots=True, eq=False)
class _Problem:
    """What stays the same while the unknowns move."""

    views: PoseViews
    layout: Layout
    config: AdjustConfig
    start: _Unknowns
    parent: IntArray
    child: IntArray
    known: NDArray[np.bool_]
    used: NDArray[np.bool_]
    given: CameraRig | None
    sigma_px: float = 1.0
    persons: int = field(init=False)
    bound2: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.persons = int(self.views.person.max()) + 1
        # The joint follows its keypoints: of their 2 n components it takes 3, and of two views' outlier half is left
        # to see. So a residual is compared with its own deviation, that of the noise times sqrt(1 - 3 / 2n).
        views = np.maximum(self.used.sum(0), 2)
        self.bound2 = self.config.robust_sigmas**2 * (1.0 - 1.5 / views)

    # Residuals -------------------------------------------------------------------------------------------------

    def keypoint_residuals(self, at: _Unknowns) -> FloatArray:
        """Return (C, M, J, 2) px, NaN where not used or behind the camera."""
        residuals = np.full(self.views.xy.shape, np.nan)
        for c in range(len(at.R)):
            residuals[c][self.used[c]] = self._camera(at, c)[0]
        return residuals

    def _camera(self, at: _Unknowns, c: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return camera c's N residuals (N, 2) px and their derivatives by camera (N, 2, k) and point (N, 2, 3)."""
        pose, joint = np.nonzero(self.used[c])
        local = at.xyz[pose, joint] @ at.R[c].T + at.t[c]
        ahead = local[:, 2] > _LEAST_DEPTH_M
        safe = np.where(ahead[:, None], local, (0.0, 0.0, 1.0))
        pixels, by_point, by_focal, by_distortion = project_with_jacobian(at.lenses[c], safe)
        velocity = np.nan_to_num(self.views.velocity[c, pose, joint])
        time_s = self.views.time_s[pose]
        seen = self.views.xy[c, pose, joint] + velocity * (at.offset_s[c] + at.drift[c] * time_s)[:, None]
        residual = np.where(ahead[:, None], pixels - seen, np.nan)
        J = np.empty((len(pose), 2, len(self.layout)))
        x, y, z = safe.T
        # d local / d rotation = -[local]x; d local / d translation = 1.
        J[..., 0] = by_point[..., 2] * y[:, None] - by_point[..., 1] * z[:, None]
        J[..., 1] = by_point[..., 0] * z[:, None] - by_point[..., 2] * x[:, None]
        J[..., 2] = by_point[..., 1] * x[:, None] - by_point[..., 0] * y[:, None]
        J[..., 3:6] = by_point
        if self.layout.clock:
            J[..., self.layout.index('offset_s')] = -velocity
        if self.layout.drift:
            J[..., self.layout.index('drift')] = -velocity * time_s[:, None]
        if self.layout.focal:
            J[..., self.layout.index('log_focal')] = by_focal
        if self.layout.distortion:
            J[..., self.layout.index('k1') : self.layout.index('k1') + 2] = by_distortion
        return residual, J, by_point @ at.R[c]

    def bone_residuals(self, at: _Unknowns) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return (M, B) standardised, NaN where unknown; the bones' directions (M, B, 3); and 1 / sigma (M, B)."""
        difference = at.xyz[:, self.child] - at.xyz[:, self.parent]
        length = np.maximum(np.linalg.norm(difference, axis=-1), 1e-6)
        expected = at.bones_m[self.views.person]
        # The spread is of the start's lengths, so that bones cannot buy weight by shrinking.
        inverse = 1.0 / (self.config.bone_spread * np.maximum(self.start.bones_m[self.views.person], 0.02))
        both = self.known[:, self.child] & self.known[:, self.parent]
        residual = np.where(both, (length - expected) * inverse, np.nan)
        return residual, difference / length[..., None], inverse

    def scaled(self, residuals_px: FloatArray) -> FloatArray:
        """Return squared standardised lengths (C, M, J) of keypoint residuals."""
        squared: FloatArray = (residuals_px**2).sum(-1) * (self.views.weight / self.sigma_px) ** 2
        return squared

    def cost(self, at: _Unknowns) -> float:
        """Return the robust cost; a keypoint behind its camera costs as the worst outlier."""
        s2 = self.scaled(self.keypoint_residuals(at))
        total = float(np.where(np.isfinite(s2), s2 / (1.0 + s2 / self.bound2), self.bound2)[self.used].sum())
        if self.config.bone_spread > 0.0:
            k2, b2 = self.config.robust_sigmas**2, self.bone_residuals(at)[0] ** 2
            total += float(np.nansum(b2 / (1.0 + b2 / k2)))
        total += float((((at.xyz - self.start.xyz) / _HOLD_M)[self.known] ** 2).sum())
        return total + float((self._prior_change(at) ** 2 * self._prior_information()).sum())

    def _prior_change(self, at: _Unknowns) -> FloatArray:
        """Return by how much the cameras' unknowns (C, k) differ from what was given about them."""
        change = np.zeros((len(at.R), len(self.layout)))
        if self.given is not None:
            R = np.stack([camera.cam_from_world[:, :3] for camera in self.given.cameras])
            place = np.stack([camera.position_m for camera in self.given.cameras])
            change[:, :3] = Rotation.from_matrix(at.R @ R.swapaxes(1, 2)).as_rotvec()
            change[:, 3:6] = at.t + (at.R @ place[..., None])[..., 0]
        if self.layout.clock:
            change[:, self.layout.index('offset_s')] = at.offset_s - self.start.offset_s
        if self.layout.drift:
            change[:, self.layout.index('drift')] = at.drift
        if self.layout.focal:
            ratio = [a.K[0, 0] / b.K[0, 0] for a, b in zip(at.lenses, self.start.lenses, strict=True)]
            change[:, self.layout.index('log_focal')] = np.log(ratio)
        if self.layout.distortion:
            k1 = self.layout.index('k1')
            for c, (a, b) in enumerate(zip(at.lenses, self.start.lenses, strict=True)):
                change[c, k1 : k1 + 2] = a.D[:2] - np.pad(b.D, (0, max(0, 2 - len(b.D))))[:2]
        return change

    def _prior_information(self) -> FloatArray:
        """Return 1 / variance (C, k) of what was given about the cameras' unknowns; 0 = nothing."""
        config, layout = self.config, self.layout
        information = np.zeros((len(self.start.R), len(layout)))
        if self.given is not None:
            information[:, :3] = 1.0 / config.given_rotation_rad**2
            information[:, 3:6] = 1.0 / config.given_position_m**2
        spreads = {
            'offset_s': config.clock_spread_s, 'drift': config.drift_spread, 'log_focal': config.focal_spread,
            'k1': _DISTORTION_SPREAD, 'k2': _DISTORTION_SPREAD,
        }
        for name, spread in spreads.items():
            if name in layout.names:
                information[:, layout.index(name)] = 1.0 / spread**2
                if name in ('offset_s', 'drift'):
                    # The first camera's clock is the time.
                    information[0, layout.index(name)] = 1e18
        return information

    # Normal equations ------------------------------------------------------------------------------------------

    def normal(self, at: _Unknowns) -> _Normal:
        """Return the normal equations at the current values, weighted robustly."""
        cameras, poses, joints = self.views.weight.shape
        k, persons, bones = len(self.layout), self.persons, len(self.parent)
        size = cameras * k + persons * bones
        A = np.zeros((size, size))
        a = np.zeros((poses, size))
        W = np.zeros((poses, joints * 3, size))
        N = np.zeros((poses, joints, 3, joints, 3))
        n = np.zeros((poses, joints, 3))
        trust = np.full(self.views.weight.shape, np.nan)
        slope, count = 0.0, 0.0
        blocks = W.reshape(poses, joints, 3, size)
        for c in range(cameras):
            pose, joint = np.nonzero(self.used[c])
            residual, J_camera, J_point = self._camera(at, c)
            base = (self.views.weight[c, pose, joint] / self.sigma_px) ** 2
            s2, k2 = (residual**2).sum(1) * base, self.bound2[pose, joint]
            robust = np.where(np.isfinite(s2), (1.0 + np.nan_to_num(s2) / k2) ** -2, 0.0)
            trust[c, pose, joint] = robust
            # Mean second derivative of the loss, over both components: Huber's correction of the covariance.
            shrink = np.nan_to_num(s2) / (k2 + np.nan_to_num(s2))
            slope += float((robust * (1.0 - 2.0 * shrink)).sum())
            count += float(robust.sum())
            w = (base * robust)[:, None, None]
            residual = np.nan_to_num(residual)
            columns = slice(c * k, (c + 1) * k)
            A[columns, columns] += np.einsum('nxi,nxj->ij', w * J_camera, J_camera, optimize=True)
            pull = np.einsum('nxi,nx->ni', w * J_camera, residual)
            np.add.at(a[:, columns], pose, pull)
            N[pose, joint, :, joint, :] += np.einsum('nxi,nxj->nij', w * J_point, J_point)
            n[pose, joint] += np.einsum('nxi,nx->ni', w * J_point, residual)
            blocks[pose, joint, :, columns] += np.einsum('nxi,nxj->nij', w * J_point, J_camera)
        if self.config.bone_spread > 0.0:
            self._add_bones(at, A, a, blocks, N, n)
        hold = 1.0 / _HOLD_M**2
        index = np.arange(joints)
        N[:, index, :, index, :] += hold * np.eye(3)
        n += np.where(self.known[..., None], hold * (at.xyz - self.start.xyz), 0.0)
        information = self._prior_information().ravel()
        A[np.arange(cameras * k), np.arange(cameras * k)] += information
        prior_pull = np.zeros(size)
        prior_pull[: cameras * k] = information * self._prior_change(at).ravel()
        return _Normal(
            A, a, W, N.reshape(poses, joints * 3, joints * 3), n.reshape(poses, -1), prior_pull, trust,
            max(slope / max(count, 1e-12), 0.2),
        )

    def _add_bones(
        self, at: _Unknowns, A: FloatArray, a: FloatArray, W: FloatArray, N: FloatArray, n: FloatArray
    ) -> None:
        residual, u, inverse = self.bone_residuals(at)
        k2 = self.config.robust_sigmas**2
        both = np.isfinite(residual)
        residual = np.nan_to_num(residual)
        w = np.where(both, (1.0 + residual**2 / k2) ** -2, 0.0)
        first = len(at.R) * len(self.layout) + self.views.person * len(self.parent)
        poses = np.arange(len(self.views))
        for b, (p, c) in enumerate(zip(self.parent.tolist(), self.child.tolist(), strict=True)):
            g = (inverse[:, b] * u[:, b].T).T
            outer = w[:, b, None, None] * g[:, :, None] * g[:, None, :]
            N[:, p, :, p] += outer
            N[:, c, :, c] += outer
            N[:, p, :, c] -= outer
            N[:, c, :, p] -= outer
            pull = (w[:, b] * residual[:, b])[:, None] * g
            n[:, c] += pull
            n[:, p] -= pull
            column = first + b
            by_length = -(w[:, b] * inverse[:, b])[:, None] * g
            W[poses, c, :, column] += by_length
            W[poses, p, :, column] -= by_length
            np.add.at(A, (column, column), w[:, b] * inverse[:, b] ** 2)
            a[poses, column] -= w[:, b] * inverse[:, b] * residual[:, b]


@dataclass(slots=True, eq=False)
class _Normal:
    """Normal equations: cameras and bones A (G, G), a (M, G) per pose; poses N (M, 3J, 3J), n (M, 3J); mixed W."""

    A: FloatArray
    a: FloatArray
    W: FloatArray
    N: FloatArray
    n: FloatArray
    prior_pull: FloatArray
    trust: FloatArray
    slope: float

    def reduced(self, damping: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the Schur complement (G, G), the reduced pull per pose (M, G), and N^-1 [W n] (M, 3J, G + 1)."""
        N = self.N.copy()
        index = np.arange(N.shape[1])
        N[:, index, index] *= 1.0 + damping
        solved = np.linalg.solve(N, np.concatenate([self.W, self.n[..., None]], -1))
        flat_W = self.W.reshape(-1, self.W.shape[2])
        flat_solved = solved.reshape(-1, solved.shape[2])
        S = self.A - flat_W.T @ flat_solved[:, :-1]
        pull = self.a - np.einsum('mig,mi->mg', self.W, solved[..., -1])
        return 0.5 * (S + S.T), pull, solved


def adjust(
    views: PoseViews, start: RigState, config: AdjustConfig, xyz: FloatArray | None = None,
    given: CameraRig | None = None, stages: int = _STAGES,
) -> Adjustment:
    """Adjust cameras, clocks, lenses and joints to what the cameras saw.

    Args:
        views: M poses, each seen by at least two cameras to count.
        start: where to begin; errors of some degrees and decimetres do not matter.
        config: see AdjustConfig.
        xyz: (M, J, 3) m where the joints begin; None: triangulated from ``start``.
        given: poses that are known to ``config.given_rotation_rad`` and ``given_position_m``; a second of one pose
            cannot overrule them, a minute of walking does. None: nothing is known.
        stages: most changes of the noise's scale, with a few steps each.

    Raises:
        CalibrationError: if no joint is seen by two cameras.
    """
    problem, at = _begin(views, start, config, xyz, given)
    damping, iterations = 1e-3, 0
    for stage in range(stages):
        before = problem.sigma_px
        problem.sigma_px = _noise_px(problem, at)
        settled = stage > 0 and abs(problem.sigma_px / before - 1.0) < 0.01
        at, damping, steps, converged = _descend(problem, at, damping)
        iterations += steps
        if settled and converged:
            break
    return _finish(problem, at, start, iterations)


def _begin(
    views: PoseViews, start: RigState, config: AdjustConfig, xyz: FloatArray | None, given: CameraRig | None
) -> tuple[_Problem, _Unknowns]:
    placed = triangulate(start, views) if xyz is None else xyz
    seen = np.isfinite(views.xy).all(-1) & (views.weight > 0.0)
    known = np.isfinite(placed).all(-1) & (seen.sum(0) >= 2)
    if not known.any():
        raise CalibrationError(
            'Not one joint is seen by two cameras at the same time; the cameras must see the same people together.'
        )
    used = seen & known
    parent, child = (np.array(ends, np.int64) for ends in zip(*BODY17.edges, strict=True))
    bones = bone_lengths(np.where(known[..., None], placed, np.nan), views.person)
    at = _Unknowns(
        start.cam_from_world[..., :3], start.cam_from_world[..., 3], [c.intrinsics for c in start.rig.cameras],
        np.array(start.offset_s), np.array(start.drift), np.where(known[..., None], placed, 0.0), bones,
    )
    return _Problem(views, Layout.of(config), config, at, parent, child, known, used, given), at


def bone_lengths(xyz: FloatArray, person: IntArray) -> FloatArray:
    """Return the median length (P, B) m of every person's bones over the poses (M, J, 3); 0.3 where never seen."""
    parent, child = (list(ends) for ends in zip(*BODY17.edges, strict=True))
    length = np.linalg.norm(xyz[:, child] - xyz[:, parent], axis=-1)
    bones = np.full((int(person.max()) + 1, len(parent)), 0.3)
    for p in range(len(bones)):
        own = length[person == p]
        seen = np.isfinite(own).any(0)
        if seen.any():
            bones[p, seen] = np.nanmedian(own[:, seen], axis=0)
    return bones


def _noise_px(problem: _Problem, at: _Unknowns) -> float:
    """Return the standard deviation (px) of a keypoint of weight 1, from the median of the residuals' lengths.

    Each joint takes 3 of the 2 C components to fit itself.
    """
    residuals = problem.keypoint_residuals(at)
    length = np.sqrt((residuals**2).sum(-1)) * problem.views.weight
    length = length[np.isfinite(length) & problem.used]
    components = 2.0 * problem.used.sum()
    free = components - 3.0 * problem.known.sum()
    # Median of a Rayleigh distribution: 1.1774 sigma.
    return max(float(np.median(length)) / 1.1774 * float(np.sqrt(components / max(free, 0.2 * components))), 1e-6)


def _descend(problem: _Problem, at: _Unknowns, damping: float) -> tuple[_Unknowns, float, int, bool]:
    """Take up to _STEPS Levenberg-Marquardt steps at a fixed noise; say whether the last one changed nothing."""
    cost = problem.cost(at)
    cameras, k = len(at.R), len(problem.layout)
    for step in range(_STEPS):
        normal = problem.normal(at)
        lower = cost
        for _ in range(6):
            S, pull, solved = normal.reduced(damping)
            index = np.arange(len(S))
            S[index, index] *= 1.0 + damping
            S[index, index] += 1e-12 * np.trace(S) / len(S)
            change = -np.linalg.solve(S, pull.sum(0) + normal.prior_pull)
            points = -(solved[..., -1] + solved[..., :-1] @ change).reshape(at.xyz.shape)
            points[~problem.known] = 0.0
            trial = at.moved(
                problem.layout, change[: cameras * k].reshape(cameras, k), points,
                change[cameras * k :].reshape(at.bones_m.shape),
            )
            lower = problem.cost(trial)
            if lower <= cost:
                break
            damping *= 8.0
        if not lower <= cost:
            return at, damping, step + 1, True
        at, gain, cost = trial, cost - lower, lower
        damping = max(damping / 4.0, 1e-9)
        if gain <= _CONVERGED * cost:
            return at, damping, step + 1, True
    return at, damping, _STEPS, False


def _finish(problem: _Problem, at: _Unknowns, start: RigState, iterations: int) -> Adjustment:
    normal = problem.normal(at)
    cameras = tuple(
        replace(camera, intrinsics=lens, cam_from_world=np.column_stack([R, t]))
        for camera, lens, R, t in zip(start.rig.cameras, at.lenses, at.R, at.t, strict=True)
    )
    state = RigState(CameraRig(cameras, start.rig.world_frame_id), at.offset_s, at.drift)
    covariance = _covariance(problem, normal, state, at)
    xyz = np.where(problem.known[..., None], at.xyz, np.nan)
    return Adjustment(
        state, xyz, at.bones_m, problem.sigma_px, covariance, problem.layout, iterations, normal.trust
    )


def gauge(state: RigState, layout: Layout) -> FloatArray:
    """Return (C * k, 7): how the cameras' unknowns change with rotation, translation and scale of the world.

    x_world' = (1 + s) (1 + [q]x) x_world + b leaves all pixels as they are.
    """
    k = len(layout)
    G = np.zeros((len(state.rig), k, _GAUGE))
    for c, camera in enumerate(state.rig.cameras):
        R, centre = camera.cam_from_world[:, :3], camera.position_m
        G[c, :3, :3] = -R
        x, y, z = centre
        G[c, 3:6, :3] = -R @ np.array([[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]])
        G[c, 3:6, 3:6] = -R
        G[c, 3:6, 6] = -R @ centre
    return G.reshape(-1, _GAUGE)


def _covariance(problem: _Problem, normal: _Normal, state: RigState, at: _Unknowns) -> FloatArray:
    """Return the covariance (C * k, C * k) of the cameras' unknowns in the world that fits them best.

    H^-1 B H^-1 with H the reduced normal matrix and B the covariance of the reduced pulls, with their correlation
    over up to a second (Newey & West, Econometrica 1987): a detector's error lasts, and a covariance that takes
    every picture for new information is several times too small.
    """
    S, pull, _ = normal.reduced(0.0)
    size = len(state.rig) * len(problem.layout)
    diagonal = np.diag(S)
    # What nothing says anything about (bones that are not used, clocks held fast) has no part in the inverse.
    free = (diagonal > 0.0) & (diagonal < 1e17)
    scale = np.where(free, 1.0 / np.sqrt(np.where(free, diagonal, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(S * scale[:, None] * scale)
    # Without given poses the world's seven dimensions are free.
    nothing = int((~free).sum()) + (_GAUGE if problem.given is None else 0)
    order = np.argsort(values)[nothing:]
    inverse = (vectors[:, order] / np.maximum(values[order], 1e-12)) @ vectors[:, order].T
    inverse *= scale[:, None] * scale
    B = _pull_covariance(problem.views.time_s, pull)
    # What is given beforehand is information too, and as uncertain as it says.
    prior = np.zeros(len(S))
    prior[:size] = problem._prior_information().ravel()
    prior[prior > 1e17] = 0.0
    B[np.arange(len(S)), np.arange(len(S))] += prior
    full = inverse @ B @ inverse / normal.slope**2
    covariance = full[:size, :size]
    G = gauge(state, problem.layout)
    metric = alignment_metric(state, at.xyz[problem.known], problem.layout)
    P = np.eye(size) - G @ np.linalg.solve((G * metric[:, None]).T @ G, (G * metric[:, None]).T)
    return np.asarray(P @ covariance @ P.T)


def alignment_metric(state: RigState, points: FloatArray, layout: Layout) -> FloatArray:
    """Return (C * k,) weights of the cameras' unknowns in an alignment: a rotation counts as what it moves (m)."""
    positions = np.stack([camera.position_m for camera in state.rig.cameras])
    lever_m = float(np.median(np.linalg.norm(positions - np.median(points, axis=0), axis=1)))
    metric = np.zeros((len(state.rig), len(layout)))
    metric[:, :3], metric[:, 3:6] = lever_m**2, 1.0
    return metric.ravel()


def _pull_covariance(time_s: FloatArray, pull: FloatArray) -> FloatArray:
    """Return (G, G): the covariance of the summed pulls (M, G), correlated over up to a second."""
    times, index = np.unique(time_s, return_inverse=True)
    instants = np.zeros((len(times), pull.shape[1]))
    np.add.at(instants, index, pull)
    instants -= instants.mean(0)
    own = instants.T @ instants
    kernel = np.maximum(1.0 - np.abs(times[:, None] - times) / _MEMORY_S, 0.0)
    B = instants.T @ kernel @ instants
    # As many independent instants as the correlation leaves; every unknown takes one of them.
    positive = np.diag(own) > 0.0
    repeats = max(float(np.median(np.diag(B)[positive] / np.diag(own)[positive])), 1.0) if positive.any() else 1.0
    independent = len(times) / repeats
    free = max(independent - float(positive.sum()), 0.25 * independent)
    return np.asarray(B * (independent / free))
