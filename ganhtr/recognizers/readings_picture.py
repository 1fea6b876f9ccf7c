"""A picture of readings: some lines of a split, clean and degraded, each with what was read of it and what should have been.

What is wrong in a reading is red; a red wedge stands where characters are missing. Lengths are in pixels.
"""

from __future__ import annotations

import difflib
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ganhtr.recognizers.readings import IMAGES, Readings

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

FACES = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
)  # the first that the machine has
BLACK, RED, GREY = (0, 0, 0), (200, 0, 0), (110, 110, 110)
MARGIN, LEFT = 16, 96  # around a line's block; what the names on its left take
_NOWHERE = "\U0010fffe"  # a code point that no font may give a glyph
Spans = list[
    tuple[str, bool]
]  # pieces of a text, each with whether it is wrong; an empty piece that is wrong stands for a lack


@dataclass(frozen=True)
class Script:
    """Writes any text: what the font lacks, or what cannot be seen, is written as its code point."""

    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    height: int
    _known: dict[str, str] = field(default_factory=lambda: {" ": " "}, repr=False)

    @classmethod
    def of(cls, height: int) -> Script:
        """A font of the machine, else the one that Pillow brings."""
        from PIL import ImageFont

        for face in FACES:
            try:
                return cls(
                    ImageFont.truetype(face, height, layout_engine=ImageFont.Layout.BASIC), height
                )
            except OSError:
                continue
        return cls(ImageFont.load_default(height), height)

    def shown(self, character: str) -> str:
        """The character, or its code point in angle brackets."""
        if character not in self._known:
            visible = character.isprintable() and self._has(character)
            self._known[character] = character if visible else f"<{ord(character):X}>"
        return self._known[character]

    def _has(self, character: str) -> bool:
        try:
            mask, missing = self.font.getmask(character), self.font.getmask(_NOWHERE)
        except (UnicodeError, ValueError, OSError):  # Pillow's bitmap font has 256 characters
            return character.isascii()
        return any(bytes(mask)) and (mask.size, bytes(mask)) != (missing.size, bytes(missing))

    def write(self, draw: ImageDraw.ImageDraw, x: int, y: int, spans: Spans, right: int) -> None:
        """The pieces one after another, as far as `right`; a cut is marked by dots."""
        at = float(x)
        for text, wrong in spans:
            if wrong and not text:
                base = y + self.height * 1.25
                draw.polygon([(at - 3, base + 3), (at + 3, base + 3), (at, base - 4)], fill=RED)
            for character in text:
                glyph = self.shown(character)
                width = self.font.getlength(glyph)
                if at + width > right - self.height:
                    draw.text((at, y), "...", fill=GREY, font=self.font)
                    return
                if wrong and glyph == " ":
                    draw.line(
                        (at, y + self.height * 1.2, at + width, y + self.height * 1.2),
                        fill=RED,
                        width=2,
                    )
                draw.text((at, y), glyph, fill=RED if wrong else BLACK, font=self.font)
                at += width


def spans_of(transcript: str, reading: str) -> Spans:
    """A reading in pieces, right and wrong, with an empty wrong piece wherever characters of the transcription are missing."""
    spans: Spans = []
    for kind, i, j, k, m in difflib.SequenceMatcher(
        None, transcript, reading, autojunk=False
    ).get_opcodes():
        if kind == "equal":
            spans.append((reading[k:m], False))
        else:
            spans += [(reading[k:m], True)] if m > k else []
            spans += [("", True)] if j - i > m - k else []
    return spans


def readings_picture(readings: Readings, title: str, count: int = 12) -> bytes:
    """A PNG of `count` lines spread evenly over the split, in two columns, under a title."""
    from PIL import Image, ImageDraw

    lines = readings.lines
    chosen = np.unique(np.linspace(0, len(lines) - 1, min(count, len(lines))).round().astype(int))
    height, width = lines.clean.shape[1:]
    scale = max(1, 64 // height)
    script = Script.of(min(22, max(15, height * scale // 4)))
    row = script.height * 7 // 4
    block = (LEFT + width * scale + 2 * MARGIN, 2 * height * scale + 3 * row + 2 * MARGIN)
    rows = -(-len(chosen) // 2)
    sheet = Image.new(
        "RGB", (block[0] * min(2, len(chosen)), block[1] * rows + row + MARGIN), (255, 255, 255)
    )
    draw = ImageDraw.Draw(sheet)
    script.write(draw, MARGIN, MARGIN, [(title, False)], sheet.width)
    for place, line in enumerate(chosen.tolist()):
        left, top = place % 2 * block[0] + MARGIN, place // 2 * block[1] + row + 2 * MARGIN
        _draw_line(sheet, draw, script, readings, line, (left, top), scale)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def _draw_line(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    script: Script,
    readings: Readings,
    line: int,
    corner: tuple[int, int],
    scale: int,
) -> None:
    """One line: its transcription, then each image over its reading."""
    from PIL import Image

    lines, row = readings.lines, script.height * 7 // 4
    (left, y), text = corner, corner[0] + LEFT
    right = text + lines.clean.shape[2] * scale
    script.write(draw, left, y, [("text", False)], text)
    script.write(draw, text, y, [(lines.transcripts[line], False)], right)
    y += row
    for image in IMAGES:
        picture = Image.fromarray(getattr(lines, image)[line, :, : lines.widths[line]])
        picture = picture.resize(
            (picture.width * scale, picture.height * scale), Image.Resampling.LANCZOS
        )
        sheet.paste(picture, (text, y))
        draw.text(
            (left, y + picture.height // 2 - script.height // 2), image, fill=GREY, font=script.font
        )
        y += picture.height
        draw.text(
            (left, y),
            f"CER {readings.errors[image].line_cer[line]:.0%}",
            fill=GREY,
            font=script.font,
        )
        script.write(
            draw, text, y, spans_of(lines.transcripts[line], readings.texts[image][line]), right
        )
        y += row
