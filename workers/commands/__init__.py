"""What the command line does, a module a command; `workers.cli` only reads the arguments."""
