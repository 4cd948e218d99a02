"""A token bucket: so many messages in a period, at most that many saved.

Tokens are kept as the time that it took to earn them, so that nothing is rounded and nothing is refilled by a timer.
"""
from libc.stdint cimport int64_t


cdef struct TokenBucket:        # `rate` tokens every `period_ns`, at most `rate` saved; rate 0 = not limited
    int64_t period_ns
    int64_t rate
    int64_t credit_ns           # time worth of tokens; a token costs period_ns / rate. Below zero: owed
    int64_t refilled_ns


cdef nogil:
    inline void refill(TokenBucket *bucket, int64_t now_ns) noexcept:
        bucket.credit_ns += now_ns - bucket.refilled_ns if now_ns > bucket.refilled_ns else 0
        bucket.refilled_ns = now_ns
        if bucket.credit_ns > bucket.period_ns:
            bucket.credit_ns = bucket.period_ns

    inline bint has_token(TokenBucket *bucket, int64_t now_ns, int64_t reserve) noexcept:
        """Whether there is a token and `reserve` more of them; nothing is taken."""
        if bucket.rate == 0:
            return True
        refill(bucket, now_ns)
        return bucket.credit_ns >= bucket.period_ns // bucket.rate * (1 + reserve)

    inline void spend_token(TokenBucket *bucket, int64_t now_ns) noexcept:
        """Take a token, also where there is none: it is owed then, but never more than a period's worth."""
        if bucket.rate == 0:
            return
        refill(bucket, now_ns)
        bucket.credit_ns -= bucket.period_ns // bucket.rate
        if bucket.credit_ns < -bucket.period_ns:
            bucket.credit_ns = -bucket.period_ns

    inline int64_t spent(const TokenBucket *bucket) noexcept:
        """Tokens of a period that are gone, as of the last refill."""
        return bucket.rate - bucket.credit_ns // (bucket.period_ns // bucket.rate)
