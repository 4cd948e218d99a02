"""Owns the kill line and runs the kill thread; kill.pxd says how it works."""
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

from orderflow._core cimport clock, pending
from orderflow._core.doorbell cimport POLLIN, Doorbell, pollfd
from orderflow._core.memory cimport zeroed

import struct

cdef extern from "<sys/socket.h>" nogil:
    enum: MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC
    struct sockaddr:
        pass
    ssize_t recvfrom(int fd, void *data, size_t size, int flags, sockaddr *address, unsigned int *address_size)
    ssize_t sendto(int fd, const void *data, size_t size, int flags, const sockaddr *address, unsigned int address_size)

cdef extern from "<unistd.h>" nogil:
    ssize_t write(int fd, const void *data, size_t size)

cdef enum:
    ANSWER_NS = 1_000_000_000   # so long a request waits for the exchange threads
    SOON_NS = 200_000           # between two looks at what they have written, while somebody waits
    LOOK_NS = 200_000_000       # between two looks at the heartbeats, and two beats to the watchdog
    OWN_GAP_NS = 1_000_000_000  # this thread itself stood still: the process was stopped, nobody is to blame
    AT_ONCE = 16                # datagrams taken before bells are rung
    REPLY_HEAD_SIZE = 32

cdef const char *MAGIC = b"OFKILL1\0"

#: As they lie in memory: magic, scope, padding, name, number, padding; and magic, answer, count, number, time.
REQUEST = struct.Struct("=8sII32sQQ")
REPLY_HEAD = struct.Struct("=8sIIQq")
REPLY_ENTRY = struct.Struct("=32sIIII")
#: What the kill thread writes to the watchdog's pipe: it lives; the engine stops cleanly; exchange number i (the byte
#: after it) stands still.
BEAT, CLEAN_STOP, STANDSTILL = b".", b"S", b"X"

if sizeof(KillLine) != 64 or sizeof(KillProgress) != 64 or sizeof(KillRequest) != REQUEST.size:
    raise ImportError("sizes of the kill switch's structs")
if sizeof(KillEntry) != REPLY_ENTRY.size or sizeof(KillReply) != REPLY_HEAD.size + MOST_EXCHANGES * REPLY_ENTRY.size:
    raise ImportError("sizes of the kill switch's structs")


cdef nogil:
    uint32_t find_name(const char *names, uint32_t count, const char *name) noexcept:
        cdef uint32_t i
        for i in range(count):
            if names[i * NAME_SIZE] and memcmp(&names[i * NAME_SIZE], name, NAME_SIZE) == 0:
                return i
        return count

    # ------------------------------------------------------------------ ringing, and the answers

    void ring_all(Switch *self) noexcept:
        """Whoever is parked looks at the line; then Python is told, which may take its time."""
        cdef uint64_t one = 1
        cdef uint32_t i
        for i in range(self.bell_count):
            self.bells[i].ring()
        if self.told >= 0:
            write(self.told, &one, sizeof(one))

    bint has_acted(Switch *self, uint32_t exchange, uint64_t trigger) noexcept:
        return (not self.progress[exchange].takes_orders
                or load(&self.progress[exchange].seen) >= trigger)

    bint all_acted(Switch *self, const Requester *requester) noexcept:
        cdef uint32_t i
        for i in range(self.exchange_count):
            if requester.exchanges & bit_of(i) and not has_acted(self, i, requester.trigger):
                return False
        return True

    void answer(Switch *self, const Requester *to, uint32_t result, int64_t now_ns) noexcept:
        """One datagram back; who does not wait for it any more misses it."""
        cdef KillReply reply
        cdef KillProgress *progress
        cdef uint32_t i
        cdef int64_t last_ns = 0
        memset(&reply, 0, sizeof(KillReply))
        memcpy(reply.magic, MAGIC, 8)
        reply.answer = result
        reply.number = to.number
        if result == KillAnswer.KILL_DONE or result == KillAnswer.KILL_UNDER_WAY:
            reply.count = self.exchange_count
            for i in range(self.exchange_count):
                progress = &self.progress[i]
                memcpy(reply.entries[i].name, self.exchange_names[i], NAME_SIZE)
                reply.entries[i].answer = ExchangeAnswer.NOT_CONCERNED
                if not progress.takes_orders or not to.exchanges & bit_of(i):
                    continue
                if not has_acted(self, i, to.trigger):
                    reply.entries[i].answer = ExchangeAnswer.NOT_ANSWERED
                    continue
                reply.entries[i].answer = <uint32_t>load(&progress.answer)
                reply.entries[i].cancels = <uint32_t>load(&progress.cancels)
                reply.entries[i].left = <uint32_t>load(&progress.left)
                if reply.entries[i].answer == ExchangeAnswer.CANCELS_WRITTEN:
                    last_ns = max(last_ns, load_time(&progress.done_ns))
            reply.took_ns = max(<int64_t>0, last_ns - to.came_ns) if last_ns else 0
        sendto(self.socket, &reply, REPLY_HEAD_SIZE + reply.count * sizeof(KillEntry), MSG_DONTWAIT | MSG_NOSIGNAL,
               <const sockaddr *>to.address, to.address_size)

    bint answer_waiting(Switch *self, int64_t now_ns) noexcept:
        """Answer whoever can be; True while somebody waits."""
        cdef Requester *requester
        cdef uint32_t i
        cdef bint waits = False
        for i in range(<uint32_t>MOST_WAITING):
            requester = &self.waiting[i]
            if requester.address_size == 0:
                continue
            if all_acted(self, requester):
                answer(self, requester, KillAnswer.KILL_DONE, now_ns)
                requester.address_size = 0
            elif now_ns - requester.came_ns >= ANSWER_NS:
                answer(self, requester, KillAnswer.KILL_UNDER_WAY, now_ns)
                requester.address_size = 0
            else:
                waits = True
        return waits

    # ------------------------------------------------------------------ requests

    void keep_waiting(Switch *self, const Requester *requester, int64_t now_ns) noexcept:
        cdef uint32_t i
        if requester.address_size == 0:
            return                          # it has no address to answer to
        for i in range(<uint32_t>MOST_WAITING):
            if self.waiting[i].address_size == 0:
                self.waiting[i] = requester[0]
                return
        answer(self, requester, KillAnswer.KILL_UNDER_WAY, now_ns)

    void on_request(Switch *self, const KillRequest *request, Requester *requester, int64_t now_ns) noexcept:
        cdef uint32_t number = 0
        requester.number = request.number
        requester.exchanges = ~<uint64_t>0
        if request.scope == KillScope.KILL_EXCHANGE:
            number = find_name(&self.exchange_names[0][0], self.exchange_count, request.name)
            requester.exchanges = bit_of(number)
            if number == self.exchange_count:
                answer(self, requester, KillAnswer.KILL_UNKNOWN_NAME, now_ns)
                return
        elif request.scope == KillScope.KILL_STRATEGY:
            number = find_name(&self.strategy_names[0][0], MOST_STRATEGIES, request.name)
            if number == MOST_STRATEGIES:
                answer(self, requester, KillAnswer.KILL_UNKNOWN_NAME, now_ns)
                return
        elif request.scope != KillScope.KILL_EVERYTHING:
            answer(self, requester, KillAnswer.KILL_NOT_UNDERSTOOD, now_ns)
            return
        requester.trigger = pull(self.line, request.scope, number, KillCause.KILLED_BY_SOCKET, now_ns)
        keep_waiting(self, requester, now_ns)

    void take_requests(Switch *self) noexcept:
        cdef KillRequest request
        cdef Requester requester
        cdef ssize_t size
        cdef unsigned int address_size
        cdef int taken = 0
        while self.socket >= 0 and taken < AT_ONCE:
            address_size = ADDRESS_SIZE
            memset(&requester, 0, sizeof(Requester))
            size = recvfrom(self.socket, &request, sizeof(KillRequest), MSG_DONTWAIT | MSG_TRUNC,
                            <sockaddr *>requester.address, &address_size)
            if size < 0:
                if errno == EINTR:
                    continue
                return
            taken += 1
            requester.came_ns = clock.monotonic_ns()
            requester.address_size = address_size if 2 < address_size <= <unsigned int>ADDRESS_SIZE else 0
            if size != sizeof(KillRequest) or memcmp(request.magic, MAGIC, 8) != 0:
                self.refused += 1
                answer(self, &requester, KillAnswer.KILL_NOT_UNDERSTOOD, requester.came_ns)
            else:
                on_request(self, &request, &requester, requester.came_ns)

    # ------------------------------------------------------------------ threads that stand still

    void stood_still(Switch *self, Beat *beat, int64_t now_ns) noexcept:
        """Nothing of its exchanges is sent any more, even if it comes back; the watchdog cancels what is out."""
        cdef char[2] word
        cdef uint32_t i
        beat.reported = True
        word[0] = b"X"
        for i in range(self.exchange_count):
            if beat.exchanges & bit_of(i):
                pull(self.line, KillScope.KILL_EXCHANGE, i, KillCause.KILLED_BY_STANDSTILL, now_ns)
                word[1] = <char>i
                if self.watchdog >= 0 and self.progress[i].takes_orders:
                    write(self.watchdog, word, 2)

    void look_at_heartbeats(Switch *self, int64_t now_ns) noexcept:
        """The watchdog hears from us, then every thread is looked at. If we ourselves were stopped (a debugger, a
        suspended machine), everybody's time begins anew."""
        cdef Beat *beat
        cdef uint32_t i
        cdef int64_t value
        cdef bint anew = now_ns - self.looked_ns >= OWN_GAP_NS
        self.looked_ns = now_ns
        if self.watchdog >= 0:
            write(self.watchdog, <const char *>b".", 1)
        for i in range(self.beat_count):
            beat = &self.beats[i]
            value = load_time(beat.heartbeat)
            if value != beat.seen or anew:
                beat.seen, beat.moved_ns = value, now_ns
                beat.reported = False
            elif value and self.standstill_ns and now_ns - beat.moved_ns >= self.standstill_ns and not beat.reported:
                stood_still(self, beat, now_ns)


cdef bytes _name(str name):
    encoded = name.encode()
    if not 0 < len(encoded) < NAME_SIZE:
        raise ValueError(f"name {name!r}: 1 to {NAME_SIZE - 1} bytes are possible")
    return encoded.ljust(NAME_SIZE, b"\0")


cdef class KillSwitch:
    """The kill line of one run and the thread that watches it.

    Parameters
    ----------
    exchanges : sequence of str
        Names, in index order.
    strategies : sequence of str
        Names; the first one is strategy number 1.

    DANGER: native threads hold pointers into this object. Stop them before it dies.
    """

    def __cinit__(self, exchanges, strategies=()):
        cdef bytes name
        cdef uint32_t i
        if len(exchanges) > MOST_EXCHANGES:
            raise ValueError(f"exchanges: {len(exchanges)}, at most {MOST_EXCHANGES} are possible")
        self.switch = <Switch *>zeroed(1, sizeof(Switch))
        self.switch.line = <KillLine *>zeroed(1, sizeof(KillLine))
        self.switch.progress = <KillProgress *>zeroed(MOST_EXCHANGES, sizeof(KillProgress))
        self.switch.socket = self.switch.watchdog = self.switch.told = -1
        self.bell = Doorbell()
        self.switch.bell = self.bell.native
        self.kept_alive = []
        self.exchanges = tuple(exchanges)
        self.switch.exchange_count = len(exchanges)
        for i, each in enumerate(exchanges):
            name = _name(each)
            memcpy(self.switch.exchange_names[i], <const char *>name, NAME_SIZE)
        self.name_strategies(strategies)

    def __dealloc__(self):
        if self.switch is not NULL:
            free(self.switch.progress)
            free(self.switch.line)
        free(self.switch)

    # ---------------------------------------------------------------------------------------- set-up

    def name_strategies(self, names):
        """What strategies 1, 2, ... are called. Before the thread runs."""
        cdef bytes name
        cdef uint32_t i
        if len(names) >= MOST_STRATEGIES:
            raise ValueError(f"strategies: {len(names)}, at most {MOST_STRATEGIES - 1} are possible")
        self.strategies = tuple(names)
        for i, each in enumerate(names):
            name = _name(each)
            memcpy(self.switch.strategy_names[i + 1], <const char *>name, NAME_SIZE)

    def add_bell(self, Doorbell bell):
        """Ring this one too. Before the thread runs; a bell that several loops share counts once."""
        if any(bell is each for each in self.kept_alive):
            return
        if self.switch.bell_count == MOST_THREADS:
            raise ValueError(f"at most {MOST_THREADS} doorbells are possible")
        self.kept_alive.append(bell)
        self.switch.bells[self.switch.bell_count] = bell.native
        self.switch.bell_count += 1

    def add_heartbeat(self, owner, size_t address, exchanges):
        """Look at the heartbeat at `address` (an int64, which `owner` keeps) of the thread that runs the loops of these
        exchanges. Before the thread runs."""
        cdef Beat *beat
        if self.switch.beat_count == MOST_THREADS:
            raise ValueError(f"at most {MOST_THREADS} threads are possible")
        self.kept_alive.append(owner)
        beat = &self.switch.beats[self.switch.beat_count]
        beat.heartbeat = <const int64_t *>address
        for name in exchanges:
            beat.exchanges |= bit_of(self.exchanges.index(name))
        self.switch.beat_count += 1

    def serve(self, int socket=-1, int told=-1, int watchdog=-1, int64_t standstill_ns=0):
        """Descriptors that the thread uses; whoever opened them closes them, after the thread. Before it runs.

        Parameters
        ----------
        socket : int
            A bound datagram socket for requests; -1 = none.
        told : int
            An eventfd that is written when the switch was pulled.
        watchdog : int
            The pipe to the watchdog process.
        standstill_ns : int
            How long a heartbeat may stand still; 0 = for ever.
        """
        self.switch.socket, self.switch.told, self.switch.watchdog = socket, told, watchdog
        self.switch.standstill_ns = standstill_ns

    # ---------------------------------------------------------------------------------------- the thread

    def run(self):
        """The thread's whole life: the target of a threading.Thread."""
        with nogil:
            self._watch()

    cdef void _watch(self) noexcept nogil:
        cdef Switch *switch = self.switch
        cdef pollfd fds[2]
        cdef bint waits
        cdef int64_t now_ns, pause_ns
        while not pending.is_set(&switch.stopping):
            take_requests(switch)
            if load(&switch.line.triggers) != switch.rung:
                switch.rung = load(&switch.line.triggers)
                ring_all(switch)
            now_ns = clock.monotonic_ns()
            waits = answer_waiting(switch, now_ns)
            if now_ns - switch.looked_ns >= LOOK_NS:
                look_at_heartbeats(switch, now_ns)
            pause_ns = SOON_NS if waits else LOOK_NS
            switch.bell.prepare_park()
            if load(&switch.line.triggers) != switch.rung or pending.is_set(&switch.stopping):
                switch.bell.cancel_park()
                continue
            fds[1].fd, fds[1].events, fds[1].revents = switch.socket, POLLIN, 0
            switch.bell.wait(fds, 2 if switch.socket >= 0 else 1, pause_ns)

    def stop(self):
        """Ask the thread to end. Any thread."""
        pending.set_flag(&self.switch.stopping)
        self.bell.native.ring()

    # ---------------------------------------------------------------------------------------- pulling it

    cdef uint32_t _number(self, uint32_t scope, str name) except? 0xffffffff:
        names = self.exchanges if scope == KillScope.KILL_EXCHANGE else self.strategies
        word = "exchange" if scope == KillScope.KILL_EXCHANGE else "strategy"
        if name not in names:
            raise ValueError(f"{word} {name!r}: there are {', '.join(names) or 'none'}")
        return <uint32_t>names.index(name) + (1 if scope == KillScope.KILL_STRATEGY else 0)

    def pull(self, str exchange=None, str strategy=None):
        """Stop everything, or one exchange, or one strategy: gates refuse from this moment on, and exchange threads
        cancel. Returns which trigger this was. Any thread. ValueError for a name that there is not."""
        cdef uint32_t scope = KillScope.KILL_EVERYTHING
        cdef uint32_t number = 0
        cdef uint64_t trigger
        if exchange is not None and strategy is not None:
            raise ValueError("name an exchange or a strategy, not both")
        if exchange is not None or strategy is not None:
            scope = KillScope.KILL_EXCHANGE if exchange is not None else KillScope.KILL_STRATEGY
            number = self._number(scope, exchange if exchange is not None else strategy)
        trigger = pull(self.switch.line, scope, number, KillCause.KILLED_BY_CALL, clock.monotonic_ns())
        self.bell.native.ring()
        return trigger

    def rearm(self, str exchange=None, str strategy=None):
        """Allow again what `pull` stopped: everything, or one exchange or strategy. By hand only."""
        cdef KillLine *line = self.switch.line
        if exchange is not None:
            lower_bits(&line.exchanges, bit_of(self._number(KillScope.KILL_EXCHANGE, exchange)))
        if strategy is not None:
            lower_bits(&line.strategies, bit_of(self._number(KillScope.KILL_STRATEGY, strategy)))
        if exchange is None and strategy is None:
            lower_bits(&line.exchanges, ~<uint64_t>0)
            lower_bits(&line.strategies, ~<uint64_t>0)
            lower_bits(&line.everything, 1)

    # ---------------------------------------------------------------------------------------- looking at it

    @property
    def killed(self):
        """What is stopped: "everything", "exchange NAME", "strategy NAME"; empty when nothing is."""
        cdef KillLine *line = self.switch.line
        found = ["everything"] if load(&line.everything) else []
        found += [f"exchange {name}" for i, name in enumerate(self.exchanges) if load(&line.exchanges) & bit_of(i)]
        return found + [f"strategy {name}" for i, name in enumerate(self.strategies)
                        if load(&line.strategies) & bit_of(i + 1)]

    @property
    def triggers(self):
        """How often it was pulled."""
        return load(&self.switch.line.triggers)

    @property
    def cause(self):
        """KillCause of the last time."""
        return KillCause(load(&self.switch.line.cause))

    @property
    def pulled_ns(self):
        """When it was pulled last, monotonic; 0 = never."""
        return load_time(&self.switch.line.pulled_ns)

    def progress(self, str exchange):
        """What an exchange thread did about the last trigger it saw, as a dict: seen (triggers), cancels (frames
        written), left (orders that could not be cancelled yet), done_ns (monotonic), answer (ExchangeAnswer),
        open_orders (sent and not seen to end)."""
        cdef KillProgress *progress = &self.switch.progress[self._number(KillScope.KILL_EXCHANGE, exchange)]
        return {"seen": load(&progress.seen), "cancels": load(&progress.cancels), "left": load(&progress.left),
                "done_ns": load_time(&progress.done_ns), "answer": ExchangeAnswer(load(&progress.answer)),
                "open_orders": load(&progress.open_orders)}

    @property
    def refused(self):
        """Datagrams that were no requests."""
        return self.switch.refused
