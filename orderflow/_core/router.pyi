from enum import IntEnum

class RoutePolicy(IntEnum):
    BEST = 0
    SINGLE = 1

