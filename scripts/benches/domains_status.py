"""How long it takes to find out how an experiment's nodes are: domains_status.py PROJ/EXP. Prints JSON; root.

`first` is from the store to the answer in a process that has done nothing yet, `again` the least of five more; what
starting Python and importing takes is left out.
"""

import json
import sys
import time

from benito.names import ExperimentId
from benito_cli.wiring import local_controller


def main() -> None:
    """The command line."""
    experiment = ExperimentId.parse(sys.argv[1])
    controller = local_controller()
    times = []
    for _ in range(6):
        begin = time.monotonic()
        nodes = sum(len(found) for found in controller.status(experiment).values())
        times.append(time.monotonic() - begin)
    sys.stdout.write(json.dumps({"first": times[0], "again": min(times[1:]), "nodes": nodes}) + "\n")


if __name__ == "__main__":
    main()
