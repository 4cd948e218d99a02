"""Two lines: the same feed over two connections. Each line has a book of its own with its own integrity; one is shown.

Where the ids of a book are the listing's own (a Binance `u` names the same update on every connection), the update that
arrives first is shown, from whichever line, and its twin is a duplicate. Where ids belong to a connection, or there are
none, one line leads and the other keeps a book in step beside it. Either way the listing is LIVE while any line is:
when the leading book is lost or can no longer be believed, the other takes over in the same step.

A line that takes over may lag. With shared ids the board then stands still until the line has passed what was shown: no
update is shown twice, and none out of order. It does not stand for ever: an exchange whose ids are not what it says
would keep it standing. A book that was wrong (checksum, crossed) is replaced at once.

An exchange may begin its ids anew. A line whose ids go back while it leads fences the other one, which still has the
old and larger ones, until that one has gone back too.

Trades are counted once: by their ids where these grow (the last TRADES are recognised in any order, older ones taken
for repeated). Without such ids those of one line count for as long as it is open; at the change to the other one,
trades that only one of the two has sent by then are missed or counted twice.

A quote counts by the same ids: where these are shared it may be ahead of either book, so both keep it, and no change of
lines takes back what was shown. Where they are not, or only one line has begun its ids anew, it belongs to the book of
its own line.

One line may come and go: an exchange that ends connections after a day is given a second one first. While only one
line is open, everything here is as if there were no other. All functions: exchange thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from orderflow._core cimport integrity, quotes
from orderflow._core.integrity cimport SNAPSHOT_PATIENCE_NS, BookSync, SyncRule, Verdict
from orderflow._core.types cimport BookFault, BookState, Level, Message


cdef enum:
    LINES = 2
    TRADES = 256                # ids that are remembered
    CATCH_UP = 64               # updates for which a line that took over may be behind


cdef struct TradeIds:
    int64_t ids[TRADES]         # the last ones, in the order of their coming
    int64_t highest
    int64_t forgotten           # the highest that was pushed out
    uint32_t next


cdef struct Feed:               # one listing over its lines
    BookSync *lines[LINES]
    BookSync *shown
    TradeIds trades
    int64_t position            # last id shown
    int64_t seen[LINES]         # last id of each line, as it was last looked at
    uint64_t version            # of the book shown
    uint64_t duplicates         # updates that the other line had brought, or that only kept a second book in step
    uint64_t takeovers          # the leading line was lost, and the other was there
    uint64_t outages            # it was not: the listing went STALE
    uint64_t repeated_trades
    uint32_t catching_up        # updates that are still waited for, 0 = the shown line is where the board is
    uint8_t fenced[LINES]
    uint8_t live                # what the board says
    uint8_t shared_ids
    uint8_t growing_trade_ids
    uint8_t trades_from         # the line whose trades count, where ids do not tell


cdef nogil:
    inline BookSync *other_of(Feed *self, const BookSync *sync) noexcept:
        return self.lines[1 - sync.line]

    inline bint both_open(const Feed *self) noexcept:
        return integrity.connected(self.lines[0]) and integrity.connected(self.lines[1])

    inline void begin_trades(TradeIds *self) noexcept:
        memset(self.ids, 0xff, sizeof(self.ids))        # no exchange gives an id of -1
        self.highest = self.forgotten = -1
        self.next = 0

    inline bint opened(Feed *self, uint8_t line, uint32_t epoch, int64_t now_ns) noexcept:
        """A connection of this line opened. True if the listing begins anew with it; else the other line goes on, and
        so do epoch and version."""
        cdef BookSync *sync = self.lines[line]
        cdef BookSync *other = other_of(self, sync)
        cdef bint anew = not integrity.connected(other)
        integrity.connection_opened(sync, epoch if anew else other.epoch, now_ns)
        self.fenced[line] = 0
        self.seen[line] = 0
        if anew:
            self.shown = sync
            self.version = 0
            self.position = 0
            self.catching_up = 0
            self.live = 0
            self.trades_from = line
            begin_trades(&self.trades)
            return anew
        if self.shared_ids:
            sync.quote = other.quote
            sync.restarts = other.restarts
        if self.shown is sync:
            self.shown = other
        return anew

    inline uint32_t show(Feed *self, BookSync *sync) noexcept:
        """The book of this line is what the board shows from here on; its version goes on from the one before."""
        if sync is not self.shown or self.catching_up:
            sync.version = self.version + 1
        self.shown = sync
        self.version = sync.version
        self.position = sync.last_id
        self.catching_up = 0
        return Verdict.APPLIED

    inline uint32_t fell(Feed *self, BookSync *sync, uint32_t verdict) noexcept:
        """The book of a line may not be believed any more. Returns Verdict bits of the listing."""
        cdef BookSync *other = other_of(self, sync)
        if sync is not self.shown:
            return verdict & Verdict.NEED_SNAPSHOT
        if not self.live:
            self.version = sync.version
            return verdict
        if other.state != BookState.LIVE:
            self.live = 0
            self.version = sync.version
            self.catching_up = 0
            self.outages += 1
            return verdict
        self.takeovers += 1
        self.fenced[other.line] = 0
        verdict &= Verdict.NEED_SNAPSHOT
        if (not self.shared_ids or other.last_id > self.position
                or sync.fault == BookFault.CHECKSUM or sync.fault == BookFault.CROSSED):
            return verdict | show(self, other)
        other.version = self.version
        self.shown = other
        if other.last_id < self.position:
            self.catching_up = CATCH_UP
        return verdict

    inline uint32_t judge(Feed *self, BookSync *sync, uint32_t verdict) noexcept:
        """What a message did to the book of one line -> what it did to the listing. Verdict bits both."""
        cdef BookSync *other = other_of(self, sync)
        cdef bint went_back = sync.last_id < self.seen[sync.line]
        if not verdict & (Verdict.APPLIED | Verdict.STATE_CHANGED):
            return verdict
        self.seen[sync.line] = sync.last_id
        if sync.state != BookState.LIVE:
            return fell(self, sync, verdict) if verdict & Verdict.STATE_CHANGED else verdict
        if went_back or verdict & Verdict.STATE_CHANGED:
            self.fenced[sync.line] = 0
        if not self.live:
            self.live = 1
            show(self, sync)
            return verdict | Verdict.STATE_CHANGED
        if sync is self.shown:
            if self.catching_up and sync.last_id <= self.position and not went_back:
                self.catching_up -= 1
                if self.catching_up:
                    sync.version = self.version
                    self.duplicates += 1
                    return verdict & Verdict.NEED_SNAPSHOT
            if self.shared_ids and went_back:
                self.fenced[other.line] = 1
                sync.quote.has_come = other.quote.has_come = 0
            show(self, sync)
            return verdict
        if self.shared_ids and not self.fenced[sync.line] and sync.last_id > self.position:
            return verdict & Verdict.NEED_SNAPSHOT | show(self, sync)
        if not verdict & Verdict.STATE_CHANGED:
            self.duplicates += 1
        return verdict & Verdict.NEED_SNAPSHOT

    inline bint take_quote(Feed *self, BookSync *sync, const Message *message, const Level *levels,
                           int64_t receive_ns) noexcept:
        """Keep a quote that came over one line. Whether what is shown may change with it; not while the shown book is
        behind what the board says."""
        cdef BookSync *other = other_of(self, sync)
        cdef bint own, others = False
        if self.shared_ids and self.fenced[sync.line]:
            return False
        own = quotes.take(&sync.quote, message, levels, receive_ns)
        if self.shared_ids and sync.restarts == other.restarts:
            others = quotes.take(&other.quote, message, levels, receive_ns)
        return (own if self.shown is sync else others) and self.catching_up == 0

    inline bint is_asked_for(Feed *self, BookSync *sync, int64_t now_ns) noexcept:
        """Whether a REST snapshot that this line needs is on its way for the other one: one answer serves both, and
        both wait for it equally long. A line that was silent is subscribed anew besides, so it asks itself."""
        cdef BookSync *other = other_of(self, sync)
        if (sync.rule == SyncRule.IN_BAND or sync.fault == BookFault.SILENT or other.asked_ns == 0
                or now_ns - other.asked_ns >= SNAPSHOT_PATIENCE_NS):
            return False
        sync.asked_ns = other.asked_ns
        return True

    inline bint takes_snapshot(const Feed *self, const BookSync *sync) noexcept:
        """Whether a REST snapshot concerns this line: while both are open, only if it waits for one."""
        return sync.asked_ns != 0 or (integrity.connected(sync) and not both_open(self))

    inline bint counts(Feed *self, uint8_t line, const Message *message) noexcept:
        """Whether a trade is a new one."""
        cdef TradeIds *trades = &self.trades
        cdef int64_t id = message.last_id
        cdef bint found = False
        cdef uint32_t i
        if not self.growing_trade_ids:
            if not integrity.connected(self.lines[self.trades_from]):
                self.trades_from = line
            if line == self.trades_from:
                return True
            self.repeated_trades += 1
            return False
        if id > trades.highest:
            trades.highest = id
        else:
            for i in range(<uint32_t>TRADES):
                found |= trades.ids[i] == id
            if found or id <= trades.forgotten:
                self.repeated_trades += 1
                return False
        if trades.ids[trades.next] > trades.forgotten:
            trades.forgotten = trades.ids[trades.next]
        trades.ids[trades.next] = id
        trades.next = (trades.next + 1) % TRADES
        return True
