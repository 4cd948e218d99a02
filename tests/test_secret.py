"""What Python can learn of a secret: nothing."""
import base64
import copy
import ctypes
import gc
import hashlib
import hmac
import mmap
import os
import pickle
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.secret import FINGERPRINT_TAG, SHOWN, Secret, hand_over, reveal, take_over

TEXT = "a secret that nobody may see"


def mappings_of(needle):
    """Anonymous mappings of this process, smaller than a heap, that hold the bytes: their flags in smaps."""
    found = []
    with open("/proc/self/smaps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        span = None
        for line in maps:
            name, *rest = line.split()
            if "-" in name:
                first, last = (int(address, 16) for address in name.split("-"))
                is_small = rest[0].startswith("rw") and last - first <= 65536
                span = (first, last) if is_small else None
            elif name == "VmFlags:" and span:
                memory.seek(span[0])
                if needle in memory.read(span[1] - span[0]):
                    found.append(rest)
    return found


def can_lock():
    """Whether this process may lock another page, and does: sanitizers answer the call with yes and lock nothing."""
    def locked_kib():
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmLck:")[2].split()[0])

    libc, before = ctypes.CDLL(None), locked_kib()
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        anchor = ctypes.c_char.from_buffer(page)
        locked = (libc.mlock(ctypes.c_void_p(ctypes.addressof(anchor)), ctypes.c_size_t(mmap.PAGESIZE)) == 0
                  and locked_kib() > before)
        del anchor
    return locked


def test_it_shows_nothing():
    secret, longer = Secret(TEXT), Secret(TEXT * 100)
    shown = f"{secret} {secret!r} {[secret]} {vars(type(secret))}" + " ".join(
        repr(getattr(secret, name)) for name in dir(secret))
    assert TEXT not in shown and repr(secret) == str(secret) == SHOWN == "Secret(***)"
    assert sys.getsizeof(secret) == sys.getsizeof(longer) and not hasattr(secret, "__len__")
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError):
        memoryview(secret)
    with pytest.raises(TypeError):
        bytes(secret)


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, *(
    lambda secret, protocol=protocol: pickle.dumps(secret, protocol) for protocol in range(6))])
def test_it_is_neither_copied_nor_pickled(copier):
    with pytest.raises(TypeError, match="neither pickled nor copied"):
        copier(Secret(TEXT))


def test_it_cannot_be_subclassed():
    with pytest.raises(TypeError):
        type("Telling", (Secret,), {})


def test_fingerprints_tell_secrets_apart_and_say_nothing():
    expected = hmac.new(TEXT.encode(), FINGERPRINT_TAG, hashlib.sha256).hexdigest()[:8]
    assert Secret(TEXT).fingerprint() == Secret(TEXT.encode()).fingerprint() == expected
    assert Secret(TEXT + "!").fingerprint() != expected
    assert hashlib.sha256(TEXT.encode()).hexdigest()[:8] != expected


def test_its_pages_are_locked_left_out_of_dumps_and_overwritten():
    raw = bytes(place * 89 % 251 for place in range(1, 41))     # which nobody else in this process has
    needle = raw[3:35]
    secret = Secret(bytearray(raw))
    [flags] = mappings_of(needle)
    assert "dd" in flags, "MADV_DONTDUMP"
    assert ("lo" in flags) == can_lock(), "mlock, as far as the limits of the process allow it"
    del secret
    gc.collect()
    assert mappings_of(needle) == []


@given(st.binary(min_size=1, max_size=300), st.binary(max_size=300), st.sampled_from(["sha256", "sha384", "sha512"]))
def test_digests_are_those_of_hashlib(key, message, algorithm):
    assert Secret(key).hmac(algorithm, message) == hmac.new(key, message, algorithm).digest()


@given(st.binary(min_size=1, max_size=300))
def test_base_64_is_decoded_inside(key):
    text = base64.b64encode(key).decode()
    assert Secret(text).decoded().hmac("sha256", b"") == hmac.new(key, b"", "sha256").digest()
    assert Secret(text).decoded().fingerprint() == Secret(key).fingerprint()


@pytest.mark.parametrize("text", ["a", "abc", "ab=c", "====", "ab c", "\xe4\xf6\xfc\xdf", "ab==cd==", "abc\n"])
def test_what_is_not_base_64_is_refused_without_showing_it(text):
    with pytest.raises(ValueError, match="^the secret is not base 64, as this exchange gives its secrets$"):
        Secret(text).decoded()


def test_what_cannot_be_one():
    for empty in ("", b"", bytearray()):
        with pytest.raises(ValueError, match="empty"):
            Secret(empty)
    with pytest.raises(ValueError, match="16384"):
        Secret("x" * 16385)
    with pytest.raises(TypeError):
        Secret(12)
    with pytest.raises(TypeError):
        Secret(None)
    with pytest.raises(ValueError, match="md5"):
        Secret("x").hmac("md5", b"")


@given(st.text(min_size=8, max_size=20), st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_it_is_taken_out_of_what_others_say(text, parts):
    said = text.join(parts)
    shown = Secret(text).redact(said)
    assert shown == said.replace(text, "***")


def test_short_words_are_not_taken_for_secrets():
    assert Secret("demo").redact("the demonstration") == "the demonstration"


def test_another_process_of_ours_is_handed_it_through_a_pipe(tmp_path):
    there, here = os.pipe()
    try:
        for text in (TEXT, "x" * 16384):
            hand_over(Secret(text), here)
            hand_over(None, here)
            assert take_over(there).fingerprint() == Secret(text).fingerprint() and take_over(there) is None
        os.write(here, b"\xff\xff")
        with pytest.raises(ValueError, match="not what hand_over writes"):
            take_over(there)
        os.write(here, b"\x10\x00abc")
        os.close(here)
        with pytest.raises(EOFError):
            take_over(there)
    finally:
        os.close(there)
    with pytest.raises(OSError):
        hand_over(Secret(TEXT), here)


def test_it_is_never_handed_to_a_file(tmp_path):
    with open(tmp_path / "file", "w+b") as file:
        with pytest.raises(ValueError, match="never through a file"):
            hand_over(Secret(TEXT), file.fileno())
        with pytest.raises(ValueError, match="never through a file"):
            take_over(file.fileno())
        assert file.read() == b""


def test_reveal_is_the_only_door():
    assert reveal(Secret("\xe4" + TEXT)) == "\xe4" + TEXT
    with pytest.raises(TypeError):
        reveal(None)
