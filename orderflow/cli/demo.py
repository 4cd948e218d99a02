"""`orderflow demo`: three simulated exchanges, a cross-exchange strategy, a parent order too large for any of them."""
from __future__ import annotations

import sys
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from orderflow.cli import CHECK_FAILED, GOOD, output

if TYPE_CHECKING:
    from orderflow.cli.scenario import Demonstration, Outcome


class Server(StrEnum):
    """What moves the bytes."""

    DIRECT = "direct"
    SYNC = "sync"
    ASYNC = "async"


class Router(StrEnum):
    """Where a parent order may go: everywhere at once, or to the one exchange that is best for all of it."""

    BEST = "best"
    SINGLE = "single"


def command(
    seconds: Annotated[float, typer.Option(min=1.0, max=3600.0, help="How long it runs.")] = 20.0,
    seed: Annotated[int, typer.Option(help="Of the simulated traders.")] = 7,
    server: Annotated[Server, typer.Option(help="direct runs on a virtual clock, as fast as it can.")] = Server.SYNC,
    router: Annotated[Router, typer.Option(help="single sends the parent order to one exchange, to compare.")]
    = Router.BEST,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> int:
    """Trade on three simulated exchanges: no network, no keys.

    Exit code 1: something is unaccounted for; the lines say what.
    """
    from orderflow.cli.run import ended_by_signal
    from orderflow.cli.scenario import Demonstration, Plan

    plan = Plan(seconds, seed, server.value, router.value)
    with ended_by_signal() as ended:            # Ctrl-C ends it early, with what there is to tell
        if as_json:
            with Demonstration(plan) as demonstration:
                outcome = demonstration.run(_progress, over=lambda: ended)
            output.end_progress()
        else:
            outcome = _shown(plan, ended)
    if as_json:
        output.result(document(outcome))
    else:
        for line in lines(outcome):
            output.text(line)
    for difference in outcome.differences:
        output.warn(difference)
    return CHECK_FAILED if outcome.differences else GOOD


def _progress(demonstration: Demonstration) -> None:
    output.progress(f"{demonstration.passed_s:.0f} of {demonstration.plan.seconds:.0f} s")


def _shown(plan, ended: list[int]) -> Outcome:
    """The run on a live screen, or with a few lines where there is no terminal."""
    from orderflow.cli.scenario import Demonstration

    with Demonstration(plan) as demonstration:
        if not sys.stdout.isatty():
            return demonstration.run(_told(), over=lambda: ended)
        from orderflow.cli.screen import LiveScreen

        title = f"orderflow demo   server {plan.server}   router {plan.policy}   seed {plan.seed}"
        with LiveScreen(demonstration.engine, title, problems=demonstration.problems) as screen:
            return demonstration.run(lambda one: screen.show(one.passed_s, one.plan.seconds, one.parent_id),
                                     over=lambda: ended)


def _told():
    """A watcher that says in lines what happens: that it runs, and how the parent order comes along."""
    from orderflow.cli import summary

    said: set[str] = set()

    def say(key: str, line: str) -> None:
        if key not in said:
            said.add(key)
            output.text(line)

    def watch(demonstration: Demonstration) -> None:
        engine, plan = demonstration.engine, demonstration.plan
        names = ", ".join(f"{one.settings.name} ({one.protocol})" for one in engine.sessions)
        say("began", f"running {plan.seconds:g} s on {names}: server {plan.server}, router {plan.policy}, "
                     f"seed {plan.seed}")
        parent = engine.parent(demonstration.parent_id) if demonstration.parent_id else None
        if parent is not None:
            say("parent", f"parent order: {parent.side.lower()} {summary.text(parent.quantity)} {parent.instrument}, "
                          f"arrival price {summary.text(parent.arrival_price)}")
        if parent is not None and parent.done:
            say("done", f"parent order: {parent.filled / parent.quantity:.0%} filled after "
                        f"{demonstration.passed_s:.1f} s of the run")

    return watch


# -- the result -----------------------------------------------------------------------------------------------------


def profit(outcome: Outcome) -> dict[str, str | None]:
    """By asset and in total, after fees, marked to the last mid of all books."""
    from orderflow.cli import summary

    listing = outcome.engine.core.listings[0]
    prices = {listing.base: outcome.mid} if outcome.mid is not None else {}
    return summary.profit(summary.flows(outcome.engine), prices, listing.quote)


def document(outcome: Outcome) -> dict:
    """What `--json` prints; money as decimal text, times in nanoseconds."""
    from orderflow.cli import summary

    engine = outcome.engine
    return {
        "server": outcome.plan.server,
        "seconds": outcome.plan.seconds,
        "exchanges": outcome.exchanges,
        "parents": [summary.parent(state) for state in sorted(engine.parents(), key=lambda state: state.id)],
        "orders": outcome.orders.counts(),
        "conservation": not outcome.differences,
        "position": summary.positions(engine),
        "pnl": profit(outcome),
        "latency_ns": summary.latency(engine),
        "orders_sha256": outcome.orders.sha256,
    }


def lines(outcome: Outcome) -> list[str]:
    """The end of the demonstration in words that a trader uses."""
    return ["", *_parent_lines(outcome), "", *_books_lines(outcome), "", *_latency_lines(outcome), "",
            *_verdict(outcome)]


def _parent_lines(outcome: Outcome) -> list[str]:
    from orderflow.cli import summary

    parent = outcome.parent
    if parent is None:
        return ["The run was too short for a parent order."]
    base, _, quote = parent.instrument.partition("-")
    found = [f"Parent order   {parent.side.lower()} {summary.text(parent.quantity)} {base}: {_ended(parent)}"]
    if parent.average_price is None:
        return found
    rows = [("", base, "share", f"average {quote}", "fees")]
    for exchange, part in parent.by_exchange.items():
        fees = " + ".join(f"{amount:.6f} {asset}" if asset == base else f"{amount:,.2f} {asset}"
                          for asset, amount in part["fees"].items())
        rows.append((exchange, f"{part['filled']:.5f}", f"{part['filled'] / parent.filled:.0%}",
                     f"{part['average_price']:,.2f}", fees))
    rows.append(("all", f"{parent.filled:.5f}", f"{parent.filled / parent.quantity:.0%}",
                 f"{parent.average_price:,.2f}", f"{parent.fees_quote:,.2f} {quote}"))
    summary.table(rows, write=found.append)
    found.append(f"  arrival price {parent.arrival_price:,.2f}, slippage {parent.slippage_bps:+.2f} bps; "
                 f"all in {parent.all_in_price:,.2f} {quote}")
    return found + _comparison(outcome, quote)


def _ended(parent) -> str:
    """How a parent order ended, or that it has not."""
    if parent.filled == parent.quantity:
        return f"filled with {parent.children} orders"
    why = {"END_TIME": "its time ran out", "BELOW_MINIMUM_REMAINS": "what remains is below every exchange's minimum",
           "NO_LIQUIDITY": "nothing was offered within its limit"}.get(parent.reason, parent.reason)
    return (f"{parent.filled / parent.quantity:.2%} filled with {parent.children} orders; "
            + (why if parent.done else "it still works"))


def _comparison(outcome: Outcome, quote: str) -> list[str]:
    """Against buying all of it on one exchange, at the moment of arrival."""
    if not outcome.alone:
        return []
    parent = outcome.parent
    best = min(outcome.alone, key=outcome.alone.get)
    saved = outcome.alone[best] - parent.all_in_price
    return [f"  {best} alone, the best single exchange, would have been {outcome.alone[best]:,.2f} all in "
            f"({saved / parent.all_in_price * 10_000:+.2f} bps, {saved * parent.filled:+,.2f} {quote})"]


def _books_lines(outcome: Outcome) -> list[str]:
    """Position, profit, orders."""
    from orderflow.cli import summary

    engine, earned, counts = outcome.engine, profit(outcome), outcome.orders.counts()
    instrument, held = next(iter(summary.positions(engine).items()))
    parts = ", ".join(f"{name} {net}" for name, net in held.items() if name != "total")
    total = f"{Decimal(earned['total']):+,.2f} {earned['currency']}" if earned["total"] else "unknown"
    return [f"Position       {held['total']} {instrument} ({parts})",
            f"Profit, loss   {total} after fees at the last mid" + (f" of {outcome.mid:,.2f}" if outcome.mid else ""),
            f"Strategy       {outcome.trades} dislocations traded",
            "Orders         " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())]


def _latency_lines(outcome: Outcome) -> list[str]:
    from orderflow.cli import summary

    rows = [("", "count", "p50 us", "p99 us")]
    for stage, found in summary.latency(outcome.engine).items():
        rows.append((stage.replace("_", " "), f"{found['count']:,}", f"{found['p50'] / 1000:,.1f}",
                     f"{found['p99'] / 1000:,.1f}"))
    written = ["Latency"]
    summary.table(rows, write=written.append)
    if outcome.plan.server == "direct":
        written.append("  (on a virtual clock only the work on a frame takes time)")
    return written


def _verdict(outcome: Outcome) -> list[str]:
    from orderflow.cli.reconcile import recorded

    theirs, _ = recorded(outcome.truth)
    if outcome.differences:
        return [f"NOT ACCOUNTED FOR: {len(outcome.differences)} differences from the exchanges' own records"]
    return [f"All {len(theirs)} orders agree with the exchanges' own records: quantity, cash, fees and balances.",
            f"orders_sha256  {outcome.orders.sha256}"]
