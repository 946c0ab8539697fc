"""What a command brings to each run that it trains."""

from rich.console import Console

from jaxlab.training.budget import Budget


class Session:
    """Where a run is told of, and the time that it has. title: said before each of its epochs.

    began: the budget's time at which the run came up.
    """

    def __init__(self, console: Console | None = None, budget: Budget | None = None, title: str = ""):
        self.console = console or Console(stderr=True)
        self.budget = budget or Budget()
        self.title = title
        self.began = self.budget.used

    def tell(self, text: str) -> None:
        """A plain line, as it is: no markup in paths, no breaks in a log."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
