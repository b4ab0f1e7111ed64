"""One module per verb, thin: takes options, calls the controller, prints.

They import the core's heavy parts and `benito_cli.wiring` inside their functions, so that `--help` stays quick.
"""
