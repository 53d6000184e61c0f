"""The command line: options to one configuration to one pipeline call to a table and an exit code."""
