"""How often one may come: a bucket that fills at a steady rate and holds a burst."""

import math


class TokenBucket:
    """`per_s` a second, and at most `burst` at once. Its memory is two numbers, whoever comes."""

    def __init__(self, per_s: float, burst: float, now_s: float) -> None:
        assert per_s > 0
        assert burst >= 1
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._at_s = now_s

    def wait_s(self, now_s: float) -> int:
        """Take a token; 0 where there was one, else whole seconds until there is (monotonic seconds in)."""
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._tokens >= 1:
            self._tokens -= 1
            return 0
        return max(1, math.ceil((1 - self._tokens) / self._per_s))
