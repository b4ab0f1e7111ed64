"""An SVG as PNG, by resvg: a library without system packages. It needs a font, since a fresh Debian has none."""

from pathlib import Path

import resvg_py

from benito.errors import UsageError

#: Where distributions put the font that widths are counted with.
FONTS = (
    Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    Path("/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf"),
    Path("/usr/share/fonts/TTF/DejaVuSans.ttf"),
)
#: Small pictures are drawn larger than life, very large ones smaller: many programs show no larger ones.
_LARGEST_ZOOM, _MOST_PIXELS, _LONGEST_SIDE = 2.0, 9_000_000, 8000


def to_png(svg: bytes, width: float, height: float) -> bytes:
    """The picture as PNG: twice as many pixels as units a side, but 9 million pixels and 8,000 a side at most.

    `width` and `height` are the SVG's, in units. Raises UsageError where there is no font to write names with.
    """
    font = next((path for path in FONTS if path.is_file()), None)
    if font is None:
        raise UsageError(
            "the font DejaVu Sans is not installed, so a PNG would have no names",
            hint="apt-get install fonts-dejavu-core, or write an .svg",
        )
    zoom = min(_LARGEST_ZOOM, (_MOST_PIXELS / (width * height)) ** 0.5, _LONGEST_SIDE / max(width, height))
    # One side only: the other follows, and would be off by a pixel where both were given.
    return resvg_py.svg_to_bytes(
        svg_string=svg.decode(),
        width=int(width * zoom) if width >= height else None,
        height=int(height * zoom) if width < height else None,
        skip_system_fonts=True,
        font_files=[str(font)],
    )
