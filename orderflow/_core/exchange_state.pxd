"""What one exchange thread knows: its connections, its books, its order path, and the rings and boards around it.

Every stage of the thread below is handed this one struct. Only the exchange thread writes to it once it runs.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from orderflow._core.account cimport Account
from orderflow._core.arbitration cimport LINES, Feed
from orderflow._core.board cimport SequenceBoard
from orderflow._core.byte_ring cimport NativeByteRing
from orderflow._core.codec cimport DecodeBuffer
from orderflow._core.doorbell cimport NativeDoorbell
from orderflow._core.gate cimport Gate
from orderflow._core.held_orders cimport HeldOrders
from orderflow._core.integrity cimport BookSync
from orderflow._core.kill cimport KillProgress
from orderflow._core.latency cimport Histogram
from orderflow._core.masking cimport MaskKeys
from orderflow._core.paper cimport Paper
from orderflow._core.ring cimport Ring64, Ring128
from orderflow._core.signals cimport SignalState
from orderflow._core.tape cimport Tape
from orderflow._core.transport cimport Transport
from orderflow._core.types cimport Listing, Signals
from orderflow._core.waiting_cancels cimport WaitingCancels
from orderflow._core.websocket cimport Reader


cdef enum:
    CONNECTIONS = 6             # per exchange
    PAPER_CONNECTION = CONNECTIONS - 1  # of a paper exchange: open, and nobody reads or writes it
    NO_LISTING = 0xFFFFFFFF


cdef enum ConnectionState:
    CLOSED = 0
    OPEN = 1
    LEAVING = 2                 # lost; waits until the event is out and the transport can be given back


cdef struct Connection:
    Transport *transport        # NULL: fed by, and sending through, the byte rings
    Reader *reader
    char *out                   # where one frame is put together
    size_t out_capacity
    int64_t received_ns
    int64_t sent_ns
    int64_t pinged_ns
    int64_t keep_alive_ns       # send `keep_alive` when nothing was sent for so long; 0 = never
    uint64_t frames
    uint64_t bytes
    int64_t loss_detail
    uint32_t epoch
    uint32_t keep_alive_size
    char keep_alive[128]
    uint8_t state
    uint8_t role
    uint8_t carries_books
    uint8_t line                # 0 or 1 of two that carry the same
    uint8_t loss                # LossReason


cdef struct Cancelling:         # kill: what is to be cancelled, and how far that is
    KillProgress *progress      # what others may know of it
    uint64_t seen               # triggers of the kill line that were acted on
    uint64_t cancels            # frames written for the last one
    uint64_t left               # orders of this round whose cancel could not be written
    int64_t repeat_ns           # when the next round begins; 0 = never
    int64_t pause_ns            # between this round and the next
    uint32_t round              # orders carry the one in which their cancel was written
    uint32_t sweep_at           # next listing whose mass cancel is to be written
    uint8_t under_way
    uint8_t is_exclusive        # nobody else trades on the account: mass cancels and the dead-man switch may be used
    uint8_t armed               # the exchange's dead-man switch
    int64_t dead_man_ns         # when it fires; 0 = it is not used
    int64_t armed_ns            # when it was last set back


cdef struct OrderPath:          # what an exchange that takes orders has besides
    Ring128 *orders             # from the router
    Ring128 *reports            # to the router
    Paper *paper                # takes the orders instead of a connection; NULL = they go to the exchange
    Account *account            # what is compared with the exchange's books; NULL = nothing is
    HeldOrders held             # those that wait until their intent is durable
    WaitingCancels waiting      # those for which the exchange has no room now
    Gate gate
    Cancelling cancelling
    int64_t unix_offset_ns      # unix clock - monotonic clock
    uint8_t *reports_full       # set when a report found no room: trading halts
    Histogram *decided_to_sent  # router's decision -> bytes handed to the transport
    Histogram *frame_to_sent    # frame that caused it -> the same
    int32_t connection          # index of the order connection, -1 = none is open
    uint64_t sent
    uint64_t not_sent
    uint64_t unread             # client order id that was asked for, of whose answer a part could not be read


cdef struct ListingSignalState:     # both owned by a ListingSignals
    SignalState *state
    Signals *values


cdef struct ExchangeState:
    const Listing *listings     # the engine's table
    BookSync **books            # by listing index: the one that the board shows; NULL = not of this exchange
    Feed *feeds                 # by listing index; NULL = this exchange never has a second line
    uint32_t line_connections[LINES]    # which connection carries the books of each line
    ListingSignalState *signals     # by listing index
    void *market_codecs[LINES]  # Codec of each line, kept alive by the loop's owner
    void *order_codec           # OrderCodec; NULL = market data only
    OrderPath path
    DecodeBuffer *decoded
    SequenceBoard *board
    uint8_t *wake_pending       # by listing index, shared with the router
    Ring64 *wakes
    NativeByteRing *commands          # from control
    NativeByteRing *events            # to control
    NativeByteRing *frames_in         # async and direct
    NativeByteRing *frames_out
    NativeDoorbell *router_bell
    NativeDoorbell *control_bell
    Tape *tape
    NativeByteRing *recording   # NULL = nobody records
    const uint8_t *recording_closed     # set when nobody takes the recording any more
    uint32_t *publications      # by listing
    uint64_t *traded            # by listing, modulo 2**64
    uint64_t *sold              # of that, what sellers took
    MaskKeys *mask_keys
    Connection connections[CONNECTIONS]
    Histogram *frame_to_board
    uint64_t frames
    uint64_t messages
    uint64_t refused
    uint64_t foreign
    uint64_t quotes
    uint64_t events_lost
    int64_t polled_ns
    uint32_t listing_count
    uint16_t exchange


cdef nogil:
    inline BookSync *sync_of(ExchangeState *self, int32_t listing) noexcept:
        if listing < 0 or <uint32_t>listing >= self.listing_count:
            return NULL
        return self.books[listing]

    inline BookSync *line_of(ExchangeState *self, uint32_t connection, int32_t listing) noexcept:
        """The book that a connection writes: with two lines not always the one that is shown."""
        cdef BookSync *sync = sync_of(self, listing)
        if self.feeds is NULL or sync is NULL:
            return sync
        return self.feeds[listing].lines[self.connections[connection].line]
