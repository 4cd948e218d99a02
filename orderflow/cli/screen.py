"""The live screen: a consolidated ladder, the parent order, positions, books and latency. 100 columns, 30 lines.

Drawn as a whole into the terminal's second buffer, ten times a second, by the thread that calls `show`; whatever the
native threads do meanwhile, they do not wait for it.
"""
from __future__ import annotations

import contextlib
from collections.abc import Sequence
from decimal import Decimal

from rich import box
from rich.console import Console, Group
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orderflow._core.conversion import converted
from orderflow._core.types import Side
from orderflow.cli import summary
from orderflow.consolidated import rates_of
from orderflow.engine import Engine
from orderflow.instrument import RATE_DECIMALS, from_scaled, in_instrument, place_of
from orderflow.parents import ParentState
from orderflow.research.market_data import MarketData

WIDTH, HEIGHT = 100, 30
LEVELS = 8
#: One an exchange, in order; red and green are kept for sides.
COLOURS = ("cyan", "yellow", "magenta", "blue", "bright_cyan", "bright_yellow", "bright_magenta", "bright_blue")
STATES = {"LIVE": "green", "SYNCING": "yellow", "EMPTY": "yellow", "STALE": "red"}
BLOCK, REST = "█", "─"
LADDER_BAR, FILLED_BAR, PARENT_BAR = 16, 30, 11


class LiveScreen:
    """Shows one instrument of a running engine; a context manager.

    Parameters
    ----------
    title : str
        Of the first line.
    instrument : str
        What the ladder shows; empty = the engine's first.
    problems : sequence of str
        What was reported so far; the last one is shown at the bottom.
    """

    def __init__(self, engine: Engine | MarketData, title: str, instrument: str = "", problems: Sequence[str] = (),
                 console: Console | None = None):
        self.engine = engine
        self.title = title
        self.problems = problems
        self.instrument = engine.instruments[instrument or next(iter(engine.instruments))]
        self.listings = [(index, engine.core.listings[index]) for index in self.instrument.listings]
        self._places = {index: place_of(engine.core.listings, index) for index, _ in self.listings}
        self.colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(self._places.values())}
        self._rates = [(0, 0)] * len(engine.core.listings)
        self._entries: dict[int, object] = {}
        self._console = console or Console()
        self._wide = self._console.width >= WIDTH       # a narrower one does without the ladder's bars and protocols
        self._left = WIDTH - 42 if self._wide else WIDTH - 42 - LADDER_BAR - 1
        self.levels = max(3, min(LEVELS, (self._console.height - HEIGHT) // 2 + LEVELS))
        self._live = Live(console=self._console, screen=True, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> LiveScreen:
        self._live.start()
        return self

    def __exit__(self, *_) -> None:
        self._live.stop()

    def show(self, passed_s: float, seconds: float | None, parent_id: int = 0) -> None:
        """Draw everything as it is now."""
        self._live.update(self.render(passed_s, seconds, parent_id), refresh=True)

    def render(self, passed_s: float, seconds: float | None, parent_id: int = 0) -> Layout:
        """The whole screen; `seconds` None = without an end, `parent_id` 0 = no parent order."""
        self._read()
        whole, upper, lower = Layout(), Layout(name="upper"), Layout(name="lower", size=7)
        rows = 2 * self.levels + 5
        upper.split_row(Layout(self._ladder(), size=self._left), self._side(rows, parent_id))
        lower.split_row(Layout(self._exchanges(), size=self._left), Layout(self._latency()))
        upper.size = rows
        problem = self.problems[-1] if self.problems else ""
        foot = Text(f" {problem}", style="yellow", no_wrap=True, overflow="ellipsis")
        whole.split_column(Layout(self._head(passed_s, seconds), size=1), upper, lower, Layout(foot))
        frame = Layout()
        frame.split_row(Layout(whole, size=min(WIDTH, self._console.width)), Layout(Text(" ")))
        return frame if self._console.width > WIDTH else whole

    def _side(self, rows: int, parent_id: int) -> Layout:
        """Beside the ladder: what is traded, or, where nothing trades, every book by itself."""
        if isinstance(self.engine, MarketData):
            return Layout(self._books(self.engine, rows - 2))
        side = Layout()
        side.split_column(Layout(self._parent(self.engine, parent_id), size=rows - 7),
                          Layout(self._position(self.engine), size=7))
        return side

    def _read(self) -> None:
        """The boards as they are; one that is being written at every attempt keeps its last look."""
        for index, _ in self.listings:
            try:
                self._entries[index] = self.engine.core.board.read(index)
            except BlockingIOError:
                continue
        with contextlib.suppress(BlockingIOError):
            self._rates = rates_of(self.engine.core.table, self.engine.core.board.read)

    # -- parts ------------------------------------------------------------------------------------------------------

    def _head(self, passed_s: float, seconds: float | None) -> Text:
        text = Text(no_wrap=True)
        if isinstance(self.engine, Engine) and self.engine.paper:
            text.append(" PAPER TRADING ", style="bold black on yellow")
        text.append(f" {self.title}", style="bold")
        end = f" of {seconds:.0f}" if seconds else ""
        clock = f"{passed_s:5.1f}{end} s "
        text.append(" " * max(1, min(WIDTH, self._console.width) - text.cell_len - len(clock)) + clock, style="dim")
        return text

    def _levels(self, side: str) -> list[tuple[Decimal, dict[str, Decimal]]]:
        """Best price first, in the instrument's currency: who offers how much at each price of any LIVE book."""
        merged: dict[Decimal, dict[str, Decimal]] = {}
        taker, place = (Side.BUY, 0) if side == "ask" else (Side.SELL, 1)
        for index, listing in self.listings:
            entry, rate = self._entries.get(index), self._rates[index][place]
            if entry is None or self.engine.book_state(index) != "LIVE" or (listing.convert and not rate):
                continue
            for level in entry[side + "s"][:int(entry[side + "_count"])]:
                scaled = converted(in_instrument(listing, self.instrument, int(level["price"])), rate, taker)
                parts = merged.setdefault(from_scaled(scaled, self.instrument.price_decimals), {})
                parts[self._places[index]] = from_scaled(level["quantity"], listing.quantity_decimals)
        return sorted(merged.items(), reverse=side == "bid")[:self.levels]

    def _ladder(self) -> Panel:
        asks, bids = self._levels("ask"), self._levels("bid")
        largest = max((sum(parts.values()) for _, parts in (*asks, *bids)), default=Decimal(1)) or Decimal(1)
        table = Table.grid(padding=(0, 1), expand=False)
        table.add_column(justify="right", width=10)
        for _ in self.listings:
            table.add_column(justify="right", width=max(6, min(8, 24 // len(self.listings))))
        if self._wide:
            table.add_column(width=LADDER_BAR, no_wrap=True)
        table.add_row(Text("price", style="dim"), *(Text(name, style=colour) for name, colour in self.colours.items()),
                      *([Text("together", style="dim")] if self._wide else []))
        for _ in range(self.levels - len(asks)):
            table.add_row("")
        for price, parts in reversed(asks):
            table.add_row(*self._level(price, parts, "red", largest))
        table.add_row(*self._middle(asks, bids))
        for price, parts in bids:
            table.add_row(*self._level(price, parts, "green", largest))
        return _panel(table, self.instrument.name)

    def _level(self, price: Decimal, parts: dict[str, Decimal], style: str, largest: Decimal) -> list[Text]:
        cells = [Text(f"{price:,.2f}", style=style)]
        cells += [Text(f"{parts[name]:.3f}", style=colour) if name in parts else Text("·", style="bright_black")
                  for name, colour in self.colours.items()]
        return [*cells, self._stacked(parts, largest, LADDER_BAR)] if self._wide else cells

    def _middle(self, asks: list, bids: list) -> list[Text]:
        if not asks or not bids:
            return [Text("no market", style="dim")]
        best_ask, best_bid = asks[0][0], bids[0][0]
        spread = (best_ask - best_bid) / (best_ask + best_bid) * 20_000
        mid = Text(f"{(best_ask + best_bid) / 2:,.2f}", style="bold")
        word = Text(f"spread {spread:.1f} bps" if spread >= 0 else f"crossed {-spread:.1f} bps", style="dim")
        return [mid, *(Text("") for _ in self.listings), word] if self._wide else [mid]

    def _stacked(self, parts: dict[str, Decimal], largest: Decimal, width: int) -> Text:
        """One bar, the exchanges' parts beside each other; rounding never makes it longer than it is."""
        bar, done, until = Text(no_wrap=True), 0, Decimal(0)
        for name, colour in self.colours.items():
            until += parts.get(name, Decimal(0))
            cells = int(until / largest * width + Decimal("0.5")) - done
            bar.append(BLOCK * cells, style=colour)
            done += cells
        return bar

    def _books(self, data: MarketData, rows: int) -> Panel:
        table = Table.grid(padding=(0, 1))
        for width, justify in ((18, "left"), (8, "right"), (8, "right")):
            table.add_column(width=width, justify=justify, no_wrap=True)
        for index, listing in enumerate(data.core.listings[:rows]):
            state = data.book_state(index)
            name = Text(f"{listing.exchange} {listing.symbol}", style=STATES[state])
            entry = data.core.board.read(index) if state == "LIVE" else None
            sides = [listing.price_text(entry[f"{side}s"][0]["price"]) if entry[f"{side}_count"] else "-"
                     for side in ("bid", "ask")] if entry is not None else [state, ""]
            table.add_row(name, *sides)
        return _panel(table, "Books")

    def _parent(self, engine: Engine, parent_id: int) -> Panel:
        state = engine.parent(parent_id) if parent_id else None
        if state is None:
            return _panel(Text("\nnone yet", style="dim"), "Parent order")
        return _panel(Group(*self._parent_text(state), Text(), self._parent_bars(state)), "Parent order")

    def _parent_text(self, state: ParentState) -> list[Text]:
        done = state.filled / state.quantity
        head = Text(f"{state.side.lower()} {summary.text(state.quantity)} {state.instrument}", style="bold")
        parts = {name: part["filled"] for name, part in state.by_exchange.items()}
        bar = self._stacked(parts, state.quantity, FILLED_BAR)
        bar.append(REST * (FILLED_BAR - bar.cell_len), style="bright_black")
        bar.append(f" {done:>4.0%}")
        status = state.status.removeprefix("PARENT_").replace("_", " ").lower()
        reason = "" if state.reason == "OK" else f": {state.reason.replace('_', ' ').lower()}"
        prices = Text("arrival ")
        prices.append(f"{state.arrival_price:,.2f}" if state.arrival_price else "none", style="bold")
        if state.average_price is not None:
            prices.append("   average ")
            prices.append(f"{state.average_price:,.2f}", style="bold")
        slippage = f"slippage {state.slippage_bps:+.2f} bps, " if state.slippage_bps is not None else ""
        return [head, bar, Text(), prices, Text(f"{slippage}{state.children} orders, {status}{reason}", no_wrap=True)]

    def _parent_bars(self, state: ParentState) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=7)
        table.add_column(width=PARENT_BAR, no_wrap=True)
        table.add_column(justify="right", width=8)
        table.add_column(justify="right", width=9)
        largest = max((part["filled"] for part in state.by_exchange.values()), default=Decimal(1))
        for name, colour in self.colours.items():
            part = state.by_exchange.get(name)
            if part is None:
                table.add_row(Text(name, style=colour), Text("·", style="bright_black"))
                continue
            table.add_row(Text(name, style=colour), self._stacked({name: part["filled"]}, largest, PARENT_BAR),
                          f"{part['filled']:.3f}", f"{part['average_price']:,.2f}")
        return table

    def _position(self, engine: Engine) -> Panel:
        table = Table.grid(padding=(0, 2))
        table.add_column(width=10)
        table.add_column(justify="right", width=13)
        held = summary.positions(engine)[self.instrument.name]
        for name, net in held.items():
            if name != "total":
                table.add_row(Text(name, style=self.colours[name]), net)
        table.add_row(Text("together", style="bold"), Text(held["total"], style="bold"))
        mid = summary.mid(engine, self.instrument.name)
        base, quote = self.listings[0][1].base, self.listings[0][1].priced_in
        prices = {listing.quote: from_scaled(self._rates[index][1], RATE_DECIMALS)
                  for index, listing in self.listings if self._rates[index][1]} | ({base: mid} if mid else {})
        total = summary.profit(summary.flows(engine), prices, quote)["total"]
        if total is not None:
            table.add_row("profit", Text(f"{Decimal(total):+,.2f}", style="green" if Decimal(total) >= 0 else "red"),
                          Text(quote, style="dim"))
        return _panel(table, "Position")

    def _exchanges(self) -> Panel:
        table = Table.grid(padding=(0, 1))
        for width, justify in ((8, "left"), (7, "left"), (8, "right"), (4, "right"), (7, "right"), (13, "right")):
            if self._wide or width < 13:
                table.add_column(width=width, justify=justify, no_wrap=True)
        words = ("", "book", "frames", "gaps", "resyncs", "protocol")[:6 if self._wide else 5]
        table.add_row(*(Text(word, style="dim") for word in words))
        for found in summary.exchanges(self.engine):
            states = set(found["books"].values())
            worst = next((state for state in ("STALE", "EMPTY", "SYNCING", "LIVE") if state in states), "EMPTY")
            cells = (Text(found["name"], style=self.colours.get(found["name"], "")), Text(worst, style=STATES[worst]),
                     f"{found['frames']:,}", str(found["gaps"]), str(found["resyncs"]))
            table.add_row(*cells, *([found["protocol"]] if self._wide else []))
        return _panel(table, "Exchanges")

    def _latency(self) -> Panel:
        table = Table.grid(padding=(0, 1))
        for width, justify in ((17, "left"), (6, "right"), (6, "right"), (6, "right")):
            table.add_column(width=width, justify=justify, no_wrap=True)
        table.add_row(*(Text(word, style="dim") for word in ("", "count", "p50 us", "p99 us")))
        measured = summary.latency(self.engine)
        for stage in summary.STAGES:
            found = measured.get(stage)
            cells = (f"{found['count']:,}", *(_microseconds(found[each]) for each in ("p50", "p99"))) if found else ()
            table.add_row(stage.replace("_", " "), *cells)
        return _panel(table, "Latency")


def _microseconds(nanoseconds: int) -> str:
    """At most six characters."""
    return f"{nanoseconds / 1000:,.1f}" if nanoseconds < 1_000_000 else f"{nanoseconds / 1000:,.0f}"


def _panel(content, title: str) -> Panel:
    return Panel(content, title=f"[dim]{title}[/dim]", title_align="left", border_style="bright_black", box=box.ROUNDED)
