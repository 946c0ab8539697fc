"""What a server takes, and what it says of more."""

from dataclasses import dataclass

from jaxlab.core.types import UserError

MEGA = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """request: bytes of a request. images: in a request. pixels: of an image, looked at before it is decoded.

    waiting: images in hand at a time, from when they are received until they are answered. received: bytes of requests
    in hand, while images are not decoded. batch: images that are predicted at a time. wait: seconds that the first of
    a batch waits for others. patience: seconds until a request must be there.
    """

    request: int = 20 * MEGA
    images: int = 64
    pixels: int = 50 * MEGA
    waiting: int = 256
    received: int = 400 * MEGA
    batch: int = 16
    wait: float = 0.005
    patience: float = 60.0

    def __post_init__(self) -> None:
        for name in ("request", "images", "pixels", "waiting", "received", "batch", "patience"):
            if getattr(self, name) < 1:
                raise UserError(f"limits.{name}: expected 1 or more, found {getattr(self, name)}")
        if self.wait < 0:
            raise UserError(f"limits.wait: expected 0 seconds or more, found {self.wait}")
        if self.images > self.waiting:
            raise UserError(
                f"limits: expected room for the {self.images} images of a request, found {self.waiting} waiting"
            )
        if self.request > self.received:
            raise UserError(
                f"limits: expected room for the {self.request:,} bytes of a request, found {self.received:,} received"
            )


class Refused(Exception):
    """A request that gets no prediction. status: of HTTP. retry: seconds after which it may be sent again."""

    def __init__(self, status: int, message: str, retry: int | None = None):
        super().__init__(message)
        self.status, self.retry = status, retry


class Held:
    """Counts what is in hand of something, up to `most`; beyond, nothing waits: it is refused."""

    def __init__(self, most: int, noun: str):
        self.most, self.noun, self.count = most, noun, 0

    def take(self, count: int) -> None:
        """Raises Refused, to be sent again, where there is no room."""
        if self.count + count > self.most:
            raise Refused(
                503, f"busy: {self.count:,} {self.noun} are in hand, of {self.most:,} at most", retry=1
            )
        self.count += count

    def give(self, count: int) -> None:
        """Makes room again."""
        self.count -= count
