from collections.abc import Iterator

from orderflow._core.journal_scan import JournalScan
from orderflow._core.orders import Orders
from orderflow._core.reconciliation import AccountBook
from orderflow._core.residuals import ResidualLedger

class Recovery(Orders):
    records: int
    wall_offset_ns: int
    refused: int
    def follow(self, book: AccountBook) -> None: ...
    def follow_residuals(self, ledger: ResidualLedger) -> None: ...
    def replay(self, scan: JournalScan) -> Iterator[bytes]: ...
