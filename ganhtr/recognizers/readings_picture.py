"""A picture of readings: lines of a split, clean and degraded, with transcription and readings.

Errors are red; a red triangle marks missing characters. All lengths are in pixels.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ganhtr.recognizers.readings import IMAGES, Readings

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

# the first one that is installed is used
FACES = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")
BLACK, RED, GREY = (0, 0, 0), (200, 0, 0), (110, 110, 110)
MARGIN, LEFT = 16, 96  # around a line's block; width of the labels on its left
_NONCHARACTER = "\U0010fffe"  # a code point for which no font has a glyph
# pieces of a reading, each with whether it is wrong; an empty wrong piece marks missing characters
Spans = list[tuple[str, bool]]


@dataclass(frozen=True)
class Script:
    """A font that writes any text: missing or invisible characters appear as code points."""

    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    height: int
    _known: dict[str, str] = field(default_factory=lambda: {" ": " "}, repr=False)

    @classmethod
    def of(cls, height: int) -> Script:
        """Load an installed font, or Pillow's own."""
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
        """Return the character, or its code point in angle brackets."""
        if character not in self._known:
            visible = character.isprintable() and self._has(character)
            self._known[character] = character if visible else f"<{ord(character):X}>"
        return self._known[character]

    def _has(self, character: str) -> bool:
        try:
            mask, missing = self.font.getmask(character), self.font.getmask(_NONCHARACTER)
        except (UnicodeError, ValueError, OSError):  # Pillow's bitmap font has 256 characters
            return character.isascii()
        return any(bytes(mask)) and (mask.size, bytes(mask)) != (missing.size, bytes(missing))

    def write(self, draw: ImageDraw.ImageDraw, x: int, y: int, spans: Spans, right: int) -> None:
        """Draw the pieces one after another; "..." marks a text that is cut off at `right`."""
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
                    base = y + self.height * 1.2
                    draw.line((at, base, at + width, base), fill=RED, width=2)
                draw.text((at, y), glyph, fill=RED if wrong else BLACK, font=self.font)
                at += width


def spans_of(transcript: str, reading: str) -> Spans:
    """Split a reading into correct and wrong pieces; an empty one marks missing characters."""
    spans: Spans = []
    matcher = difflib.SequenceMatcher(None, transcript, reading, autojunk=False)
    for kind, start, end, read_start, read_end in matcher.get_opcodes():
        piece = reading[read_start:read_end]
        if kind == "equal":
            spans.append((piece, False))
        else:
            spans += [(piece, True)] if piece else []
            spans += [("", True)] if end - start > len(piece) else []
    return spans


def readings_picture(readings: Readings, title: str, count: int = 12) -> Image.Image:
    """Draw `count` lines, spread evenly over the split, in two columns under a title."""
    from PIL import Image, ImageDraw

    lines = readings.lines
    chosen = np.unique(np.linspace(0, len(lines) - 1, min(count, len(lines))).round().astype(int))
    height, width = lines.clean.shape[1:]
    scale = max(1, 64 // height)
    script = Script.of(min(22, max(15, height * scale // 4)))
    row = script.height * 7 // 4
    # a block is a line's transcription, and both of its images, each above its reading
    block_width = LEFT + width * scale + 2 * MARGIN
    block_height = 2 * height * scale + 3 * row + 2 * MARGIN
    rows = -(-len(chosen) // 2)
    size = (block_width * min(2, len(chosen)), block_height * rows + row + MARGIN)
    sheet = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    script.write(draw, MARGIN, MARGIN, [(title, False)], sheet.width)
    for place, line in enumerate(chosen.tolist()):
        left = place % 2 * block_width + MARGIN
        top = place // 2 * block_height + row + 2 * MARGIN
        _draw_line(sheet, draw, script, readings, line, (left, top), scale)
    return sheet


def _draw_line(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    script: Script,
    readings: Readings,
    line: int,
    corner: tuple[int, int],
    scale: int,
) -> None:
    """Draw a line: its transcription, then each image above its reading."""
    from PIL import Image

    lines, row = readings.lines, script.height * 7 // 4
    transcript = lines.transcripts[line]
    left, y = corner
    text_left = left + LEFT
    right = text_left + lines.clean.shape[2] * scale
    script.write(draw, left, y, [("text", False)], text_left)
    script.write(draw, text_left, y, [(transcript, False)], right)
    y += row
    for name in IMAGES:
        image = Image.fromarray(getattr(lines, name)[line, :, : lines.widths[line]])
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.LANCZOS)
        sheet.paste(image, (text_left, y))
        middle = y + image.height // 2 - script.height // 2
        draw.text((left, middle), name, fill=GREY, font=script.font)
        y += image.height
        cer = readings.errors[name].line_cer[line]
        draw.text((left, y), f"CER {cer:.0%}", fill=GREY, font=script.font)
        script.write(draw, text_left, y, spans_of(transcript, readings.texts[name][line]), right)
        y += row
