"""What a map says of its lines: speeds, losses, and delays from where their ends lie."""

import math
from collections.abc import Mapping, Sequence

from benito.model import Shaping
from benito.topology.importers.tally import Tally
from benito.topology.quantities import (
    LEAST_RATE_KBPS,
    MOST_RATE_KBPS,
    Rejection,
    bandwidth_kbps,
    delay_ms,
    loss_ratio,
)

#: Latitude and longitude in degrees.
Place = tuple[float, float]

#: Light in fibre, as maps of real networks are usually timed.
KM_PER_SECOND = 200_000
_EARTH_KM = 6371.0


def distance_km(first: Place, second: Place) -> float:
    """The way along a great circle between two places."""
    lat1, lon1, lat2, lon2 = map(math.radians, (*first, *second))
    chord = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(chord)))


def place_of(data: Mapping[str, str], name: str, tally: Tally) -> Place | None:
    """A node's coordinates, where both are there and on this earth."""
    try:
        latitude, longitude = float(data["Latitude"]), float(data["Longitude"])
    except KeyError:
        return None
    except ValueError:
        latitude = longitude = math.nan
    # Written so that what is not a number is refused too.
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        tally.add("coordinates that are none are left out", name)
        return None
    return latitude, longitude


def line_shaping(data: Mapping[str, str], places: Sequence[Place], tally: Tally) -> Shaping:
    """What a line does on its whole way: `LinkSpeedRaw` (bit/s), or `bandwidth`, `delay`, `latency` with units; `loss`.

    A delay that is not said comes from the places of both ends, in whole microseconds, an even number of them.
    """
    loss = 0.0
    if "loss" in data:
        try:
            loss = loss_ratio(data["loss"])
        except Rejection:
            tally.add("losses that cannot be read are left out", data["loss"])
    return Shaping(rate_kbps=_rate_kbps(data, tally), delay_us=_delay_us(data, places, tally), loss_ratio=loss)


def _rate_kbps(data: Mapping[str, str], tally: Tally) -> int | None:
    word = data.get("LinkSpeedRaw")
    if word is None:
        if "bandwidth" not in data:
            tally.add("links without a speed are not limited")
            return None
        try:
            return bandwidth_kbps(_with_unit(data["bandwidth"]))
        except Rejection:
            tally.add("speeds that cannot be read are left out", data["bandwidth"])
            return None
    try:
        bits = float(word)
    except ValueError:
        bits = math.nan
    if not (math.isfinite(bits) and bits > 0):
        tally.add("speeds that cannot be read are left out", word)
        return None
    rate = round(bits / 1000)
    kept = min(max(rate, LEAST_RATE_KBPS), MOST_RATE_KBPS)
    if kept != rate:
        bounds = f"{LEAST_RATE_KBPS} kbit/s to {MOST_RATE_KBPS // 10**6} Gbit/s"
        tally.add(f"speeds outside {bounds} are set to the nearest", f"{rate} kbit/s")
    return kept


def _delay_us(data: Mapping[str, str], places: Sequence[Place], tally: Tally) -> int:
    for key in ("delay", "latency"):
        if key in data:
            try:
                return delay_ms(_with_unit(data[key])) * 1000
            except Rejection:
                tally.add("delays that cannot be read are left out", data[key])
    if len(places) != 2:
        tally.add("links with an end without coordinates have no delay")
        return 0
    return 2 * round(distance_km(*places) / KM_PER_SECOND * 1_000_000 / 2)


def _with_unit(word: str) -> str:
    """The word, where it says its unit. Raises Rejection: a bare number means something else in every tool."""
    if not word.strip()[-1:].isalpha():
        raise Rejection(f"{word[:80]} has no unit")
    return word
