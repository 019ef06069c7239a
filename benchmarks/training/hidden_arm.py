"""How well can a whole hidden arm be known? From the true 3D of all other joints, as no camera ever has it.

Networks read the true joints without the left arm, about the pelvis and turned to the hips, and learn shoulder, elbow
and wrist from mocap17's training clips, mirrored as well. The errors are those on the validation clips at the end of
training: of four networks, and of their mean. A lifter has less to go by: noisy 2D. Needs torch.

    python benchmarks/training/hidden_arm.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from geo_pose_training.data.bank import mirror
from numpy.typing import NDArray

from benchmarks.harness import SHARED_DATA, parser_of
from geo_pose_ros.simulation.motion_files import load_motion
from geo_pose_ros.skeleton import BODY17

ARM = [BODY17.index(f'left_{joint}') for joint in ('shoulder', 'elbow', 'wrist')]
REST = [joint for joint in range(len(BODY17)) if joint not in ARM]
NETWORKS = 4
WIDTH, STEPS, BATCH, DROPOUT, JITTER = 512, 3000, 256, 0.5, 0.1


def body_frames(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (F, 3, 3) rotations about the vertical that turn the left hip of joints (F, 17, 3) to +x."""
    x, y, _ = (joints[:, BODY17.index('left_hip')] - joints[:, BODY17.index('right_hip')]).T
    c, s = np.array((x, y)) / np.hypot(x, y)
    o, i = np.zeros_like(c), np.ones_like(c)
    return np.stack((np.stack((c, s, o), -1), np.stack((-s, c, o), -1), np.stack((o, o, i), -1)), 1)


def examples(clips: Sequence[NDArray[np.float64]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what is known (N, 14 * 3) and the arm (N, 9) of all frames of clips (F, 17, 3)."""
    joints = np.concatenate(clips)
    local = np.einsum('fab,fjb->fja', body_frames(joints), joints - joints[:, :1])
    flat = torch.from_numpy(local).float()
    return flat[:, REST].flatten(1), flat[:, ARM].flatten(1)


def predict_arm(known: torch.Tensor, arm: torch.Tensor, asked: torch.Tensor, seed: int) -> torch.Tensor:
    """Return the arms (M, 9) that a network trained on ``known`` (N, 42) and ``arm`` (N, 9) gives for ``asked``."""
    torch.manual_seed(seed)
    mean, spread = known.mean(0), known.std(0) + 1e-3
    known, asked = (known - mean) / spread, (asked - mean) / spread
    layers: list[torch.nn.Module] = []
    for inputs in (known.shape[1], WIDTH):
        layers += [torch.nn.Linear(inputs, WIDTH), torch.nn.ReLU(), torch.nn.Dropout(DROPOUT)]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, arm.shape[1]))
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-2)
    for _ in range(STEPS):
        rows = torch.randint(len(known), (BATCH,))
        given = known[rows] + JITTER * torch.randn(BATCH, known.shape[1])
        loss = (network(given) - arm[rows]).unflatten(-1, (3, 3)).norm(dim=-1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    with torch.no_grad():
        found: torch.Tensor = network(asked)
    return found


def main() -> int:
    """Print the errors of a constant arm, of one frame and of a window."""
    parser = parser_of(__doc__)
    parser.add_argument('--motion', type=Path, default=SHARED_DATA / 'mocap17.npz')
    clips = load_motion(parser.parse_args().motion)
    train = [clip.joints for clip in clips if not clip.validation]
    both = torch.ones(1, 1, dtype=torch.bool)
    train += [mirror(torch.from_numpy(joints)[None, None], both)[0, 0].numpy() for joints in train]
    known, arm = examples(train)
    asked, truth = examples([clip.joints for clip in clips if clip.validation])
    found = [predict_arm(known, arm, asked, seed) for seed in range(NETWORKS)]
    rows = {
        'the same arm always': arm.median(0).values.expand_as(truth),
        **{f'network {seed}': arms for seed, arms in enumerate(found)},
        'mean of the networks': torch.stack(found).mean(0),
    }
    print('mm from the true 3D of all other joints      arm  shoulder  elbow  wrist')
    for name, arms in rows.items():
        errors = 1e3 * (arms - truth).unflatten(-1, (3, 3)).norm(dim=-1).mean(0)
        print(f'{name:<42} {errors.mean():6.1f}  {errors[0]:8.1f} {errors[1]:6.1f} {errors[2]:6.1f}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
