"""Several processes that train as one: see `join`."""

from jaxlab.training.hosts.group import Agreement, Group
from jaxlab.training.hosts.join import AUTO, Abandoned, current, explained, failed, join, leave
from jaxlab.training.hosts.unwritten import Unwritten
from jaxlab.training.hosts.watch import leave_at_once

__all__ = [
    "AUTO",
    "Abandoned",
    "Agreement",
    "Group",
    "Unwritten",
    "current",
    "explained",
    "failed",
    "join",
    "leave",
    "leave_at_once",
]
