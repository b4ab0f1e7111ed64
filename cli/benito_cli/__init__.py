"""The command line: typer commands, rich output, and the wiring that alone constructs drivers.

May import everything; nothing imports it. `benito --help` loads typer and rich only.
"""
