"""RUN_START says what the integers of its journal stand for, without any other file."""
import json
from dataclasses import replace
from decimal import Decimal

import pytest

from orderflow._core import journal
from orderflow._core.journal import RecordKind
from orderflow.cli.scenario import Demonstration, Plan
from orderflow.run_start import RunStart, RunStartError


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    with Demonstration(Plan(server="direct", seconds=4, seed=5, directory=str(directory))) as shown:
        outcome = shown.run()
        engine = shown.engine
        facts = {"listings": list(engine.core.listings), "instruments": list(engine.core.instruments),
                 "parent": outcome.parent, "assets": {one.settings.name: one.assets for one in engine.sessions}}
    return directory, facts


def test_a_journal_is_readable_by_itself(demonstration):
    """Quantity, notional and fees of the parent, from nothing but the journal, are what the engine said."""
    directory, facts = demonstration
    records = list(journal.read(directory))
    start = RunStart.load(records[0].decode())
    assert start.listings == facts["listings"] and start.instruments == facts["instruments"]
    filled, notional, fees, seen = Decimal(0), Decimal(0), {}, set()
    children = {int(record.decode()["client_order_id"]) for record in records if record.kind == RecordKind.INTENT
                and record.decode()["parent_id"] == facts["parent"].id}
    for record in records:
        if record.kind != RecordKind.REPORT:
            continue
        report = record.decode()
        fill = int(report["client_order_id"]), int(report["trade_id"])
        if fill[0] not in children or not report["last_quantity"] or fill in seen:
            continue
        seen.add(fill)
        listing = start.listings[report["listing"]]
        quantity = Decimal(listing.quantity_text(report["last_quantity"]))
        filled += quantity
        notional += quantity * Decimal(listing.price_text(report["last_price"]))
        asset = start.assets_of(report["listing"])[report["fee_asset"]]
        fees[asset] = fees.get(asset, 0) + Decimal(int(report["fee"])).scaleb(-int(report["fee_decimals"]))
    parent = facts["parent"]
    assert filled == parent.filled > 0 and notional / filled == parent.average_price and fees == parent.fees
    assert {each.name: each.assets for each in start.exchanges} == facts["assets"]


def test_it_comes_back_as_it_was_written(demonstration):
    start = RunStart.load(next(journal.read(demonstration[0])).decode())
    assert RunStart.load(start.fields()) == start


def test_charges_come_back_too_and_older_runs_had_none(demonstration):
    start = RunStart.load(next(journal.read(demonstration[0])).decode())
    listing = replace(start.listings[0], ticket=Decimal("0.5"), fee_tiers=((Decimal(2), Decimal("0.0001")),))
    again = RunStart.load(json.loads(json.dumps(replace(start, listings=[listing]).fields())))
    assert again.listings == [listing]
    older = start.fields()
    for fields in older["listings"]:
        del fields["ticket"], fields["fee_tiers"]
    assert RunStart.load(older) == start


@pytest.mark.parametrize(("change", "message"), [
    (lambda fields: fields.pop("listings"), "has no 'listings'"),
    (lambda fields: fields["exchanges"][0].update(colour="red"), "colour"),
    (lambda fields: fields["listings"][0].update(tick="x"), "cannot be read"),
])
def test_one_of_another_version_says_what_is_missing(demonstration, change, message):
    fields = next(journal.read(demonstration[0])).decode()
    change(fields)
    with pytest.raises(RunStartError, match=message):
        RunStart.load(fields)


def test_native_objects_are_made_again_as_the_run_had_them(demonstration):
    """By name and table; other listings than the run traded make another table, and that is said."""
    directory, facts = demonstration
    start = RunStart.load(next(journal.read(directory)).decode())
    sessions, core = start.build()
    assert core.listings == facts["listings"] and core.instruments == facts["instruments"]
    assert [session.settings.name for session in sessions] == list(core.loops) == list(facts["assets"])
    changed = [replace(start.listings[0], tick=2 * start.listings[0].tick), *start.listings[1:]]
    with pytest.raises(RunStartError, match=f"another table than the run had.*orderflow {start.version}"):
        replace(start, listings=changed).build()
