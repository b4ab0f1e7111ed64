"""Whether a running experiment's links do as asked: delay, jitter, loss and rate, measured with datagrams of our own.

`ways` says what is measured and how, `figures` makes numbers of what was seen, `verdicts` judges them, `run` does it
all on the pnodes. Only `run` knows of node managers; the rest is pure. docs/linktest.md is the manual.
"""

from benito.linktest.results import Finding, LinkTest, Outcome, Quantity, WayResult

__all__ = ["Finding", "LinkTest", "Outcome", "Quantity", "WayResult"]
