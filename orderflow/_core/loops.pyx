"""The loops. Read this first.

                 exchange thread (one per exchange)              router thread
     bytes ──> frames ─> decode ─> book ─> signals ──wake──>  sequence inputs, ...
                                       └─> depth board ·····>

A loop is a state and a step: it looks once at everything that may have come in, deals with it, and says how much it
did. A thread runs an array of loops over and over: with one loop a thread the layout is `split`, with all of them in
one thread it is `fused`; the code is the same. When no loop had anything to do the thread spins or parks, as it was
told.

Only this file reads the clock. In the `direct` server nothing here runs a thread: a virtual clock is handed in, step by
step.
"""
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from posix.stdlib cimport posix_memalign

from orderflow._core cimport (
    cancelling, clock, connections, exchange, execution_reports, held_orders, kill, known_depth, latency, market_data,
    masking, order_entry, paper, pending, rates, transport, waiting_cancels, websocket)
from orderflow._core.arbitration cimport LINES, Feed
from orderflow._core.book cimport OrderBook
from orderflow._core.board cimport Board
from orderflow._core.byte_ring cimport ByteRing, ByteRingStatus
from orderflow._core.codec cimport CODEC_PADDING, Codec, DecodeOutput
from orderflow._core.doorbell cimport POLLIN, POLLOUT, Doorbell, WaitPolicy, pollfd, relax
from orderflow._core.exchange cimport POLL_NS
from orderflow._core.exchange_state cimport (
    CONNECTIONS, PAPER_CONNECTION, Connection, ConnectionState, ListingSignalState)
from orderflow._core.gate cimport SENT_CAPACITY, SentOrder
from orderflow._core.held_orders cimport HELD_CAPACITY
from orderflow._core.integrity cimport KEPT_RESIDENT, BookSync
from orderflow._core.journal cimport JournalFiles
from orderflow._core.kill cimport KillSwitch
from orderflow._core.latency cimport LatencyHistogram
from orderflow._core.masking cimport MASK_SEED_SIZE
from orderflow._core.paper cimport PaperExchange
from orderflow._core.rates cimport OrderRates
from orderflow._core.reconciliation cimport AccountBook
from orderflow._core.ring cimport Ring
from orderflow._core.signals cimport ListingSignals
from orderflow._core.transport cimport TransportKind, TransportStatus
from orderflow._core.types cimport (
    ChildOrder, Command, CommandKind, Event, LossReason, Recorded, RecordedKind, Role, Side)
from orderflow._core.waiting_cancels cimport WAITING_CAPACITY, WaitingCancel
from orderflow._core.websocket cimport Frame, FrameReader, FrameStatus, Opcode

import os

import numpy as np

from orderflow._core.book import OrderBook as PythonOrderBook
from orderflow._core.rates import OrderRates as PythonOrderRates
from orderflow._core.types import EVENT_DTYPE, BookState as StateName

cdef enum:
    READS = 8                       # blocks read from one connection before the others get their turn
    ORDERS = 64                     # orders sent before frames are looked at again
    FRAMES = 256                    # frames taken from the ring before commands are looked at again
    COMMAND_BYTES = 1 << 23         # the largest REST snapshots of twenty listings at once
    EVENT_BYTES = 1 << 20
    FRAME_BYTES = 1 << 24
    SENT_BYTES = 1 << 20
    UNUSED_BYTES = 1 << 12          # of a ring that this kind of loop has no use for: ring memory is resident at once
    OUT_BYTES = 1 << 17
    KEPT_BYTES = 1 << 24            # updates of one listing that wait for its snapshot
    PARK_NS = 100_000_000           # longest sleep: timers are coarse


cdef class Loop:

    cdef int step(self, int64_t now_ns) noexcept nogil:
        """Look once at every inbox. Returns how much was done; 0 = idle."""
        return 0

    cdef bint has_work(self) noexcept nogil:
        """Whether step would find something: the second look before the thread sleeps."""
        return False

    cdef int64_t wake_ns(self) noexcept nogil:
        """When step should run again even if nothing comes in; monotonic."""
        return 0

    cdef uint32_t wait_for(self, pollfd *fds, uint32_t capacity) noexcept nogil:
        """Descriptors whose readiness should wake the thread."""
        return 0


cdef class ExchangeLoop(Loop):
    """Market data of one exchange: connections in, boards and wake-ups out.

    Parameters
    ----------
    name : str
    exchange : int
        Its index.
    table : numpy structured array of LISTING_DTYPE
        The engine's listings; those whose `exchange` is ours get a book.
    symbols : dict of int -> str
        The exchange's spelling of each of them, for messages.
    rule : SyncRule
    market_codecs : sequence of Codec
        One for each line that there may be: with two of them every listing has a second book.
    order_codec : OrderCodec or None
    board : Board
    wake_pending : numpy array of uint8, shape (listings,)
        Shared with the router.
    wakes : Ring of 64
    bell, router_bell, control_bell : Doorbell
    tape : Ring of 128, optional
        Where every applied update and trade is written.
    lossy_tape : bool
        Lose events instead of waiting when nobody reads the tape.
    borrows : bool
        Connections are borrowed transports (sync), not fed through a ring.
    frame_limit : int
        Largest websocket frame, in bytes.
    book_options : dict, optional
        Passed to OrderBook: window, far_capacity, touched.
    orders, reports : Ring of 128, optional
        From and to the router, where this exchange takes orders.
    report_lost : numpy array of uint8, shape (1,)
        Of all exchanges: set when a report found no room.
    kill_switch : KillSwitch
        Of all exchanges.
    is_exclusive : bool
        Whether nobody else trades on the account: only then are mass cancels and the dead-man switch used.
    dead_man_ns : int
        After how long without us the exchange cancels everything, where it offers that; 0 = not used.
    order_rates : OrderRates, optional
        What the exchange allows; None = anything.
    unix_offset_ns : int, optional
        Unix clock - monotonic clock; given where the clock is a virtual one.
    record : bool
        Write everything that decides the boards to `recording`, for whoever takes it; nothing is dropped.
    silence_ns : int
        How long the exchange may say nothing about a book before it is STALE; 0 = for ever.
    shared_book_ids, growing_trade_ids, kept_levels
        As in orderflow.exchanges.session.Facts.
    """

    def __init__(self, str name, int exchange_index, table, dict symbols, int rule, market_codecs,
                 Codec order_codec, Board board, unsigned char[::1] wake_pending, Ring wakes, Doorbell bell,
                 Doorbell router_bell, Doorbell control_bell, Ring tape=None, bint lossy_tape=False,
                 bint borrows=False, size_t frame_limit=12 << 20, dict book_options=None, Ring orders=None,
                 Ring reports=None, unsigned char[::1] report_lost=None, KillSwitch kill_switch=None,
                 OrderRates order_rates=None, bint is_exclusive=False, int64_t dead_man_ns=0, unix_offset_ns=None,
                 bint record=False, int64_t silence_ns=0, bint shared_book_ids=False, bint growing_trade_ids=False,
                 uint32_t kept_levels=0):
        cdef bytes entropy = os.urandom(MASK_SEED_SIZE)
        self.name = name
        self.borrows = borrows
        self.symbols = dict(symbols)
        self.books = [{} for _ in market_codecs]
        self.bell = bell
        if not 0 < len(market_codecs) <= LINES:
            raise ValueError(f"market_codecs: one or {LINES}, got {len(market_codecs)}")
        self.market_codecs, self.line_count = list(market_codecs), len(market_codecs)
        self.order_codec = order_codec
        self.decoded = DecodeOutput()
        self.frame_to_board = LatencyHistogram()
        self.commands, self.events = ByteRing(COMMAND_BYTES), ByteRing(EVENT_BYTES)
        self.frames_in = ByteRing(UNUSED_BYTES if borrows else FRAME_BYTES)
        self.frames_out = ByteRing(UNUSED_BYTES if borrows else SENT_BYTES)
        self.kept_alive = [table, board, wake_pending, wakes, router_bell, control_bell, tape]
        masking.seed(&self.mask_keys, <const char *>entropy)
        self.state.exchange = exchange_index
        self.state.listings = (<Codec?>market_codecs[0]).listings
        self.state.listing_count = len(table)
        for line, codec in enumerate(market_codecs):
            self.state.market_codecs[line] = <void *><Codec?>codec
        self.state.order_codec = <void *>order_codec if order_codec is not None else NULL
        self.state.decoded = &self.decoded.buffer
        self.state.board = board.native
        self.state.wake_pending = &wake_pending[0]
        self.state.wakes = wakes.of64
        self.state.commands, self.state.events = self.commands.native, self.events.native
        self.state.frames_in, self.state.frames_out = self.frames_in.native, self.frames_out.native
        self.state.router_bell, self.state.control_bell = router_bell.native, control_bell.native
        self.state.mask_keys = &self.mask_keys
        self.state.frame_to_board = &self.frame_to_board.histogram
        if record:
            self.recording = ByteRing(FRAME_BYTES)
            self.state.recording, self.state.recording_closed = self.recording.native, &self.recording_closed
        if tape is not None:
            self.tape.ring = tape.of128
            self.tape.closed = &self.tape_closed
            self.tape.lossy = lossy_tape
            self.state.tape = &self.tape
        self.virtual_clock = unix_offset_ns is not None
        self.state.path.unix_offset_ns = (unix_offset_ns if self.virtual_clock
                                          else clock.unix_ns() - clock.monotonic_ns())
        self.rates = order_rates if order_rates is not None else PythonOrderRates(len(table))
        self._make_order_path(orders, reports, report_lost, kill_switch)
        self.state.path.cancelling.is_exclusive = is_exclusive
        self.state.path.cancelling.dead_man_ns = dead_man_ns if is_exclusive else 0
        self._make_books(exchange_index, table, rule, book_options or {}, silence_ns, kept_levels)
        if self.line_count == LINES:
            self._make_feeds(shared_book_ids, growing_trade_ids)
        self._make_connections(frame_limit if borrows else 1)

    def _make_order_path(self, Ring orders, Ring reports, unsigned char[::1] report_lost, KillSwitch kill_switch):
        self.decided_to_sent, self.frame_to_sent = LatencyHistogram(), LatencyHistogram()
        self.state.path.connection = -1
        if orders is None:
            return
        self.kept_alive += [orders, reports, report_lost, kill_switch]
        self.state.path.orders, self.state.path.reports = orders.of128, reports.of128
        self.state.path.reports_full = &report_lost[0]
        self.state.path.gate.kill_line = kill_switch.switch.line
        self.state.path.gate.exchange_bit = kill.bit_of(self.state.exchange)
        self.state.path.cancelling.progress = &kill_switch.switch.progress[self.state.exchange]
        self.state.path.cancelling.progress.takes_orders = True
        self.state.path.gate.rates = &self.rates.rates
        self.state.path.waiting.orders = <WaitingCancel *>calloc(WAITING_CAPACITY, sizeof(WaitingCancel))
        if self.state.path.waiting.orders is NULL:
            raise MemoryError()
        self.state.path.gate.sent = <SentOrder *>calloc(SENT_CAPACITY, sizeof(SentOrder))
        if self.state.path.gate.sent is NULL:
            raise MemoryError()

    def _make_books(self, int exchange_index, table, int rule, dict options, int64_t silence_ns,
                    uint32_t kept_levels):
        """The books of a second line are made like those of the first: memory that nothing is written to costs none."""
        cdef uint32_t n = len(table)
        cdef uint32_t i
        cdef ListingSignals values
        self.syncs = <BookSync *>calloc(n * self.line_count, sizeof(BookSync))
        self.state.books = <BookSync **>calloc(n, sizeof(BookSync *))
        self.state.publications = <uint32_t *>calloc(n, sizeof(uint32_t))
        self.state.traded = <uint64_t *>calloc(n, sizeof(uint64_t))
        self.state.sold = <uint64_t *>calloc(n, sizeof(uint64_t))
        self.state.signals = <ListingSignalState *>calloc(n, sizeof(ListingSignalState))
        if (self.syncs is NULL or self.state.books is NULL or self.state.signals is NULL
                or self.state.publications is NULL or self.state.traded is NULL or self.state.sold is NULL):
            raise MemoryError()
        for i in range(n):
            if table[i]["exchange"] != exchange_index:
                continue
            for line in range(self.line_count):
                self._make_book(line, i, table[i], rule, options, silence_ns, kept_levels)
            self.state.books[i] = &self.syncs[i]
            values = ListingSignals(int(table[i]["price_decimals"]), int(table[i]["quantity_decimals"]))
            self.state.signals[i].state, self.state.signals[i].values = &values.state, &values.values
            self.kept_alive.append(values)

    def _make_book(self, int line, uint32_t listing, row, int rule, dict options, int64_t silence_ns,
                   uint32_t kept_levels):
        cdef OrderBook owner = PythonOrderBook(tick=max(1, int(row["tick"])), **options)
        cdef BookSync *sync = &self.syncs[line * self.state.listing_count + listing]
        self.books[line][listing] = owner
        sync.book = &owner.book
        sync.listing, sync.line = listing, line
        sync.depth = row["depth"]
        sync.known.kept_levels = sync.depth if sync.depth else kept_levels
        sync.rule = rule
        sync.silence_ns = silence_ns
        sync.price_decimals, sync.quantity_decimals = row["price_decimals"], row["quantity_decimals"]
        sync.tape = self.state.tape
        sync.kept_capacity = KEPT_BYTES
        if posix_memalign(<void **>&sync.kept, KEPT_RESIDENT, KEPT_BYTES):
            sync.kept = NULL
            raise MemoryError()
        memset(sync.kept, 0, KEPT_RESIDENT)     # touched, so that a short resync pays for no page fault

    def _make_feeds(self, bint shared_book_ids, bint growing_trade_ids):
        cdef uint32_t n = self.state.listing_count
        cdef uint32_t i, line
        self.feeds = <Feed *>calloc(n, sizeof(Feed))
        if self.feeds is NULL:
            raise MemoryError()
        for i in range(n):
            for line in range(<uint32_t>LINES):
                self.feeds[i].lines[line] = &self.syncs[line * n + i]
            self.feeds[i].shown = self.feeds[i].lines[0]
            self.feeds[i].shared_ids, self.feeds[i].growing_trade_ids = shared_book_ids, growing_trade_ids
        self.state.feeds = self.feeds

    def _make_connections(self, size_t frame_limit):
        cdef uint32_t i
        cdef Connection *connection
        cdef FrameReader reader
        for i in range(<uint32_t>CONNECTIONS):
            connection = &self.state.connections[i]
            connection.out_capacity = OUT_BYTES
            connection.out = <char *>malloc(OUT_BYTES)
            if connection.out is NULL:
                raise MemoryError()
            reader = FrameReader(frame_limit)
            connection.reader = &reader.reader
            self.kept_alive.append(reader)

    def __dealloc__(self):
        cdef uint32_t i
        if self.syncs is not NULL:
            for i in range(self.state.listing_count * self.line_count):
                free(self.syncs[i].kept)
        free(self.feeds)
        free(self.state.path.gate.sent)
        free(self.state.path.held.orders)
        free(self.state.path.waiting.orders)
        free(self.syncs)
        free(self.state.books)
        free(self.state.signals)
        free(self.state.publications)
        free(self.state.traded)
        free(self.state.sold)
        for i in range(<uint32_t>CONNECTIONS):
            free(self.state.connections[i].out)

    # ---------------------------------------------------------------------------------------- the thread's side

    cdef int step(self, int64_t now_ns) noexcept nogil:
        """The kill line comes first. Orders go out before anything is read: a read that finds nothing is a system call
        that they would wait for. The order connection is read after market data: of what the exchange sent before a
        frame nothing is missed."""
        cdef int work = 0
        cdef uint32_t i
        if self.state.path.orders is not NULL and cancelling.is_due(&self.state, now_ns):
            work += self.cancel(now_ns)
        work += self.take_commands(now_ns)
        if self.state.path.orders is not NULL:
            work += self.take_orders(now_ns)
        for i in range(<uint32_t>CONNECTIONS):
            if (self.state.connections[i].state == ConnectionState.OPEN
                    and self.state.connections[i].transport is not NULL):
                work += self.receive(i, now_ns)
        work += self.take_frames(now_ns)
        if self.state.path.paper is not NULL:
            work += execution_reports.take_paper(&self.state, now_ns)
        if now_ns - self.state.polled_ns >= POLL_NS:
            self.state.polled_ns = now_ns
            exchange.on_timer(&self.state, now_ns)
        return work

    cdef int take_commands(self, int64_t now_ns) noexcept nogil:
        cdef uint32_t size, tag
        cdef const char *record
        cdef int work = 0
        while True:
            record = self.state.commands.peek(&size, &tag)
            if record is NULL:
                return work
            exchange.on_command(&self.state, <const Command *>record, record + sizeof(Command),
                                size - sizeof(Command), now_ns)
            self.state.commands.release()
            work += 1

    cdef int receive(self, uint32_t index, int64_t now_ns) noexcept nogil:
        """Read what the connection has, in blocks; cut frames out of each block where they lie."""
        cdef Connection *connection = &self.state.connections[index]
        cdef char *target
        cdef size_t room, got
        cdef Frame frame
        cdef int status
        cdef int blocks = 0
        if transport.unsent(connection.transport):
            connections.sent(&self.state, index, transport.flush(connection.transport), now_ns)
        while blocks < READS and connection.state == ConnectionState.OPEN:
            room = websocket.make_room(connection.reader, &target)
            status = transport.read(connection.transport, target, room, &got)
            if status == TransportStatus.WANT_READ or status == TransportStatus.WANT_WRITE:
                break
            if status != TransportStatus.OK:
                connections.lose(&self.state, index, LossReason.PEER_CLOSED if status == TransportStatus.CLOSED
                                 else LossReason.TRANSPORT_FAILED, connection.transport.error, now_ns)
                break
            blocks += 1
            now_ns = clock.monotonic_ns()
            websocket.filled(connection.reader, got)
            status = FrameStatus.FRAME
            while status == FrameStatus.FRAME and connection.state == ConnectionState.OPEN:
                status = websocket.next_frame(connection.reader, &frame)
                if status == FrameStatus.FRAME:
                    if frame.opcode == Opcode.TEXT or frame.opcode == Opcode.BINARY:
                        self.decode(index, frame.data, frame.size, now_ns)
                    else:
                        connections.on_control_frame(&self.state, index, &frame, now_ns)
            if status != FrameStatus.FRAME and status != FrameStatus.NEED_MORE:
                connections.break_off(&self.state, index, now_ns)
            if got < room and connection.transport is not NULL and connection.transport.kind == TransportKind.PLAIN:
                break                       # the socket is empty: asking once more would only tell us so
        return blocks

    cdef int take_frames(self, int64_t now_ns) noexcept nogil:
        """Frames that came through the ring (async, direct)."""
        cdef uint32_t size, tag
        cdef const char *record
        cdef const FrameHeader *header
        cdef Connection *connection
        cdef int work = 0
        while work < FRAMES:
            record = self.state.frames_in.peek(&size, &tag)
            if record is NULL:
                break
            header = <const FrameHeader *>record
            connection = &self.state.connections[header.connection]
            if header.epoch > connection.epoch:
                break                               # its CONNECTED is still in the other ring
            if header.epoch == connection.epoch and connection.state == ConnectionState.OPEN:
                self.decode(header.connection, record + sizeof(FrameHeader), size - sizeof(FrameHeader),
                            header.receive_ns)
            self.state.frames_in.release()
            work += 1
        return work

    cdef int cancel(self, int64_t now_ns) noexcept nogil:
        """Something was killed: from the table onto the wire."""
        cdef int work = cancelling.step(&self.state, now_ns)
        if not self.state.path.cancelling.under_way:
            cancelling.tell(&self.state, now_ns if self.virtual_clock else clock.monotonic_ns())
        return work

    cdef int take_orders(self, int64_t now_ns) noexcept nogil:
        """Cancels that have waited for room, orders that have waited for the disk, then those of the router: through
        the gate and out."""
        cdef const ChildOrder *order
        cdef int work = 0
        while (work < ORDERS and waiting_cancels.any_waits(&self.state.path.waiting)
               and order_entry.send_waiting(&self.state, now_ns)):
            work += 1
        while work < ORDERS:
            order = held_orders.ready(&self.state.path.held, now_ns)
            if order is NULL:
                break
            now_ns = self.send_order(order, now_ns)
            self.state.path.held.taken += 1
            work += 1
        while work < ORDERS:
            order = <const ChildOrder *>self.state.path.orders.peek()
            if order is NULL:
                break
            if not held_orders.must_wait(&self.state.path.held, order):
                now_ns = self.send_order(order, now_ns)
            elif not held_orders.keep(&self.state.path.held, order):
                break
            self.state.path.orders.release()
            work += 1
        return work

    cdef int64_t send_order(self, const ChildOrder *order, int64_t now_ns) noexcept nogil:
        """One order through the gate and out; the time after it."""
        cdef uint64_t sent = self.state.path.sent
        order_entry.on_order(&self.state, order, now_ns)
        if self.state.path.sent == sent or self.virtual_clock:
            return now_ns
        now_ns = clock.monotonic_ns()
        latency.record(&self.decided_to_sent.histogram, now_ns - order.decided_ns)
        if order.cause_receive_ns:
            latency.record(&self.frame_to_sent.histogram, now_ns - order.cause_receive_ns)
        return now_ns

    cdef void decode(self, uint32_t index, const char *data, size_t size, int64_t now_ns) noexcept nogil:
        cdef int64_t started = clock.monotonic_ns()
        exchange.on_frame(&self.state, index, data, size, now_ns)
        latency.record(self.state.frame_to_board, clock.monotonic_ns() - started)

    cdef bint has_work(self) noexcept nogil:
        cdef uint32_t size, tag, i
        cdef Connection *connection
        if self.state.commands.peek(&size, &tag) is not NULL or self.state.frames_in.peek(&size, &tag) is not NULL:
            return True
        if self.state.path.orders is not NULL and (
                self.state.path.orders.peek() is not NULL
                or held_orders.ready(&self.state.path.held, 0) is not NULL
                or kill.load(&self.state.path.gate.kill_line.triggers) != self.state.path.cancelling.seen):
            return True
        for i in range(<uint32_t>CONNECTIONS):
            connection = &self.state.connections[i]
            if (connection.state == ConnectionState.OPEN and connection.transport is not NULL
                    and transport.pending(connection.transport)):
                return True
        return False

    cdef int64_t wake_ns(self) noexcept nogil:
        cdef int64_t at = self.state.polled_ns + POLL_NS
        cdef int64_t ready
        if self.state.path.orders is not NULL and (
                waiting_cancels.any_waits(&self.state.path.waiting) or self.state.path.cancelling.under_way):
            ready = rates.cancel_ready_ns(self.state.path.gate.rates, self.state.polled_ns)
            if ready > self.state.polled_ns:        # else they wait for something else: that wakes us
                at = min(at, ready)
        return at if self.state.path.paper is NULL else min(at, paper.next_ns(self.state.path.paper))

    cdef uint32_t wait_for(self, pollfd *fds, uint32_t capacity) noexcept nogil:
        cdef uint32_t i
        cdef uint32_t n = 0
        cdef Connection *connection
        for i in range(<uint32_t>CONNECTIONS):
            connection = &self.state.connections[i]
            if connection.state != ConnectionState.OPEN or connection.transport is NULL or n == capacity:
                continue
            fds[n].fd = connection.transport.fd
            fds[n].events = POLLIN | (POLLOUT if transport.unsent(connection.transport) else 0)
            fds[n].revents = 0
            n += 1
        return n

    # ---------------------------------------------------------------------------------------- the control thread's side

    def command(self, int kind, int connection=0, int role=0, int epoch=0, int listing=0, int64_t value=0,
                int64_t argument=0, bytes payload=b"", int line=0):
        """Queue a command; False when the thread is too far behind to take it. Control thread only."""
        cdef char *out
        cdef const char *source = payload
        cdef Command *command
        if self.commands.native.reserve(sizeof(Command) + len(payload), &out) != ByteRingStatus.BYTE_RING_OK:
            return False
        command = <Command *>out
        memset(command, 0, sizeof(Command))
        command.kind, command.connection, command.role = kind, connection, role
        command.epoch, command.listing = epoch, listing
        command.value, command.argument, command.line = value, argument, line
        command.exchange = self.state.exchange
        memcpy(out + sizeof(Command), source, len(payload))
        self.commands.native.commit(sizeof(Command) + len(payload), kind)
        self.bell.native.ring()
        return True

    def wait_for_journal(self, JournalFiles journal):
        """Hold every new order until its intent is durable (policy `sync`); before the thread runs."""
        if self.state.path.orders is NULL or self.state.path.held.orders is not NULL:
            return
        self.state.path.held.orders = <ChildOrder *>calloc(HELD_CAPACITY, sizeof(ChildOrder))
        if self.state.path.held.orders is NULL:
            raise MemoryError()
        journal.flusher.ring_when_durable(self.bell)
        self.kept_alive.append(journal)
        self.state.path.held.durability = &journal.durability

    def trade_on_paper(self, PaperExchange taker):
        """Give every order to a fill model of our own instead of a connection; before the thread runs."""
        cdef Connection *connection = &self.state.connections[PAPER_CONNECTION]
        if self.state.path.orders is NULL or taker.listing_count != self.state.listing_count:
            raise ValueError(f"{self.name} takes no orders, or other listings than the paper exchange")
        taker.paper.listings = taker.paper.reports.listings = self.state.listings
        taker.paper.books = self.state.books
        taker.paper.unix_offset_ns = taker.paper.reports.unix_offset_ns = self.state.path.unix_offset_ns
        connection.role, connection.state = Role.ORDERS, ConnectionState.OPEN
        self.state.path.connection = PAPER_CONNECTION
        self.state.path.cancelling.is_exclusive, self.state.path.cancelling.dead_man_ns = False, 0
        self.state.path.paper = &taker.paper
        self.kept_alive.append(taker)

    def compare_account(self, AccountBook book):
        """Compare what fills make of the account with what the exchange says of it, in rounds, and let no new order out
        before that was equal; before the thread runs."""
        if self.state.path.orders is NULL or self.order_codec is None:
            raise ValueError(f"{self.name} takes no orders, so there is no account to compare")
        self.account = book
        self.state.path.account = &book.account
        self.state.path.gate.waits = 1
        self.kept_alive.append(book)

    @property
    def reconciled(self):
        """Whether new orders need not wait for a round of reconciliation."""
        return not self.state.path.gate.waits

    @property
    def paper_due_ns(self):
        """When something arrives at the paper exchange, or comes back; None = nothing is on its way. Direct server."""
        cdef int64_t at = 0x7FFFFFFFFFFFFFFF
        if self.state.path.paper is not NULL:
            at = paper.next_ns(self.state.path.paper)
        return at if at != 0x7FFFFFFFFFFFFFFF else None

    def next_event(self):
        """(event, payload) or None. Control thread only."""
        taken = self.events.pop()
        if taken is None:
            return None
        record = taken[1]
        return np.frombuffer(record, EVENT_DTYPE, 1)[0], record[sizeof(Event):]

    def push_frame(self, int connection, int epoch, const unsigned char[::1] payload, int64_t receive_ns=0):
        """Feed one frame of a connection that has no transport; False = full, stop reading. Event loop thread only."""
        cdef char *out
        cdef FrameHeader *header
        cdef size_t size = len(payload)
        if self.frames_in.native.reserve(sizeof(FrameHeader) + size, &out) != ByteRingStatus.BYTE_RING_OK:
            return False
        header = <FrameHeader *>out
        header.receive_ns = receive_ns if receive_ns else clock.monotonic_ns()
        header.epoch = epoch
        header.connection = connection
        if size:
            memcpy(out + sizeof(FrameHeader), &payload[0], size)
        self.frames_in.native.commit(sizeof(FrameHeader) + size, 0)
        self.bell.native.ring()
        return True

    @property
    def has_events(self):
        """Whether next_event or next_frame_out would give something. Control thread only."""
        return self.events.used > 0 or self.frames_out.used > 0

    def next_frame_out(self):
        """(connection, text) that a connection without a transport should send, or None. Event loop thread only."""
        return self.frames_out.pop()

    def run_once(self, int64_t now_ns):
        """One step at a given time: the direct server, where no thread runs this loop. Returns how much was done."""
        cdef int work
        with nogil:
            work = self.step(now_ns)
        return work

    def close_tape(self):
        """The reader of the tape will read no more; the thread must not wait for it."""
        pending.set_flag(&self.tape_closed)

    def close_recording(self):
        """Nobody takes the recording any more: nothing is recorded from here on, and the thread does not wait."""
        pending.set_flag(&self.recording_closed)

    def replay(self, const unsigned char[::1] recorded):
        """Take one Recorded (with its payload) as it was taken in the run that recorded it."""
        cdef const Recorded *header = <const Recorded *>&recorded[0]
        cdef bytes payload = bytes(recorded[sizeof(Recorded):]) + bytes(CODEC_PADDING)
        cdef const char *data = payload
        cdef size_t size = recorded.shape[0] - sizeof(Recorded)
        cdef Command command
        if header.kind == RecordedKind.RECORDED_FRAME:
            exchange.on_frame(&self.state, header.connection, data, size, header.now_ns)
        elif header.kind == RecordedKind.RECORDED_SNAPSHOT:
            market_data.on_snapshot_body(&self.state, header.listing, header.value, data, size, header.now_ns)
        elif header.kind == RecordedKind.RECORDED_LOST:
            connections.lose(&self.state, header.connection, <uint8_t>header.value, 0, header.now_ns)
        elif header.kind == RecordedKind.RECORDED_SILENCE:
            market_data.on_silence(&self.state, self.sync_at(header.listing, <int>header.value), header.now_ns)
        else:
            memset(&command, 0, sizeof(Command))
            command.kind, command.connection = CommandKind.CONNECTION_OPENED, header.connection
            command.epoch = header.epoch
            command.line, command.argument = <uint8_t>(header.value & 1), not header.value & 2
            connections.opened(&self.state, header.connection, &command, header.now_ns)

    def publication(self, int listing):
        """How often the board entry of a listing was written."""
        return self.state.publications[listing]

    # ---------------------------------------------------------------------------------------- looking at it

    def symbol(self, int listing):
        """The exchange's spelling of a listing."""
        return self.symbols.get(listing, f"listing {listing}")

    cdef BookSync *sync_at(self, int listing, int line) except NULL:
        """The book of one line; of line -1, the one that is shown."""
        if not 0 <= listing < <int>self.state.listing_count or self.state.books[listing] is NULL:
            raise IndexError(f"listing {listing} is not one of {self.name}")
        if not -1 <= line < <int>self.line_count:
            raise IndexError(f"line {line}: {self.name} has {self.line_count}")
        return self.state.books[listing] if line < 0 else &self.syncs[line * self.state.listing_count + listing]

    def book(self, int listing, int line=-1):
        """The OrderBook of a listing; to be looked at only while no thread runs this loop.

        Of two lines, the one whose book the board shows; or the one asked for (0 = A, 1 = B).
        """
        return self.books[self.sync_at(listing, line).line][listing]

    def known_to(self, int listing):
        """(bid, ask) price to which a listing's book is known: a level that is missing before it is not in the market.

        Scaled integers; None = the whole side is known. To be looked at only while no thread runs this loop.
        """
        cdef BookSync *sync = self.sync_at(listing, -1)
        cdef int64_t bid = known_depth.exact(&sync.known, sync.book, Side.BUY)
        cdef int64_t ask = known_depth.exact(&sync.known, sync.book, Side.SELL)
        return bid if bid else None, ask if ask else None

    def counters(self, int listing):
        """What happened to a listing's book, as a dict: state and numbers of the one that is shown, events of all its
        lines. Approximate while the thread runs."""
        cdef BookSync *shown = self.sync_at(listing, -1)
        cdef BookSync *sync
        found = {"state": StateName(shown.state).name, "epoch": shown.epoch, "version": shown.version,
                 "last_id": shown.last_id, "updates_applied": 0, "levels_changed": 0, "gaps": 0, "checksums_ok": 0,
                 "checksums_failed": 0, "snapshots": 0, "updates_dropped": 0, "resyncs": 0}
        for line in range(self.line_count):
            sync = self.sync_at(listing, line)
            for name, count in (
                    ("updates_applied", sync.updates_applied), ("levels_changed", sync.levels_changed),
                    ("gaps", sync.gaps), ("checksums_ok", sync.checksums_ok),
                    ("checksums_failed", sync.checksums_failed), ("snapshots", sync.snapshots),
                    ("updates_dropped", sync.updates_dropped), ("resyncs", sync.resyncs)):
                found[name] += count
        return found

    def line_counters(self, int listing):
        """What two lines did for a listing, as a dict; all zero where there is one. Approximate while the thread runs.

        duplicates (updates that the other line had brought, or that kept a second book in step), takeovers (the leading
        line's book was lost and the other was LIVE), outages (it was not), repeated_trades, leading (0 = A, 1 = B).
        """
        cdef BookSync *shown = self.sync_at(listing, -1)
        cdef Feed *feed
        if self.feeds is NULL:
            return {"duplicates": 0, "takeovers": 0, "outages": 0, "repeated_trades": 0, "leading": 0}
        feed = &self.feeds[listing]
        return {"duplicates": feed.duplicates, "takeovers": feed.takeovers, "outages": feed.outages,
                "repeated_trades": feed.repeated_trades, "leading": shown.line}

    @property
    def sent_orders(self):
        """(sent, refused by the gate)."""
        return self.state.path.sent, self.state.path.not_sent

    @property
    def waiting_cancels(self):
        """(cancels that have ever waited for room at the exchange, those that wait now, nanoseconds that one has waited
        at most)."""
        return (self.state.path.waiting.put, self.state.path.waiting.put - self.state.path.waiting.taken,
                self.state.path.waiting.longest_ns)

    @property
    def held_orders(self):
        """(orders that have ever waited for the journal, those that wait now)."""
        return self.state.path.held.put, self.state.path.held.put - self.state.path.held.taken

    @property
    def open_orders(self):
        """Orders that were sent and not seen to end."""
        return self.state.path.gate.sent_count

    @property
    def can_trade(self):
        """Whether an order connection is open and logged in."""
        return self.state.path.connection >= 0

    @property
    def totals(self):
        """Frames and messages of all connections, as a dict."""
        return {"frames": self.state.frames, "messages": self.state.messages, "refused": self.state.refused,
                "foreign": self.state.foreign, "events_lost": self.state.events_lost, "tape_lost": self.tape.lost}


cdef class NativeThread:
    """Runs loops without the GIL until told to stop.

    Parameters
    ----------
    loops : sequence of Loop
        In the order in which data flows through them; all rung by `bell`.
    bell : Doorbell
    policy : WaitPolicy
        SPIN or PARK.
    cpu : int
        Processor to run on, -1 = any.
    """

    def __init__(self, loops, Doorbell bell, int policy=WaitPolicy.PARK, int cpu=-1):
        cdef uint32_t i
        if not 0 < len(loops) <= 16:
            raise ValueError(f"loops: 1 to 16 in one thread, got {len(loops)}")
        self.owned = list(loops)
        self.count = len(loops)
        for i in range(self.count):
            self.loops[i] = <void *><Loop?>self.owned[i]
        self.bell, self.policy, self.cpu = bell, policy, cpu

    def run(self):
        """The thread's whole life: the target of a threading.Thread."""
        if self.cpu >= 0:
            os.sched_setaffinity(0, {self.cpu})
        with nogil:
            self._run()

    cdef void _run(self) noexcept nogil:
        cdef uint32_t i
        cdef int work, done
        cdef int64_t now_ns
        while not pending.is_set(&self.stopping):
            now_ns = clock.monotonic_ns()
            self.heartbeat = now_ns
            work = 0
            for i in range(self.count):
                done = (<Loop>self.loops[i]).step(now_ns)
                if done:
                    work += done
                    now_ns = clock.monotonic_ns()       # what the next loop does with it happens after it
            if work:
                continue
            if self.policy == WaitPolicy.SPIN:
                relax()
            else:
                self._park(now_ns)

    cdef void _park(self, int64_t now_ns) noexcept nogil:
        cdef pollfd fds[64]
        cdef uint32_t n = 1
        cdef uint32_t i
        cdef int64_t until_ns = now_ns + PARK_NS
        self.bell.native.prepare_park()
        for i in range(self.count):
            if (<Loop>self.loops[i]).has_work():
                self.bell.native.cancel_park()
                return
            until_ns = min(until_ns, (<Loop>self.loops[i]).wake_ns())
        if pending.is_set(&self.stopping):
            self.bell.native.cancel_park()
            return
        for i in range(self.count):
            n += (<Loop>self.loops[i]).wait_for(&fds[n], 64 - n)
        self.parks += 1
        self.bell.native.wait(fds, n, until_ns - now_ns if until_ns > now_ns else 0)

    def stop(self):
        """Ask the thread to end after its current step. Any thread."""
        pending.set_flag(&self.stopping)
        self.bell.native.ring()

    @property
    def heartbeat_ns(self):
        """Monotonic time of the last step."""
        return self.heartbeat

    @property
    def heartbeat_address(self):
        """Where it lies, for the kill thread, which looks without asking Python."""
        return <size_t>&self.heartbeat
