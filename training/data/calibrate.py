def with_extrinsics_from_joints(sequence, seed): raise NotImplementedError
