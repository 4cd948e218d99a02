"""The tape: what was applied, event by event, through a ring to one reader (a recorder, a test, a notebook).

Nothing is conflated. When the ring is full the exchange thread waits for the reader, unless the tape is `lossy`: then
the event is counted as lost. Without a reader there is no tape (NULL) and no cost.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport book
from orderflow._core.book cimport Book
from orderflow._core.doorbell cimport relax
from orderflow._core.ring cimport Ring128
from orderflow._core.types cimport Level, Message, MessageKind, Side, TapeKind, TapeRecord


cdef struct Tape:
    Ring128 *ring
    const uint8_t *closed       # set by the reader's side when it will read no more
    uint64_t lost
    uint8_t lossy


cdef nogil:
    inline TapeRecord *claim(Tape *tape) noexcept:
        cdef TapeRecord *record = <TapeRecord *>tape.ring.claim()
        while record is NULL:
            if tape.lossy or tape.closed[0]:
                tape.lost += 1
                return NULL
            relax()
            record = <TapeRecord *>tape.ring.claim()
        return record

    inline void quotes(TapeRecord *record, Book *source) noexcept:
        cdef Level level
        record.bid_price = record.bid_quantity = record.ask_price = record.ask_quantity = 0
        if book.best(source, Side.BUY, &level):
            record.bid_price = level.price
            record.bid_quantity = level.quantity
        if book.best(source, Side.SELL, &level):
            record.ask_price = level.price
            record.ask_quantity = level.quantity

    inline void book_event(Tape *tape, Book *source, const Message *message, uint8_t kind, uint32_t listing,
                           uint32_t epoch, uint64_t version, int64_t receive_ns) noexcept:
        cdef TapeRecord *record
        if tape is NULL:
            return
        record = claim(tape)
        if record is NULL:
            return
        record.kind = kind
        record.version = version
        record.id = message.last_id
        record.receive_ns = receive_ns
        record.exchange_ns = message.exchange_ns
        record.listing = listing
        record.epoch = epoch
        record.levels = 0 if message.kind == MessageKind.REFRESH else message.bids_count + message.asks_count
        record.has_checksum = message.checksum_rule != 0
        record.price = record.quantity = 0
        record.side = record.state = record.fault = 0
        quotes(record, source)
        tape.ring.publish()

    inline void update(Tape *tape, Book *source, const Message *message, uint32_t listing, uint32_t epoch,
                       uint64_t version, int64_t receive_ns) noexcept:
        book_event(tape, source, message, TapeKind.TAPE_UPDATE, listing, epoch, version, receive_ns)

    inline void snapshot(Tape *tape, Book *source, const Message *message, uint32_t listing, uint32_t epoch,
                         uint64_t version, int64_t receive_ns) noexcept:
        book_event(tape, source, message, TapeKind.TAPE_SNAPSHOT, listing, epoch, version, receive_ns)

    inline void check(Tape *tape, Book *source, const Message *message, uint32_t listing, uint32_t epoch,
                      uint64_t version, int64_t receive_ns) noexcept:
        book_event(tape, source, message, TapeKind.TAPE_CHECK, listing, epoch, version, receive_ns)

    inline void trade(Tape *tape, const Message *message, uint32_t epoch, int64_t receive_ns) noexcept:
        cdef TapeRecord *record
        if tape is NULL:
            return
        record = claim(tape)
        if record is NULL:
            return
        record.kind = TapeKind.TAPE_TRADE
        record.id = message.last_id
        record.receive_ns = receive_ns
        record.exchange_ns = message.exchange_ns
        record.listing = <uint32_t>message.listing
        record.epoch = epoch
        record.price = message.price
        record.quantity = message.quantity
        record.side = message.side
        record.version = 0
        record.bid_price = record.bid_quantity = record.ask_price = record.ask_quantity = 0
        record.levels = record.has_checksum = record.state = record.fault = 0
        tape.ring.publish()

    inline void state(Tape *tape, uint32_t listing, uint32_t epoch, uint64_t version, uint8_t book_state,
                      uint8_t fault, int64_t now_ns) noexcept:
        cdef TapeRecord *record
        if tape is NULL:
            return
        record = claim(tape)
        if record is NULL:
            return
        record.kind = TapeKind.TAPE_STATE
        record.listing = listing
        record.epoch = epoch
        record.version = version
        record.state = book_state
        record.fault = fault
        record.receive_ns = now_ns
        record.id = record.exchange_ns = record.price = record.quantity = 0
        record.bid_price = record.bid_quantity = record.ask_price = record.ask_quantity = 0
        record.levels = record.side = record.has_checksum = 0
        tape.ring.publish()
