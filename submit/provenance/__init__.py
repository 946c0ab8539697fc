"""What a submission was made of: recorded beside it, read back, explained."""

from submit.provenance.record import Kept, keep, read, sidecar

__all__ = ["Kept", "keep", "read", "sidecar"]
