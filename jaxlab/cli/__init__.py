"""The command line: click commands that parse, call and print."""
