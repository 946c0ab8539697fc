"""The registry: runs and their checkpoints in a database, made of run directories, which stay the truth."""
