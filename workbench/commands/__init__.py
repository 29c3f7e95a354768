"""What each word of the `workbench` command does; `workbench/cli.py` only reads the command line."""
