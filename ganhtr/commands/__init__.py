"""The command line of the package: `python -m ganhtr …`. One file a command; typer and rich are used here and nowhere else in ganhtr."""
