"""libvirt's schema of domains, read once: libvirtd reads it anew for every domain, which takes 6 ms each time."""

import re
import threading
from functools import cache
from pathlib import Path

from lxml import etree

SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
_LOCK = threading.Lock()


@cache
def domain_schema() -> etree.RelaxNG | None:
    """The schema; None where it is not installed, or of a kind that lxml cannot read."""
    try:
        return etree.RelaxNG(file=str(SCHEMA)) if SCHEMA.exists() else None
    except etree.LxmlError:
        return None


def follows_schema(xml: str) -> bool:
    """Whether a domain is known to be valid; False also where there is no schema."""
    return domain_schema() is not None and not schema_errors(xml)


def schema_errors(xml: str) -> list[str]:
    """What the schema has against a domain, the innermost first; nothing where there is no schema."""
    with _LOCK:  # what a schema says stands in itself
        schema = domain_schema()
        if schema is None or schema.validate(etree.fromstring(xml)):
            return []
        said = [re.sub(r"\s+", " ", str(entry.message)) for entry in schema.error_log]
    return list(dict.fromkeys(said)) or ["it is not valid"]
