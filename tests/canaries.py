"""Secrets that are easy to recognise, and a search for them in every form that text takes on its way into a file."""
import base64
import io
import urllib.parse
from pathlib import Path

import zstandard


def forms(text):
    """Bytes whose presence shows that the text got there, by the name of the form: plain, hexadecimal, base 64 at each
    of its three alignments, URL-encoded, as JSON escapes it."""
    raw = text if isinstance(text, bytes) else text.encode()
    found = {"plain": raw, "hexadecimal": raw.hex().encode(), "HEXADECIMAL": raw.hex().upper().encode(),
             "URL-encoded": urllib.parse.quote_from_bytes(raw, safe="").encode(),
             "JSON": raw.replace(b"/", b"\\/")}
    for shift in range(3):
        skipped = (4 * shift + 2) // 3                  # characters that hold bits of what stands before
        encoded = base64.b64encode(bytes(shift) + raw)
        part = encoded[skipped + bool(shift):len(encoded) - 4]     # and the last ones, of what stands behind
        found[f"base 64 after {shift}"] = part
        found[f"base 64 for URLs after {shift}"] = part.replace(b"+", b"-").replace(b"/", b"_")
    return found


def hits(canaries, outputs):
    """(output, canary, form) of everything that leaked; both arguments by name."""
    return [(where, name, form) for where, content in outputs.items() for name, text in canaries.items()
            for form, needle in forms(text).items() if needle in content]


def contents(folder):
    """What every file below a folder holds, by its path; what is compressed is unpacked."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            found[str(path)] = raw = path.read_bytes()
            if path.suffix == ".zst":
                with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw), read_across_frames=True) as reader:
                    found[f"{path} unpacked"] = reader.read()
    return found
