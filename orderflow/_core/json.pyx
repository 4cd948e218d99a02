"""Python face of json.pxd, for its tests: one cursor over a copy of the text."""


cdef class Scanner:
    """A cursor over `text`. Methods that read return the value, or None once `status` is not zero."""
    cdef bytes padded
    cdef Cursor cursor
    cdef Text text

    def __init__(self, bytes text, bytes padding=bytes(64)):
        if len(padding) < 64:
            raise ValueError(f"padding: {len(padding)} bytes given, 64 may be read")
        self.padded = text + padding
        open(&self.cursor, self.padded, len(text))

    @property
    def status(self):
        """DecodeStatus of the first thing that was wrong; 0 so far so good."""
        return self.cursor.status

    @property
    def offset(self):
        """Where the cursor stands, or where it failed."""
        return offset(&self.cursor)

    def peek(self):
        """First character of the next value, "" at the end."""
        cdef char found = peek(&self.cursor)
        return chr(<uint8_t>found) if found else ""

    cdef _text(self):
        return self.text.data[:min(self.text.length, <uint32_t>SCRATCH_SIZE) if self.text.data == self.cursor.scratch
                              else self.text.length].decode()

    def enter_object(self):
        return enter_object(&self.cursor)

    def enter_array(self):
        return enter_array(&self.cursor)

    def next_key(self):
        return self._text() if next_key(&self.cursor, &self.text) else None

    def next_element(self):
        return next_element(&self.cursor)

    def text_value(self):
        return self._text() if read_text(&self.cursor, &self.text) else None

    def decimal(self, uint8_t decimals):
        cdef int64_t value
        return value if read_decimal(&self.cursor, decimals, &value) else None

    def int64(self):
        cdef int64_t value
        return value if read_int64(&self.cursor, &value) else None

    def uint32(self):
        cdef uint32_t value
        return value if read_uint32(&self.cursor, &value) else None

    def boolean(self):
        cdef bint value
        return bool(value) if read_bool(&self.cursor, &value) else None

    def null(self):
        return read_null(&self.cursor)

    def skip(self):
        return skip_value(&self.cursor)

    def finish(self):
        return finish(&self.cursor)
