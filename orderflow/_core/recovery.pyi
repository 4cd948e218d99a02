from collections.abc import Iterator

from orderflow._core.journal_scan import JournalScan
from orderflow._core.orders import Orders

class Recovery(Orders):
    records: int
    wall_offset_ns: int
    refused: int
    def replay(self, scan: JournalScan) -> Iterator[bytes]: ...
