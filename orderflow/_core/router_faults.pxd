"""What must not be: an invariant is broken.

Router thread only.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from orderflow._core cimport kill
from orderflow._core.kill cimport KillCause, KillScope
from orderflow._core.router_state cimport RouterState
from orderflow._core.types cimport TradingState


cdef nogil:
    inline void fail(RouterState *self, uint32_t code, uint64_t subject, int64_t now_ns) noexcept:
        """An invariant is broken: nothing new goes out, and what is out is cancelled, until a person has looked. This
        thread goes on, because what is filled meanwhile must be counted."""
        self.faults += 1
        self.risk.state = TradingState.HALTED
        if self.fault.code and kill.load(&self.kill_line.everything):
            return                          # the first says most, and the rest follows from it
        self.fault.sequence = self.log.sequence
        self.fault.subject = subject
        self.fault.event_ns = now_ns
        self.fault.code = code
        kill.pull(self.kill_line, KillScope.KILL_EVERYTHING, 0, KillCause.KILLED_BY_FAULT, now_ns)
        self.kill_bell.ring()
