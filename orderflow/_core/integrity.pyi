from enum import IntEnum

class SyncRule(IntEnum):
    CONTIGUOUS_RANGE = 1
    PREVIOUS_ID = 2
    IN_BAND = 3
    NEWER = 4

