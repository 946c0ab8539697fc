"""`python -m jaxlab`, where the script is not on the path."""

from jaxlab.cli.main import main

if __name__ == "__main__":
    main(prog_name="python -m jaxlab")
