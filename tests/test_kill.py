"""The kill switch: what was sent is cancelled, whatever Python does; nothing else is touched; again only by hand."""
import ctypes
import os
import re
import select
import socket
import subprocess
import sys
import time
from decimal import Decimal

import pytest

from orderflow._core import kill as kill_module
from orderflow._core.kill import ExchangeAnswer, KillCause
from orderflow._core.types import CommandKind, ExecType, OrderType, Reason, Side, TimeInForce, TradingState
from orderflow.exchanges.session import Credentials
from orderflow.research.simulation import VENUES
from orderflow.servers.control_requests import KILL_SOCKET, NothingRuns, Refused, kill
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.launch import SimulatorSettings, build
from orderflow.simulator.orders import Order
from orderflow.wiring import wait_until
from tests.trading import PATIENCE, Trading
from tests.virtual import START_NS, Virtual

ORDERS = 25
ALL = ["alpha", "beta", "gamma"]


@pytest.fixture(scope="module")
def trading(tmp_path_factory):
    """Three exchanges in threads, rearmed and empty at the beginning of each test."""
    with Trading(tmp_path_factory.mktemp("kill"), strategies=("first", "second")) as made:
        yield made


@pytest.fixture(autouse=True)
def armed(request):
    if "trading" in request.fixturenames:
        trading = request.getfixturevalue("trading")
        trading.core.kill.rearm()
        trading.told.clear()
        for name in ALL:
            trading.reports(name)


def foreign(trading, name):
    """An order of somebody else on the same account."""
    running = trading.exchanges[name]
    exchange = running.exchange
    price = Decimal(trading.core.listings[ALL.index(name)].price_text(trading.best_bid(ALL.index(name)))) * 9 / 10

    def place():
        instrument = exchange.source.instruments[0]
        scaled = int(price * 10**instrument.price_decimals) // instrument.tick * instrument.tick
        exchange.desk.place(Order(exchange.desk.next_id, exchange.desk.accounts[0], instrument, Side.BUY,
                                  OrderType.LIMIT, TimeInForce.GTC, scaled, instrument.minimum_quantity * 100,
                                  "somebody-else"), exchange.now_ns)

    running.call(place)
    return "somebody-else"


def withdraw(trading, name):
    """Take that order away again."""
    running = trading.exchanges[name]
    desk = running.exchange.desk
    running.call(lambda: [desk.cancel(order, running.exchange.now_ns) for order in desk.open_orders(desk.accounts[0])])


@pytest.mark.parametrize("by", ["call", "datagram"])
def test_scenario_26_every_order_of_ours_is_cancelled_once_and_no_other(trading, by):
    trading.rest(ORDERS)
    strangers = {name: foreign(trading, name) for name in ALL}
    if by == "call":
        trading.core.kill.pull()
        wait_until(lambda: all(trading.core.kill.progress(name)["seen"] == trading.core.kill.triggers for name in ALL),
                   PATIENCE, "every exchange thread")
        assert trading.core.kill.cause == KillCause.KILLED_BY_CALL
    else:
        found = kill(trading.directory)
        assert found.complete and found.took_ns > 0
        assert found.exchanges == {name: (ExchangeAnswer.CANCELS_WRITTEN, ORDERS, 0) for name in ALL}
        assert trading.core.kill.cause == KillCause.KILLED_BY_SOCKET
    assert [trading.core.kill.progress(name)["cancels"] for name in ALL] == [ORDERS] * 3
    wait_until(lambda: all(trading.standing(name) == {strangers[name]} for name in ALL), PATIENCE, "cancels")
    wait_until(lambda: all(loop.open_orders == 0 for loop in trading.core.loops.values()), PATIENCE, "empty tables")
    wait_until(lambda: trading.told == [["everything"]], PATIENCE, "word to Python")
    for name in ALL:
        withdraw(trading, name)


def test_scenario_25_no_order_leaves_until_it_is_rearmed_by_hand(trading):
    kill(trading.directory)
    for loop in trading.core.loops.values():        # "trading is active" is no rearming
        loop.command(CommandKind.SET_TRADING_STATE, value=TradingState.ACTIVE)
    for name in ALL:
        assert trading.wait_report(name, ExecType.REPORT_NOT_SENT, trading.order(name)) == Reason.TRADING_HALTED
        assert trading.standing(name) == set()
    trading.core.kill.rearm()
    for name, ids in trading.rest(1).items():
        assert trading.standing(name) == set(ids)
    kill(trading.directory)
    trading.wait_gone()


def test_one_exchange_alone(trading):
    made = trading.rest(3)
    found = kill(trading.directory, exchange="beta")
    assert found.exchanges == {"beta": (ExchangeAnswer.CANCELS_WRITTEN, 3, 0)}
    trading.wait_gone(["beta"])
    assert trading.core.kill.killed == ["exchange beta"]
    assert trading.wait_report("beta", ExecType.REPORT_NOT_SENT, trading.order("beta")) == Reason.TRADING_HALTED
    assert trading.wait_report("alpha", ExecType.REPORT_SENT, trading.order("alpha")) == Reason.OK
    assert [set(made[name]) <= trading.standing(name) for name in ("alpha", "gamma")] == [True, True]
    trading.core.kill.rearm(exchange="beta")
    assert trading.core.kill.killed == []
    assert trading.wait_report("beta", ExecType.REPORT_SENT, trading.order("beta")) == Reason.OK
    kill(trading.directory)
    trading.wait_gone()


def test_one_strategy_alone(trading):
    kept, gone = trading.rest(2, strategy=1), trading.rest(3, strategy=2)
    found = kill(trading.directory, strategy="second")
    assert found.exchanges == {name: (ExchangeAnswer.CANCELS_WRITTEN, 3, 0) for name in ALL}
    wait_until(lambda: not any(trading.standing(name) & set(gone[name]) for name in ALL), PATIENCE, "its orders' end")
    assert all(trading.standing(name) == set(kept[name]) for name in ALL)
    assert trading.wait_report("alpha", ExecType.REPORT_NOT_SENT, trading.order("alpha", 2)) == Reason.TRADING_HALTED
    assert trading.wait_report("alpha", ExecType.REPORT_SENT, trading.order("alpha", 1)) == Reason.OK
    kill(trading.directory)
    trading.wait_gone()


def test_names_that_there_are_not_and_what_is_no_request(trading):
    for name in ("delta", "x" * 40):
        with pytest.raises(Refused, match=name):
            kill(trading.directory, exchange=name)
    with pytest.raises(Refused, match="third"):
        kill(trading.directory, strategy="third")
    before = trading.core.kill.refused
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as rude:
        rude.bind("")
        rude.connect(str(trading.directory / KILL_SOCKET))
        rude.settimeout(PATIENCE)
        for size in (0, 1, 63, 64, 65, 5000):
            rude.send(b"\xff" * size)
            assert kill_module.REPLY_HEAD.unpack(rude.recv(4096))[1] == kill_module.KillAnswer.KILL_NOT_UNDERSTOOD
    assert trading.core.kill.refused == before + 6
    assert trading.core.kill.killed == []


def test_only_its_user_may_reach_it(trading, tmp_path):
    assert (trading.directory / KILL_SOCKET).stat().st_mode & 0o777 == 0o600
    with pytest.raises(NothingRuns, match="no engine runs there"):
        kill(tmp_path)
    with pytest.raises(NothingRuns, match="No such file"):
        kill(tmp_path / "missing")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:          # of a process that was killed
        gone.bind(str(tmp_path / KILL_SOCKET))
    with pytest.raises(NothingRuns, match="no engine runs there"):
        kill(tmp_path)


def test_an_exchange_without_a_connection_cancels_when_it_is_back(trading):
    trading.rest(4)
    conversation = trading.conversations[ALL.index("beta")]
    line = next(line for line in conversation.lines if line.endpoint.name == "orders")
    attempt, line.wanted = line.attempt_ns, False                       # it stays away until we say so
    trading.core.loops["beta"].command(CommandKind.CLOSE_CONNECTION, connection=conversation.lines.index(line),
                                       epoch=line.epoch)
    wait_until(lambda: not trading.core.loops["beta"].can_trade, PATIENCE, "the loss of the connection")
    found = kill(trading.directory)
    assert found.complete
    assert found.exchanges["beta"] == (ExchangeAnswer.NO_CONNECTION, 0, 0)
    trading.wait_gone(["alpha", "gamma"])
    assert len(trading.standing("beta")) == 4
    line.attempt_ns, line.wanted = attempt, True
    trading.server.bell.ring()
    trading.wait_gone(["beta"])


# -- Python that does not let go

def sleep_in_c():
    """PyDLL calls keep the GIL."""
    ctypes.PyDLL(None).usleep(3_000_000)


def match_for_long():
    """A regular expression that backtracks: the engine of `re` never gives the GIL away."""
    assert re.match(r"(a+)+$", "a" * 25 + "b") is None


def add_up_for_long():
    assert sum(range(100_000_000)) == 100_000_000 * 99_999_999 // 2


ASKER = """
import sys, time
from orderflow.exchanges.session import Credentials
from orderflow.research.simulation import VENUES
from orderflow.servers.control_requests import kill
print("ready", flush=True)
sys.stdin.readline()
found = kill(sys.argv[1], timeout=30)
print(time.monotonic_ns(), found.complete, sum(cancels for _, cancels, _ in found.exchanges.values()), flush=True)
"""


@pytest.mark.release                # whose turn it is between threads, and when
@pytest.mark.parametrize(("hold", "wait"), [(sleep_in_c, "park"), (sleep_in_c, "spin"), (match_for_long, "park"),
                                            (add_up_for_long, "park")])
def test_scenario_24_python_that_holds_the_gil_does_not_hold_up_a_kill(tmp_path, hold, wait):
    """Exchanges in processes of their own; another process asks while this one's interpreter is busy."""
    with Trading(tmp_path, processes=True, wait=wait) as trading:
        trading.rest(ORDERS)
        with subprocess.Popen([sys.executable, "-c", ASKER, str(tmp_path)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as asker:
            assert asker.stdout.readline() == "ready\n"
            asker.stdin.write("now\n")
            asker.stdin.flush()
            hold()
            released_ns, released_unix_ns = time.monotonic_ns(), time.time_ns()
            answered_ns, complete, cancels = asker.stdout.readline().split()
        ends = [event["time_ns"] for name in ALL for event in trading.events(name) if event["event"] == "canceled"]
        assert (complete, int(cancels), len(ends)) == ("True", 3 * ORDERS, 3 * ORDERS)
        assert int(answered_ns) < released_ns, "the answer waited for Python"
        assert max(ends) < released_unix_ns, "an exchange heard of a cancel only when Python had let go"


# -- accounts of our own

def test_an_account_of_our_own_is_swept_with_one_request(tmp_path):
    with Trading(tmp_path, account_is_exclusive=True, dead_man_ns=0) as trading:
        trading.rest(ORDERS)
        for name in ALL:
            foreign(trading, name)
        found = kill(tmp_path)
        assert found.exchanges == {name: (ExchangeAnswer.CANCELS_WRITTEN, 1, 0) for name in ALL}
        trading.wait_gone()                             # those of others too: that is what was declared
        wait_until(lambda: all(loop.open_orders == 0 for loop in trading.core.loops.values()), PATIENCE,
                   "reports of every end")
        assert not any("lost" in problem for problem in trading.problems)


def kraken(**settings):
    """On a virtual clock, logged in and active."""
    venue = build(SimulatorSettings("test", "kraken_v2", seed=3, origin_ns=START_NS, accounts=(
        AccountSettings("k", "c2VjcmV0", balances={"BTC": "10", "USDT": "1000000", "ETH": "10"}),)))
    made = Virtual("kraken_v2", exchange=venue, trade=True, orders="ws://127.0.0.1",
                   credentials=Credentials("k", "c2VjcmV0"), **settings)
    made.run(2.0, lambda: made.core.loops["test"].can_trade)
    assert made.core.loops["test"].can_trade
    made.core.loops["test"].command(CommandKind.SET_TRADING_STATE, value=TradingState.ACTIVE)
    return made


def switches(made):
    """(seconds since the first, timeout) of every cancel_all_orders_after that the exchange heard."""
    found = [(now_ns, re.search(r'"timeout":(\d+)', text).group(1)) for now_ns, text in made.heard
             if "cancel_all_orders_after" in text]
    return [((now_ns - found[0][0]) / 1e9, int(timeout)) for now_ns, timeout in found]


def test_the_dead_man_switch_is_set_back_at_a_third_of_its_time():
    made = kraken(account_is_exclusive=True, dead_man_ns=60 * 10**9)
    made.run(70.0)
    heard = switches(made)
    assert [timeout for _, timeout in heard] == [60] * 4
    assert [round(at) for at, _ in heard] == [0, 20, 40, 60]
    made.conversation.stop()                            # in order: nobody needs to watch us any more
    made.run(1.0)
    assert switches(made)[-1][1] == 0


@pytest.mark.parametrize("settings", [{}, {"account_is_exclusive": True, "dead_man_ns": 0}])
def test_it_is_not_used_where_nobody_allowed_it(settings):
    made = kraken(**settings)
    made.run(70.0)
    assert not any("cancel_all" in text for _, text in made.heard)


def test_a_killed_exchange_lets_the_dead_man_switch_fire():
    made = kraken(account_is_exclusive=True, dead_man_ns=60 * 10**9)
    made.run(30.0)
    made.core.kill.pull()
    made.run(70.0)
    assert len(switches(made)) == 2 and not made.venue._switches
    made.core.kill.rearm()
    made.run(1.0)
    assert len(switches(made)) == 3


# -- threads that stand still

def test_a_thread_that_stands_still_is_killed_and_handed_to_the_watchdog(tmp_path):
    """Its orders stay where they are: only the watchdog can cancel them. The other exchange trades on."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with Trading(tmp_path, venues=VENUES[:2], standstill_ns=500_000_000, watchdog=writes) as trading:
        trading.rest(2)
        trading.threads.native["beta"].stop()
        heard = bytearray()
        os.set_blocking(reads, False)
        wait_until(lambda: select.select([reads], [], [], 0)[0] and heard.extend(os.read(reads, 4096)) or b"X" in heard,
                   PATIENCE, "word to the watchdog")
        assert heard.strip(b".") == b"X\x01"
        assert trading.core.kill.killed == ["exchange beta"]
        assert trading.core.kill.cause == KillCause.KILLED_BY_STANDSTILL
        wait_until(lambda: trading.told, PATIENCE, "word to Python")
        assert trading.wait_report("alpha", ExecType.REPORT_SENT, trading.order("alpha")) == Reason.OK
        found = kill(tmp_path)
        assert not found.complete
        assert found.exchanges == {"alpha": (ExchangeAnswer.CANCELS_WRITTEN, 3, 0),
                                   "beta": (ExchangeAnswer.NOT_ANSWERED, 0, 0)}
        assert len(trading.standing("beta")) == 2
        unowned = list(trading.server._transports.values())
    for held, transport in unowned:             # the thread that would have given them back is gone
        transport.release()
        held.close()
    os.close(reads)
    os.close(writes)
