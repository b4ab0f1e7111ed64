"""Plays a pnode in a guest: makes the links of a plan, or takes them down.  `pnode.py make|remove PLAN.json`"""

import sys
from pathlib import Path

from benito.plan import PnodePlan
from benito_netplan.driver import KernelLinkDriver


def main(what: str, path: str) -> None:
    plan, driver = PnodePlan.from_json(Path(path).read_bytes()), KernelLinkDriver()
    if what == "remove":
        driver.remove(plan.experiment, plan.group)
        return
    if lacks := driver.lacks(plan):
        sys.exit("\n".join(map(str, lacks)))
    driver.apply(plan, driver.changes(plan))
    if left := driver.changes(plan):
        sys.exit("\n".join(map(str, left)))


if __name__ == "__main__":
    main(*sys.argv[1:])
