"""Memory of what is compared with an exchange's books; account.pxd and reconciliation.pxd are the ones to read."""
from collections import namedtuple

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from orderflow._core cimport account as account_stage, memory
from orderflow._core.account cimport (
    ENDED_ORDERS, MOST_CHANGES, SEEN_FILLS, AccountChange, EndedOrder, SeenFill, order_mark)
from orderflow._core.codec cimport NO_ASSET
from orderflow._core.index_map cimport Cell
from orderflow._core.types cimport ExecutionReport, Listing

import numpy as np

from orderflow._core.types import LISTING_DTYPE

BalanceView = namedtuple("BalanceView", "known expected told settled misses differs")
HeldView = namedtuple("HeldView", "amounts newest_ns wall_ns seen")
SeenView = namedtuple("SeenView", "trade_id order listing asset exchange_ns")

cdef enum:
    CELL_BITS = 15              # of the map of fills: at least twice as many cells as fills
    MOST_CARRIED = 4096         # fills since the last HELD reports that go over to the next run


cdef class AccountBook:
    """What an exchange's account should hold, and what was seen of it: ExchangeLoop.compare_account.

    Parameters
    ----------
    table : numpy structured array of LISTING_DTYPE
        The engine's listings; kept alive.
    assets : sequence of (int, int), or None
        Of each listing: its base and its quote, as the exchange's asset table numbers them; None for the listings of
        other exchanges.
    asset_count : int
        Assets in that table.
    instance : int
        Of our client order ids (client_id.pxd).
    accepts : bool
        Whether a balance that fills do not explain is told and taken for right, instead of halting its instruments.
    """

    def __init__(self, table, assets, uint32_t asset_count, uint64_t instance, bint accepts=False):
        cdef Account *account = &self.account
        cdef const unsigned char[::1] raw
        cdef uint16_t[::1] numbers
        if table.dtype != LISTING_DTYPE or len(assets) != len(table):
            raise ValueError(f"assets: {len(assets)} entries for a table of {len(table)} listings")
        if SEEN_FILLS * 2 > 1 << CELL_BITS:
            raise AssertionError("too few cells for the map of fills")
        self.kept_alive = [table]
        for place in (0, 1):
            numbers = np.array([NO_ASSET if each is None else each[place] for each in assets] or [NO_ASSET], np.uint16)
            self.kept_alive.append(numbers)
            if place:
                account.quotes = &numbers[0]
            else:
                account.bases = &numbers[0]
        if len(table):
            raw = table.view(np.uint8)
            account.listings = <const Listing *>&raw[0]
        account.listing_count, account.asset_count = len(table), asset_count
        account.instance, account.accepts = instance, accepts
        account.assets = <AssetBook *>memory.zeroed(max(1, asset_count), sizeof(AssetBook))
        account.changes = <AccountChange *>memory.zeroed(MOST_CHANGES, sizeof(AccountChange))
        account.seen = <SeenFill *>memory.zeroed(SEEN_FILLS, sizeof(SeenFill))
        account.by_fill.cells = <Cell *>memory.zeroed(1 << CELL_BITS, sizeof(Cell))
        account.by_fill.mask, account.by_fill.shift = (1 << CELL_BITS) - 1, 64 - CELL_BITS
        account.ended = <EndedOrder *>memory.zeroed(ENDED_ORDERS, sizeof(EndedOrder))

    def __dealloc__(self):
        free(self.account.assets)
        free(self.account.changes)
        free(self.account.seen)
        free(self.account.by_fill.cells)
        free(self.account.ended)

    @property
    def counts(self):
        """What was seen, as a dict: `rounds` that were equal, fills of ours that a round `found` before the stream told
        them, orders that a round did not find (`doubted`), `foreign_orders` that were open in the last round, fills of
        listings that this run does not have (`unread_fills`). Approximate while the thread runs."""
        return {"rounds": self.account.rounds, "found": self.account.found, "doubted": self.account.doubted,
                "foreign_orders": self.account.foreign_orders, "unread_fills": self.account.unread_fills}

    def balance(self, uint32_t asset):
        """BalanceView of an asset, amounts in 1e-18; to be looked at only while no thread uses it."""
        self._check(asset)
        cdef const AssetBook *book = &self.account.assets[asset]
        return BalanceView(bool(book.is_known), expected(book), book.told, bool(book.settled),
                           book.misses, bool(book.differs))

    def resume(self, held):
        """Begin with what the run before left, a HeldView in the numbers of this one; before the thread runs."""
        cdef SeenFill fill
        for asset, (amount, fills) in held.amounts.items():
            self._check(asset)
            resume(&self.account, asset, amount, fills)
        for one in held.seen:
            fill.listing = one.listing
            fill.further = 0 if one.asset is None else one.asset + 1
            fill.trade_id = one.trade_id
            fill.order = <uint64_t>one.order ^ order_mark(fill.listing, fill.further)
            fill.exchange_ns = one.exchange_ns
            account_stage.remember(&self.account, &fill)
        self.account.held_ns, self.account.held_wall_ns = held.newest_ns, held.wall_ns
        self.account.newest_ns = max(self.account.newest_ns, self.account.held_ns)
        cut_off(&self.account, held.newest_ns)

    @property
    def held(self):
        """HeldView of what this run leaves: by number of an asset the amount, in 1e-18, and fills since the exchange
        agreed; exchange and wall time of what was written down last; the fills since, which are in the amounts. None:
        there are too many. To be looked at only while no thread uses it."""
        cdef uint64_t i
        cdef uint32_t number
        cdef const SeenFill *fill
        if self.account.seen_count - self.account.held_count > <uint64_t>MOST_CARRIED:
            return None
        amounts = {}
        for number in range(self.account.asset_count):
            if self.account.assets[number].is_known:
                amounts[number] = expected(&self.account.assets[number]), self.account.assets[number].fills
        seen = []
        for i in range(self.account.held_count, self.account.seen_count):
            fill = &self.account.seen[i & (SEEN_FILLS - 1)]
            seen.append(SeenView(fill.trade_id, fill.order ^ order_mark(fill.listing, fill.further), fill.listing,
                                 fill.further - 1 if fill.further else None, fill.exchange_ns))
        return HeldView(amounts, self.account.held_ns, self.account.held_wall_ns, seen)

    def _check(self, uint32_t asset):
        if asset >= self.account.asset_count:
            raise IndexError(f"asset {asset} is not one of {self.account.asset_count}")

    # What the exchange thread does with it, one step at a time: for tests.

    def take_fill(self, record):
        """A fill, as one EXECUTION_REPORT_DTYPE record; False if it was told before."""
        cdef ExecutionReport report
        cdef bytes raw = record.tobytes()
        if len(raw) != sizeof(ExecutionReport):
            raise TypeError(f"expected one record of EXECUTION_REPORT_DTYPE, got {record.dtype}")
        memcpy(&report, <const char *>raw, sizeof(ExecutionReport))
        return account_stage.take_fill(&self.account, &report)

    def begin_round(self, uint64_t number, int64_t now_ns=0):
        """What is asked from now on is of this round."""
        begin(&self.account, number, now_ns)

    def hear(self, uint16_t asset, int64_t amount, uint8_t decimals):
        """The exchange says that the account holds so much of an asset."""
        self._check(asset)
        hear(&self.account, asset, amount, decimals)

    def settle(self, bint is_final):
        """(balances that do not agree, balances that are not known yet); `is_final`: the stream has had its time."""
        left = settle(&self.account, is_final)
        return left, self.account.round.learning

    def end_round(self):
        """Assets whose difference this round has concluded; they differ until they are accepted."""
        cdef uint32_t i
        found = []
        for i in range(self.account.asset_count):
            if is_concluded(&self.account.assets[i]):
                self.account.assets[i].differs = 1
                found.append(i)
        abandon(&self.account)
        return found

    def accept(self, uint32_t asset):
        """What the exchange shows of an asset from now on is right."""
        self._check(asset)
        accept(&self.account.assets[asset])
