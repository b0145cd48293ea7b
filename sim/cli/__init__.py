"""The command line: thin, without model logic."""
