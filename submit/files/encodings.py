"""What a file is that was expected to be text in UTF-8, and what would mend it."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_OTHERS = (
    (b"PK\x03\x04", "a zip, or a workbook of Excel: save it as `CSV UTF-8`"),
    (b"\xd0\xcf\x11\xe0", "an old workbook of Excel: save it as `CSV UTF-8`"),
    (b"PAR1", "Parquet: call it .parquet"),
    (b"\x1f\x8b", "packed with gzip: unpack it"),
    (b"BZh", "packed with bzip2: unpack it"),
    (b"\xfd7zXZ", "packed with xz: unpack it"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd: unpack it"),
)


def of_undecoded(error: UnicodeDecodeError) -> str:
    """In a clause, of what failed to be read as UTF-8: by the first bytes, else by the one that fits no UTF-8."""
    head = bytes(error.object[:8])
    if head.startswith(_UTF_16):
        return f"it is UTF-16, as Excel's `Unicode text`: {_again('utf-16')}"
    for start, words in _OTHERS:
        if head.startswith(start):
            return f"it is {words}"
    if wide := of_nul(bytes(error.object[:60]).decode("latin1")):
        return wide
    return f"{error}; if it comes from a spreadsheet, perhaps {_again('cp1252')}"


def of_nul(text: str) -> str | None:
    """In a clause, of a header: what it is where every other character is a NUL, as of UTF-16 read as UTF-8."""
    if text.count("\0") < len(text) // 3 or "\0" not in text:
        return None
    order = "utf-16-be" if text.startswith("\0") else "utf-16-le"
    return f"it is UTF-16: {_again(order)}"


def _again(encoding: str) -> str:
    return f"pandas.read_csv(PATH, encoding={encoding!r}, dtype=str).to_csv(PATH, index=False) rewrites it"
