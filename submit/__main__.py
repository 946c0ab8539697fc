"""`python -m submit`."""

from submit.cli.main import main

if __name__ == "__main__":
    main(prog_name="python -m submit")
