"""Preparing, flushing and reading segments. Writing to them is segments.pxd."""
import contextlib
import errno
import os
import re
import struct
import threading
from collections import namedtuple
from pathlib import Path

from libc.string cimport memset

from orderflow._core cimport crash_point

cdef extern from "<sys/mman.h>" nogil:
    int PROT_READ, PROT_WRITE, MAP_SHARED, MS_SYNC
    void *MAP_FAILED
    void *mmap(void *address, size_t length, int protection, int flags, int descriptor, long offset)
    int munmap(void *address, size_t length)
    int msync(void *address, size_t length, int flags)
    int madvise(void *address, size_t length, int advice)

cdef int MADV_POPULATE_WRITE = 23       # since Linux 5.14; glibc names it later than that

MINIMUM_BYTES = 4096
ZEROS = bytes(1 << 20)
#: Whether this is a build in which tests can have the process die at a crash point (crash_point.pxd).
CRASH_POINTS = bool(crash_point.COMPILED)
HEADER = struct.Struct("<IHHQQQQII12xI")

Header = namedtuple("Header", "path version kind salt epoch first_sequence bytes number previous_check")


class SegmentError(Exception):
    """A segment that cannot be created or read; the message names the file."""


class DamagedHeader(SegmentError):
    """A file whose first bytes are no segment header: damaged, or the process was killed while it was being made."""


class OtherVersion(SegmentError):
    """A segment whose format this orderflow does not read."""


def checksum(data, uint32_t seed=0, *, bint portable=False):
    """CRC32C of bytes, continued from `seed`; `portable` leaves the processor's instruction aside."""
    cdef const unsigned char[::1] view = data
    cdef const unsigned char *start = &view[0] if len(view) else NULL
    return (crc32c_portable if portable else crc32c)(seed, start, len(view))


def seed_for(uint64_t salt, uint32_t number):
    """Seed of the checksums in a segment."""
    return seed_of(salt, number)


def number_of(path):
    """Number of a segment file, from its name."""
    return int(path.stem.rpartition("-")[2])


def segment_paths(directory, name):
    """The segment files called `name` in a directory, by number: a list of Path."""
    pattern = re.compile(re.escape(name) + r"-\d{8,}\.segment")
    return sorted((path for path in Path(directory).iterdir() if pattern.fullmatch(path.name)), key=number_of)


def read_header(path, data):
    """Header of a segment's bytes; SegmentError if it is none, or damaged."""
    if len(data) < HEADER.size:
        raise DamagedHeader(f"{path}: {len(data)} bytes are no segment header")
    magic, version, kind, salt, epoch, first, size, number, previous, check = HEADER.unpack_from(data)
    if magic != SEGMENT_MAGIC or check != checksum(bytes(data[:HEADER.size - 4])):
        raise DamagedHeader(f"{path}: not a segment, or its header is damaged")
    if version != SEGMENT_VERSION:
        raise OtherVersion(f"{path}: segment version {version}, this orderflow reads {SEGMENT_VERSION}; read it with "
                           "the orderflow that wrote it")
    return Header(path, version, kind, salt, epoch, first, size, number, previous)


def sync_directory(directory):
    """Make created, renamed and removed names durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


cdef class SegmentFiles:
    """Owns the segments of one run that are mapped, and the thread that prepares them.

    Parameters
    ----------
    directory : path
        Exists already.
    name : str
        First part of the file names: `name`-00000001.segment and so on; a run goes on where the last one ended.
    kind, epoch, first_sequence : int
        Written to the header; of later segments the first sequence is that of the record that begins them.
    segment_bytes : int
        Size of each segment, a multiple of 4096.
    flushed_apart : bool
        A Flusher makes durable what is written; else the preparing thread does, a segment at a time.
    report : callable(str), optional
        Told in one line what halts this journal; any thread.
    """

    def __init__(self, directory, str name, uint16_t kind, uint64_t epoch, uint64_t first_sequence,
                 uint64_t segment_bytes, bint flushed_apart=False, report=None):
        if segment_bytes < MINIMUM_BYTES or segment_bytes % MINIMUM_BYTES:
            raise ValueError(f"segment_bytes: {segment_bytes} is not a positive multiple of {MINIMUM_BYTES}")
        if self.writer.memory is not NULL:
            raise RuntimeError("segment files are opened once")
        self.directory = Path(directory)
        self.name = name
        self.epoch = epoch
        self._kind = kind
        self._number = max((number_of(path) for path in segment_paths(directory, name)), default=0)
        self._report = report
        self.writer.is_flushed_apart = flushed_apart
        self.writer.bytes = segment_bytes
        self.writer.bell = -1
        self.writer.memory = self._prepare()
        self._current_path, self._next_path = self._next_path, None
        self.writer.seed = seed_of((<SegmentHeader *>self.writer.memory).salt, self._number)
        self.writer.offset = sizeof(SegmentHeader)
        begin(&self.writer, first_sequence)
        self.writer.bell = os.eventfd(1, os.EFD_CLOEXEC)        # rung: the next segment is wanted at once
        self._prepared = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"segments {name}", daemon=True)
        self._thread.start()

    cdef uint8_t *_prepare(self) except NULL:
        """Create, zero, flush and map the next segment; its path is left in _next_path."""
        cdef uint32_t number = self._number + 1
        cdef size_t size = self.writer.bytes
        cdef void *memory
        cdef int descriptor
        cdef SegmentHeader *header
        path = self.directory / f"{self.name}-{number:08d}.segment"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SegmentError(f"{path}: {error.strerror}") from error
        try:
            os.posix_fallocate(descriptor, 0, size)
            start = 0
            while start < size:         # the kernel may take less than it is given
                start += os.pwrite(descriptor, ZEROS[:min(len(ZEROS), size - start)], start)
            os.fdatasync(descriptor)
            sync_directory(self.directory)
            with nogil:
                memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
            if memory is MAP_FAILED:
                raise OSError(errno.ENOMEM, "cannot be mapped", str(path))
        except OSError as error:
            os.close(descriptor)
            path.unlink()
            raise SegmentError(f"{path}: {error.strerror}; {size} bytes are needed") from error
        with nogil:
            madvise(memory, size, MADV_POPULATE_WRITE)      # where it is not known the pages come one by one
        header = <SegmentHeader *>memory
        memset(header, 0, sizeof(SegmentHeader))
        header.magic = SEGMENT_MAGIC
        header.version = SEGMENT_VERSION
        header.kind = self._kind
        header.salt = int.from_bytes(os.urandom(8), "little")
        header.epoch = self.epoch
        header.bytes = size
        header.number = number
        header.check = crc32c(0, header, sizeof(SegmentHeader) - sizeof(header.check))
        self._number = number
        self._next_path = path
        self.writer.descriptors[self._prepared_segments % SEGMENTS_OPEN] = descriptor
        self._prepared_segments += 1
        return <uint8_t *>memory

    def _run(self):
        while True:
            os.eventfd_read(self.writer.bell)
            if self.closed:
                return
            with self._prepared:
                try:
                    self._service()
                except SegmentError as error:
                    self.error = error      # the writer goes on in the segment it has, and fails at its end
                    self.halt(Halt.NO_SPACE, f"{error}: no new order is sent until a restart, cancels are")
                self._prepared.notify_all()
            if load_acquire(&self.durability.halted) == Halt.FLUSH_STALLED:
                self.halt(Halt.FLUSH_STALLED, f"{self.directory}: the disk has not taken the journal for a second: no "
                          "new order is sent until a restart, cancels are")
            if self.error is not None:
                return

    cdef int _service(self) except -1:
        """Flush and unmap the segment that was used up, prepare the next."""
        cdef uint8_t *memory
        if load_acquire(&self.writer.spent_ready):
            if self.writer.is_flushed_apart and load_acquire(&self.writer.flushed) < load_acquire(&self.writer.rolls):
                return 0                    # not on disk yet; the flushing thread rings when it is
            self._release_spent()
        if not load_acquire(&self.writer.next_ready):
            memory = self._prepare()
            self.writer.next_memory = memory
            self.writer.next_seed = seed_of((<SegmentHeader *>memory).salt, self._number)
            store_release(&self.writer.next_ready, 1)
        return 0

    cdef int _release_spent(self) except -1:
        """Make the segment that was used up durable, where no other thread does, and let go of it."""
        cdef uint8_t *memory = self.writer.spent_memory
        cdef int failed = 0
        path, self._current_path, self._next_path = self._current_path, self._next_path, None
        with nogil:
            if not self.writer.is_flushed_apart or load_acquire(&self.writer.flushed) < self.writer.rolls:
                failed = msync(memory, self.writer.bytes, MS_SYNC)
            munmap(memory, self.writer.bytes)
        os.close(self.writer.descriptors[(load_acquire(&self.writer.rolls) - 1) % SEGMENTS_OPEN])
        store_release(&self.writer.spent_ready, 0)
        if failed:
            self.halt(Halt.FLUSH_FAILED, f"{path}: cannot be flushed: no new order is sent until a restart, "
                                         "cancels are")
        return 0

    def halt(self, int why, str line):
        """No new order may be journalled from here on; what is under way still is. Any thread; the first says why."""
        if not load_acquire(&self.durability.halted):
            store_release(&self.durability.halted, why)
        if not self._told and self._report is not None:
            self._report(line)
        self._told = True

    @property
    def halted(self):
        """Halt: why no new order may be journalled, NOT_HALTED when it may."""
        return <Halt>load_acquire(&self.durability.halted)

    def wait_prepared(self, timeout=10.0):
        """Wait until the next segment is ready or cannot be prepared; whether it is."""
        with self._prepared:
            self._prepared.wait_for(lambda: self.error is not None or self._is_prepared(), timeout)
        return self._is_prepared()

    def _is_prepared(self):
        return bool(load_acquire(&self.writer.next_ready))

    def flush(self):
        """Make everything that was appended to the segment in use durable; OSError if the disk says no."""
        cdef int failed
        with nogil:
            failed = msync(self.writer.memory, self.writer.bytes, MS_SYNC)
        if failed:
            store_release(&self.writer.failed, 1)
            raise OSError(errno.EIO, "cannot be flushed", str(self._current_path))

    def close(self):
        """Flush, unmap and trim; the writing thread must have stopped. May be called again."""
        if self.closed or self.writer.memory is NULL:
            return
        self.closed = True
        os.eventfd_write(self.writer.bell, 1)
        self._thread.join()
        if load_acquire(&self.writer.spent_ready):
            self._release_spent()
        if load_acquire(&self.writer.next_ready):
            munmap(self.writer.next_memory, self.writer.bytes)
            os.close(self.writer.descriptors[(self.writer.rolls + 1) % SEGMENTS_OPEN])
        if msync(self.writer.memory, self.writer.bytes, MS_SYNC):
            self.halt(Halt.FLUSH_FAILED, f"{self._current_path}: cannot be flushed: what was written last may be lost "
                                         "if the machine goes down now")
        munmap(self.writer.memory, self.writer.bytes)
        os.close(self.writer.descriptors[self.writer.rolls % SEGMENTS_OPEN])
        self.writer.memory = NULL
        store_release(&self.writer.failed, 1)
        os.truncate(self._current_path, self.writer.offset)
        if self._next_path is not None:
            with contextlib.suppress(FileNotFoundError):
                self._next_path.unlink()
        sync_directory(self.directory)
        os.close(self.writer.bell)

    @property
    def failed(self):
        """Whether an append was refused because no segment was ready, or the disk failed."""
        return bool(self.writer.failed)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
