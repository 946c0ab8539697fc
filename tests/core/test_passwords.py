import pytest

from jaxlab.core.passwords import has_password, without_passwords


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s3cret@host/db", "postgresql://me:***@host/db"),
        ("postgresql+psycopg://me:aB3/s3cret+Q=@host:5432/db", "postgresql+psycopg://me:***@host:5432/db"),
        ("postgresql://me:s3@cret@host/db", "postgresql://me:***@host/db"),
        (
            "postgresql://host:5432/db?user=me&password=s3@cret&sslmode=require",
            "postgresql://host:5432/db?user=me&password=***&sslmode=require",
        ),
        ("--storage=postgresql:///db?sslPassword=s3cret", "--storage=postgresql:///db?sslPassword=***"),
        ("postgresql://me@host:5432/db?host=/run", "postgresql://me@host:5432/db?host=/run"),
        ("sqlite:////folder/a:b@c/trials.db", "sqlite:////folder/a:b@c/trials.db"),
        ("s3://bucket/run@2", "s3://bucket/run@2"),
    ],
)
def test_passwords_are_left_out_and_nothing_else(url, shown):
    assert without_passwords(url) == shown
    assert without_passwords(shown) == shown


@pytest.mark.parametrize(
    ("url", "has"),
    [
        ("s3://me:aB3/s3cret@bucket/run", True),
        ("sftp://me:s3cret@host:22/run", True),
        ("https://host/run?token=s3cret", True),
        ("sftp://host:22/runs/me@lab", False),
        ("s3://bucket/run@2", False),
        ("gs://bucket/a:b", False),
    ],
)
def test_a_port_is_no_password(url, has):
    assert has_password(url) == has
