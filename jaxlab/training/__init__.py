"""Training: state, the step, its layout over devices, the loop, checkpoints."""
