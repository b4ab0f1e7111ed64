"""PNGs: what they are, how large, and what is said where they cannot be."""

import struct
from pathlib import Path

import pytest
from pictures import drawing

from benito.errors import UsageError
from benito.picture import png
from benito.picture.layout import lay_out
from benito.picture.svg import Page, render


def page(count: int = 3) -> Page:
    of = drawing([f"n-{at}" for at in range(count)], {f"l{at}": f"n-{at} n-{at + 1}" for at in range(count - 1)})
    return render(of, lay_out(of))


def size_of(data: bytes) -> tuple[int, int]:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def test_a_small_picture_is_twice_its_size() -> None:
    one = page()
    width, height = size_of(png.to_png(one.svg, one.width, one.height))
    assert (width, height) == (pytest.approx(one.width * 2, abs=1), pytest.approx(one.height * 2, abs=1))


@pytest.mark.parametrize(("width", "height"), [(60_000, 40_000), (200_000, 10), (10, 200_000)])
def test_a_large_one_is_limited(width: int, height: int) -> None:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"/>'.encode()
    found = size_of(png.to_png(svg, width, height))
    assert max(found) <= 8000
    assert found[0] * found[1] <= 9_010_000


def test_names_are_really_written() -> None:
    one = page()
    nameless = one.svg.replace(b"<text", b"<g").replace(b"</text>", b"</g>")
    assert png.to_png(one.svg, one.width, one.height) != png.to_png(nameless, one.width, one.height)


def test_without_a_font_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "FONTS", (Path("/nowhere/font.ttf"),))
    with pytest.raises(UsageError) as caught:
        png.to_png(b"", 1, 1)
    assert "fonts-dejavu-core" in (caught.value.hint or "")
