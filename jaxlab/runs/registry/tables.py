"""The tables of the registry, as SQLAlchemy Core has them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA = 1
METADATA = MetaData()

ABOUT = Table("about", METADATA, Column("schema", Integer, nullable=False))

RUN = Table(
    "run",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("path", Text, nullable=False, unique=True),  # as `Place.name` has it
    Column("study", Text),
    Column("kind", String(200), nullable=False),
    Column("config", JSON, nullable=False),
    Column("data", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("steps", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("metric", String(200), nullable=False),
    Column("created", Float, nullable=False),
    Column("beat", Float, nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
)

# owner: of the claim, where it is validating; beat: when that was last heard of. error: why it could not be validated.
SNAPSHOT = Table(
    "snapshot",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run", ForeignKey("run.id", ondelete="CASCADE"), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("path", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("digest", String(128), nullable=False),
    Column("scores", JSON, nullable=False),
    Column("made", Float, nullable=False),
    Column("owner", String(64)),
    Column("host", String(255)),
    Column("pid", Integer),
    Column("beat", Float),
    Column("error", Text),
    UniqueConstraint("run", "step"),
)
Index("snapshot_status", SNAPSHOT.c.status, SNAPSHOT.c.id)  # which wait
Index("snapshot_of_run", SNAPSHOT.c.run, SNAPSHOT.c.status)  # the best of each run
