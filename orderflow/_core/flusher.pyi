from orderflow._core.doorbell import Doorbell
from orderflow._core.segments import SegmentFiles

class Flusher:
    files: SegmentFiles
    bell: Doorbell
    at_once: bool
    flushes: int
    def __init__(self, files: SegmentFiles, at_once: bool) -> None: ...
    def ring_when_durable(self, bell: Doorbell) -> None: ...
    def stop(self) -> None: ...
