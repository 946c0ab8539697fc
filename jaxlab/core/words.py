"""Numbers with their nouns."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 pair`, `1,234 pairs`. many: what several are called, `one` with an s unless given."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
