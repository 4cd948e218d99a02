"""Joins snapshots and updates into a book that is either provably in step with the exchange or flagged.

    EMPTY ──connection opened──> SYNCING ──snapshot joined──> LIVE ──gap, checksum, crossed, ...──> STALE
                                    ^                                                                │
                                    └───────────── resync asked for, updates kept ───────────────────┘

Four rules cover the exchanges (Binance spot and derivatives documentation, "How to manage a local order book
correctly"; Kraken WebSocket v2 "book" and "Calculate book checksum"; Bitstamp WebSocket v2, diff_order_book):

* CONTIGUOUS_RANGE  an update spans ids [first, last]; the next must begin at last + 1. A snapshot at L joins any
  update with first <= L + 1 <= last.
* PREVIOUS_ID       ids are shared by all symbols; each update names the last id of the one before it. A snapshot at L
  joins an update with previous <= L <= last: L may lie in the update (what the document describes), or among the ids
  of other symbols before it, where this book did not change.
* IN_BAND           the snapshot comes in the stream and replaces the book; order is the connection's. Where updates
  carry a chain, each names the last id of the one before it; the checksum, where there is one, is the proof.
* NEWER             ids only grow. A snapshot at L joins what is newer than L, provided that something at or before L
  was received: else a hole before it cannot be excluded, and a later snapshot is asked for. No id will ever tell of a
  hole, so a STALE book of which nothing was received since takes no snapshot, unless nothing is missing from it.

Updates that arrive before their snapshot are kept, decoded, in a bounded arena per listing. When it overflows, all kept
ones are dropped: a snapshot older than what is kept is refused and asked for again, so nothing is ever joined over a
hole. A listing that goes STALE keeps collecting, so one fresh snapshot repairs it; only that listing is concerned.
The worst moment of a listing may fill megabytes of its arena; afterwards they are given back, for else an engine would
slowly come to hold the worst moments of all its listings.

A LIVE book of which nothing was heard for its silence budget is STALE: pings, other listings and REST snapshots prove
nothing about its stream, nor do updates that are older than the book: an exchange that began its ids anew would say
nothing else for ever. A snapshot does not mend that by itself: an update must have come since, or the snapshot must
show that the exchange has changed nothing. Where no id tells of a hole (NEWER), what was kept before such a silence is
not joined with what comes after it.

All functions: exchange thread only.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove
from posix.mman cimport MADV_DONTNEED, madvise

from orderflow._core cimport book, checksum, known_depth, tape
from orderflow._core.book cimport Book
from orderflow._core.known_depth cimport KnownDepth
from orderflow._core.quotes cimport Quote
from orderflow._core.types cimport (
    BookFault, BookState, ChecksumRule, Level, Listing, Message, MessageKind, Side)


cdef enum:
    SNAPSHOT_PATIENCE_NS = 10_000_000_000   # after that a snapshot that did not come is asked for again
    KEPT_RESIDENT = 1 << 16     # of each arena this much stays resident; a multiple of every page size


cpdef enum SyncRule:
    CONTIGUOUS_RANGE = 1
    PREVIOUS_ID = 2
    IN_BAND = 3
    NEWER = 4


cdef enum Verdict:              # bits: what a message did to its listing
    APPLIED = 1                 # the book changed; publish it
    STATE_CHANGED = 2           # LIVE or STALE was entered; publish it
    NEED_SNAPSHOT = 4           # ask the exchange for a fresh one
    KEPT = 8                    # waits for its snapshot
    DROPPED = 16                # older than the book


cdef struct KeptUpdate:         # header of an update in the arena; its levels follow
    Message message
    int64_t receive_ns
    uint64_t bytes


cdef struct BookSync:           # one listing's book with all that decides whether it may be believed
    Book *book
    tape.Tape *tape             # NULL = nobody watches
    KnownDepth known            # how far down the book is
    char *kept                  # aligned to KEPT_RESIDENT
    uint64_t kept_bytes
    uint64_t kept_capacity
    uint64_t kept_most          # bytes of the arena that may be resident
    uint64_t version            # frames applied in this epoch
    int64_t last_id
    int64_t asked_ns            # when a snapshot was asked for; 0 = none is under way
    int64_t receive_ns          # of the last applied frame
    int64_t heard_ns            # when the exchange last said something about this book, applied or not
    int64_t silence_ns          # how long it may say nothing; 0 = for ever
    int64_t exchange_ns
    uint64_t snapshots
    uint64_t updates_applied
    uint64_t levels_changed
    uint64_t updates_dropped
    uint64_t gaps
    uint64_t checksums_ok
    uint64_t checksums_failed
    uint64_t resyncs
    uint64_t restarts           # how often the exchange began its ids anew
    Quote quote                 # the exchange's own best bid and ask; no part of the book
    uint32_t listing
    uint32_t depth
    uint32_t epoch
    uint8_t rule
    uint8_t state
    uint8_t fault
    uint8_t joined              # the first update after the snapshot was accepted
    uint8_t line                # 0 or 1: which of the listing's connections it is of
    uint8_t price_decimals      # of the listing's scale
    uint8_t quantity_decimals


cdef nogil:
    inline void go_stale(BookSync *sync, uint8_t fault, int64_t now_ns) noexcept:
        """The book may no longer be read; what it holds stays for whoever debugs."""
        if sync.state != BookState.STALE:
            sync.resyncs += 1
        sync.state = BookState.STALE
        sync.fault = fault
        sync.joined = 0
        tape.state(sync.tape, sync.listing, sync.epoch, sync.version, sync.state, fault, now_ns)

    inline void connection_opened(BookSync *sync, uint32_t epoch, int64_t now_ns) noexcept:
        """A new connection: nothing of the old one counts, not even a level."""
        book.clear(sync.book)
        known_depth.forget(&sync.known)
        sync.epoch = epoch
        sync.version = 0
        sync.last_id = 0
        sync.restarts = 0
        sync.kept_bytes = 0
        sync.quote.has_come = 0
        sync.asked_ns = now_ns if sync.rule == SyncRule.IN_BAND else 0      # the subscription asks for it
        sync.heard_ns = now_ns
        sync.joined = 0
        sync.fault = BookFault.NO_FAULT
        sync.state = BookState.SYNCING

    inline void move_to(BookSync *sync, int64_t last_id) noexcept:
        """The id of the book from here on. Where ids began anew a quote is of what was before, however large its id."""
        if last_id < sync.last_id:
            sync.restarts += 1
            sync.quote.has_come = 0
        sync.last_id = last_id

    inline bint connected(const BookSync *sync) noexcept:
        """Whether the connection that carries the book is open."""
        return sync.state != BookState.EMPTY and sync.fault != BookFault.DISCONNECTED

    inline uint32_t connection_lost(BookSync *sync, int64_t now_ns) noexcept:
        if sync.state == BookState.EMPTY:
            return 0
        go_stale(sync, BookFault.DISCONNECTED, now_ns)
        sync.kept_bytes = 0
        sync.asked_ns = 0           # a snapshot may still be under way: see on_snapshot; the next connection asks anew
        return Verdict.STATE_CHANGED

    inline uint32_t fail(BookSync *sync, uint8_t fault, int64_t now_ns) noexcept:
        """A frame of this listing could not be taken."""
        go_stale(sync, fault, now_ns)
        sync.kept_bytes = 0
        return Verdict.STATE_CHANGED | ask(sync, now_ns)

    inline uint32_t ask(BookSync *sync, int64_t now_ns) noexcept:
        """NEED_SNAPSHOT, unless one is under way."""
        if sync.asked_ns:
            return 0
        sync.asked_ns = now_ns if now_ns else 1
        return Verdict.NEED_SNAPSHOT

    inline bint overdue(BookSync *sync, int64_t now_ns) noexcept:
        """Whether a snapshot was asked for and did not come; if so it may be asked for again."""
        if sync.asked_ns == 0 or now_ns - sync.asked_ns < SNAPSHOT_PATIENCE_NS:
            return False
        sync.asked_ns = 0
        return True

    inline uint32_t keep(BookSync *sync, const Message *message, const Level *levels, int64_t receive_ns) noexcept:
        cdef uint64_t bids = <uint64_t>message.bids_count * sizeof(Level)
        cdef uint64_t asks = <uint64_t>message.asks_count * sizeof(Level)
        cdef uint64_t total = sizeof(KeptUpdate) + bids + asks
        cdef KeptUpdate *header
        if sync.kept_bytes + total > sync.kept_capacity:
            sync.updates_dropped += 1
            sync.kept_bytes = 0
            if total > sync.kept_capacity:
                return Verdict.DROPPED
        header = <KeptUpdate *>(sync.kept + sync.kept_bytes)
        header.message = message[0]
        header.message.bids_begin = 0
        header.message.asks_begin = message.bids_count
        header.receive_ns = receive_ns
        header.bytes = total
        memcpy(sync.kept + sync.kept_bytes + sizeof(KeptUpdate), levels + message.bids_begin, bids)
        memcpy(sync.kept + sync.kept_bytes + sizeof(KeptUpdate) + bids, levels + message.asks_begin, asks)
        sync.kept_bytes += total
        sync.kept_most = max(sync.kept_most, sync.kept_bytes)
        return Verdict.KEPT

    inline void give_back(BookSync *sync) noexcept:
        """Let the system have what the arena needed in a bad moment that is over. By timer: it is a system call."""
        if sync.kept_most > KEPT_RESIDENT and sync.kept_bytes <= KEPT_RESIDENT:
            madvise(sync.kept + KEPT_RESIDENT, sync.kept_most - KEPT_RESIDENT, MADV_DONTNEED)
            sync.kept_most = sync.kept_bytes

    inline bint agrees(BookSync *sync, const Message *message) noexcept:
        """Whether the exchange's checksum is that of the book as it stands."""
        cdef Level bids[25]
        cdef Level asks[25]
        cdef uint32_t depth = 10 if message.checksum_rule == ChecksumRule.KRAKEN_CHECKSUM else 25
        cdef uint32_t bid_count = book.top(sync.book, Side.BUY, bids, depth)
        cdef uint32_t ask_count = book.top(sync.book, Side.SELL, asks, depth)
        cdef uint32_t value
        if message.checksum_rule == ChecksumRule.KRAKEN_CHECKSUM:
            value = checksum.kraken(asks, ask_count, bids, bid_count, message.price_zeros, message.quantity_zeros)
        else:
            value = checksum.interleaved(asks, ask_count, bids, bid_count,
                                         message.checksum_rule == ChecksumRule.BITFINEX_CHECKSUM,
                                         sync.price_decimals, sync.quantity_decimals)
        if value == message.checksum:
            sync.checksums_ok += 1
            return True
        sync.checksums_failed += 1
        return False

    inline uint8_t write_levels(BookSync *sync, const Message *message, const Level *levels) noexcept:
        """Levels into the book; NO_FAULT or why the book can no longer be believed."""
        cdef Level best_bid, best_ask
        cdef int fault = book.apply(sync.book, Side.BUY, levels + message.bids_begin, message.bids_count)
        if fault == BookFault.NO_FAULT:
            fault = book.apply(sync.book, Side.SELL, levels + message.asks_begin, message.asks_count)
        if fault != BookFault.NO_FAULT:
            return <uint8_t>fault
        if sync.depth:
            book.truncate(sync.book, sync.depth)
        if message.checksum_rule and not agrees(sync, message):
            return BookFault.CHECKSUM
        if (book.best(sync.book, Side.BUY, &best_bid) and book.best(sync.book, Side.SELL, &best_ask)
                and best_bid.price > best_ask.price):
            return BookFault.CROSSED
        return BookFault.NO_FAULT

    inline uint32_t apply_update(BookSync *sync, const Message *message, const Level *levels,
                                 int64_t receive_ns) noexcept:
        cdef uint8_t fault = write_levels(sync, message, levels)
        sync.version += 1
        sync.updates_applied += 1
        if message.kind != MessageKind.REFRESH:         # of which nobody can tell what has changed
            sync.levels_changed += message.bids_count + message.asks_count
        sync.receive_ns = receive_ns
        sync.exchange_ns = message.exchange_ns
        if message.has_chain:
            move_to(sync, message.last_id)
        if fault:
            go_stale(sync, fault, receive_ns)
            return Verdict.APPLIED | Verdict.STATE_CHANGED | ask(sync, receive_ns)
        sync.joined = 1
        tape.update(sync.tape, sync.book, message, sync.listing, sync.epoch, sync.version, receive_ns)
        return Verdict.APPLIED

    inline int place(const BookSync *sync, const Message *message) noexcept:
        """Where an update stands against the book: -1 older, 0 next, 1 beyond a gap."""
        if sync.rule == SyncRule.IN_BAND:
            if not message.has_chain or message.previous_id == sync.last_id:
                return 0
            return -1 if message.last_id <= sync.last_id else 1
        if sync.rule == SyncRule.NEWER:
            return -1 if message.last_id <= sync.last_id else 0
        if sync.rule == SyncRule.CONTIGUOUS_RANGE:
            if message.last_id <= sync.last_id:
                return -1
            return 1 if message.first_id > sync.last_id + 1 else 0
        if sync.joined:
            if message.previous_id == sync.last_id:
                return 0
            return -1 if message.last_id <= sync.last_id else 1
        if message.last_id < sync.last_id:
            return -1
        return 0 if message.previous_id <= sync.last_id else 1

    inline uint32_t on_update(BookSync *sync, const Message *message, const Level *levels,
                              int64_t receive_ns) noexcept:
        """One decoded update. Returns Verdict bits."""
        cdef int at
        cdef uint32_t verdict = 0
        if sync.state == BookState.EMPTY:
            return Verdict.DROPPED
        if sync.rule == SyncRule.NEWER and unheard(sync, receive_ns):
            sync.kept_bytes = 0                 # whatever is missing between, no id tells
            if sync.state == BookState.LIVE:
                go_stale(sync, BookFault.SILENT, receive_ns)
                verdict = Verdict.STATE_CHANGED
        if sync.state != BookState.LIVE:
            sync.heard_ns = receive_ns
            if sync.rule == SyncRule.IN_BAND:       # the snapshot will come after it in the same stream
                sync.updates_dropped += 1
                return Verdict.DROPPED
            verdict |= keep(sync, message, levels, receive_ns)
            return verdict | ask(sync, receive_ns)
        at = place(sync, message)
        if at < 0:
            sync.updates_dropped += 1
            return Verdict.DROPPED
        sync.heard_ns = receive_ns
        if at > 0:
            sync.gaps += 1
            go_stale(sync, BookFault.GAP, receive_ns)
            sync.kept_bytes = 0
            return Verdict.STATE_CHANGED | keep(sync, message, levels, receive_ns) | ask(sync, receive_ns)
        return apply_update(sync, message, levels, receive_ns)

    inline uint32_t on_snapshot(BookSync *sync, const Message *message, const Level *levels,
                                int64_t receive_ns) noexcept:
        """One decoded snapshot: it replaces the book, then what was kept is joined. Returns Verdict bits."""
        cdef KeptUpdate *first
        cdef uint8_t fault
        sync.asked_ns = 0
        if sync.state == BookState.EMPTY or sync.fault == BookFault.DISCONNECTED:
            return Verdict.DROPPED
        if sync.rule != SyncRule.IN_BAND:
            if sync.state == BookState.LIVE:        # late or repeated: the book is ahead of it
                return Verdict.DROPPED
            if sync.kept_bytes:
                first = <KeptUpdate *>sync.kept
                if too_old(sync, message.last_id, &first.message):
                    return Verdict.DROPPED | ask(sync, receive_ns)
            elif unfounded(sync, message.last_id):
                return Verdict.DROPPED | ask(sync, receive_ns)
        book.clear(sync.book)
        sync.snapshots += 1
        if sync.rule == SyncRule.IN_BAND or sync.fault == BookFault.SILENT:
            sync.heard_ns = receive_ns          # else it says nothing about the stream, which may be dead
        sync.version += 1
        move_to(sync, message.last_id)
        sync.joined = 0
        sync.receive_ns = receive_ns
        sync.exchange_ns = message.exchange_ns
        fault = write_levels(sync, message, levels)
        if fault:
            go_stale(sync, fault, receive_ns)
            return Verdict.STATE_CHANGED | ask(sync, receive_ns)
        sync.state = BookState.LIVE
        sync.fault = BookFault.NO_FAULT
        tape.snapshot(sync.tape, sync.book, message, sync.listing, sync.epoch, sync.version, receive_ns)
        return Verdict.APPLIED | Verdict.STATE_CHANGED | join(sync)

    inline bint unheard(const BookSync *sync, int64_t now_ns) noexcept:
        """Whether the last word about this book is older than its silence budget."""
        return sync.silence_ns != 0 and now_ns - sync.heard_ns > sync.silence_ns

    inline bint too_old(const BookSync *sync, int64_t snapshot_id, const Message *first) noexcept:
        """Whether a hole lies between a snapshot and the first update that was kept."""
        if sync.rule == SyncRule.CONTIGUOUS_RANGE:
            return first.first_id > snapshot_id + 1
        if sync.rule == SyncRule.NEWER:
            return first.last_id > snapshot_id
        return first.previous_id > snapshot_id

    inline bint unfounded(const BookSync *sync, int64_t snapshot_id) noexcept:
        """Whether a snapshot, when no update is kept, leaves open whether something is missing behind it."""
        if sync.rule == SyncRule.NEWER and sync.state == BookState.STALE:
            # of a book that cannot be written everything was received, up to its last id
            return (sync.fault != BookFault.CROSSED and sync.fault != BookFault.FULL) or snapshot_id < sync.last_id
        if snapshot_id < sync.last_id:              # the exchange answers with what it once was: the book knew more
            return True
        return sync.fault == BookFault.SILENT and snapshot_id != sync.last_id

    inline uint32_t join(BookSync *sync) noexcept:
        """Apply what was kept, in order; a hole inside it makes the listing STALE with the rest still kept."""
        cdef uint64_t at = 0
        cdef uint32_t verdict = 0
        cdef int where
        cdef KeptUpdate *update
        while at < sync.kept_bytes and sync.state == BookState.LIVE:
            update = <KeptUpdate *>(sync.kept + at)
            where = place(sync, &update.message)
            if where > 0:
                sync.gaps += 1
                go_stale(sync, BookFault.GAP, update.receive_ns)
                verdict |= Verdict.STATE_CHANGED | ask(sync, update.receive_ns)
                break
            if where == 0:
                verdict |= apply_update(sync, &update.message, <const Level *>(<char *>update + sizeof(KeptUpdate)),
                                        update.receive_ns)
            else:
                sync.updates_dropped += 1
            at += update.bytes
        sync.kept_bytes -= at
        memmove(sync.kept, sync.kept + at, sync.kept_bytes)
        return verdict

    inline uint32_t on_refresh(BookSync *sync, const Message *message, const Level *levels,
                               int64_t receive_ns) noexcept:
        """One frame of a channel whose every frame is the whole book; an older one is dropped. Returns Verdict bits."""
        cdef bint was_live = sync.state == BookState.LIVE
        if sync.state == BookState.EMPTY or sync.fault == BookFault.DISCONNECTED:
            return Verdict.DROPPED
        if was_live and message.has_chain and message.last_id < sync.last_id:
            sync.updates_dropped += 1
            return Verdict.DROPPED
        sync.heard_ns = receive_ns
        sync.asked_ns = 0
        sync.state = BookState.LIVE         # unless its levels say otherwise
        sync.fault = BookFault.NO_FAULT
        book.clear(sync.book)
        return apply_update(sync, message, levels, receive_ns) | (0 if was_live else <uint32_t>Verdict.STATE_CHANGED)

    inline uint32_t on_check(BookSync *sync, const Message *message, int64_t receive_ns) noexcept:
        """A checksum in a frame of its own. Returns Verdict bits."""
        sync.heard_ns = receive_ns
        if sync.state != BookState.LIVE:
            return 0
        if agrees(sync, message):
            tape.check(sync.tape, sync.book, message, sync.listing, sync.epoch, sync.version, receive_ns)
            return 0
        return fail(sync, BookFault.CHECKSUM, receive_ns)

    inline uint32_t on_alive(BookSync *sync, const Message *message, int64_t receive_ns) noexcept:
        """Nothing has changed since the update that the message names, if it names one. Returns Verdict bits."""
        sync.heard_ns = receive_ns
        if sync.state != BookState.LIVE or not message.has_chain or place(sync, message) <= 0:
            return 0
        sync.gaps += 1
        return fail(sync, BookFault.GAP, receive_ns)

    inline uint32_t on_missed(BookSync *sync, int64_t receive_ns) noexcept:
        """Frames of the connection are missing; this book may have been in them. Returns Verdict bits."""
        if sync.state != BookState.LIVE:
            return 0
        sync.gaps += 1
        return fail(sync, BookFault.GAP, receive_ns)

    inline bint silent(const BookSync *sync, int64_t now_ns) noexcept:
        """Whether the exchange said nothing about this book for longer than it may."""
        return (sync.state == BookState.LIVE or sync.state == BookState.SYNCING) and unheard(sync, now_ns)
