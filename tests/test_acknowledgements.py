"""A subscription that is never acknowledged is noticed by itself, and asked for again; and so is a login."""
import pytest

from orderflow.credentials import Credentials
from orderflow.exchanges import SESSIONS
from orderflow.exchanges.actions import Subscription
from orderflow.exchanges.facts import Limit, Limits
from orderflow.servers.acknowledgements import MOST_TRIES, Acknowledgements, named
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.launch import SimulatorSettings, build
from tests.virtual import SECOND_NS, START_NS, Virtual


@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.parametrize("protocol", SESSIONS)
def test_what_the_exchange_acknowledges_is_understood(protocol, lines):
    """Whatever the dialect answers as documented: nobody waits any longer, and nothing is asked for twice."""
    world = Virtual(protocol, lines=lines)
    world.run(25)
    assert all(line.unanswered.due_ns is None for line in world.conversation.lines)
    assert world.problems == [] and world.live and world.conversation.ready
    assert len(world.opened) == sum(line.wanted for line in world.conversation.lines)


def asked_for(world, symbol, channel):
    """Times at which a book was asked for, in seconds."""
    return [round((at - START_NS) / SECOND_NS) for at, text in world.heard if "unsubscribe" not in text.lower()
            and "subscribe" in text.lower() and symbol in text and channel in text]


def kraken_hides(symbol, channel):
    def hide(message):
        result = message.get("result") or {}
        return message.get("method") == "subscribe" and result.get("symbol") == symbol and result["channel"] == channel
    return hide


def test_it_is_asked_for_again_by_itself():
    """One of four acknowledgements is lost: that subscription alone is asked for again, and the books stay LIVE."""
    world = Virtual("kraken_v2", ("BTC/USDT", "ETH/USDT"), hide=kraken_hides("ETH/USDT", "trade"))
    world.run(65)
    assert asked_for(world, "ETH/USDT", "trade") == [0, 10]     # "Already subscribed" is an answer too
    assert asked_for(world, "BTC/USDT", "trade") == [0] == asked_for(world, "ETH/USDT", "book")
    assert world.problems[0] == ("test: market connection: no answer in phase 'subscribe' to trade of ETH/USDT; "
                                 "asked for again")
    assert world.live and len(world.opened) == 1
    assert world.conversation.health.unanswered == 1


def test_each_of_two_lines_waits_for_its_own_acknowledgements():
    """One line's is lost: it asks for it again, the other does not."""
    hidden, hides = [], kraken_hides("ETH/USDT", "trade")

    def hide(message):
        if hides(message):
            hidden.append(message)
        return hides(message) and len(hidden) == 2
    world = Virtual("kraken_v2", ("BTC/USDT", "ETH/USDT"), hide=hide, lines=2)
    world.run(35)
    assert asked_for(world, "ETH/USDT", "trade") == [0, 0, 10] and asked_for(world, "ETH/USDT", "book") == [0, 0]
    assert world.problems[0] == ("test: market B connection: no answer in phase 'subscribe' to trade of ETH/USDT; "
                                 "asked for again")
    assert world.live and len(world.opened) == 2 and world.conversation.health.unanswered == 1


def test_a_book_that_does_not_come_is_asked_for_by_one_timer():
    """Neither acknowledgement nor snapshot: both are missed in the same moment, and the book is asked for once. What is
    asked for by the timer of the acknowledgement is answered with "Already subscribed"; then a resync leaves and joins.
    """
    def hide(message):
        about = message.get("result") or next(iter(message.get("data") or [{}]), {})
        return (about.get("symbol") == "ETH/USDT" and "book" in (message.get("channel"), about.get("channel"))
                and world.server.now_ns < START_NS + 35 * SECOND_NS)
    world = Virtual("kraken_v2", ("BTC/USDT", "ETH/USDT"), hide=hide)
    world.run(38)
    assert asked_for(world, "ETH/USDT", "book") == [0, 10, 20, 30] and world.states["ETH/USDT"] != "LIVE"
    world.run(30)
    assert asked_for(world, "ETH/USDT", "book") == [0, 10, 20, 30, 40] and world.live and len(world.opened) == 1


def test_a_silent_book_whose_new_subscription_is_not_answered_is_asked_for_by_one_timer():
    world = Virtual("binance_spot", ("BTCUSDT",), silence_ns=5 * SECOND_NS, subscribe_ns=10 * SECOND_NS,
                    hide=lambda message: world.server.now_ns > START_NS + 20 * SECOND_NS and len(world.opened) == 1)
    world.run(20)
    assert world.live
    before = len(asked_for(world, "btcusdt", "depth"))
    world.run(60)
    assert asked_for(world, "btcusdt", "depth")[before:] == [25, 35, 55]
    world.run(60)
    assert world.live and len(world.opened) == 2


def test_what_a_limit_holds_back_is_not_asked_for_twice():
    """A message in eight seconds: books that wait for their turn are no books that did not come."""
    world = Virtual("bitfinex", ("tBTCUSD", "tETHUSD"), limits=Limits(messages=Limit(2, 8 * SECOND_NS)))
    world.run(70)
    assert [len(asked_for(world, symbol, "book")) for symbol in world.symbols] == [1, 1] and world.live


def test_after_the_last_try_the_connection_is_opened_again():
    world = Virtual("okx", ("BTC-USDT", "ETH-USDT"), hide=lambda message: (
        message.get("event") == "subscribe" and message["arg"]["instId"] == "ETH-USDT" and len(world.opened) == 1))
    world.run(69)
    assert len(world.opened) == 1
    assert asked_for(world, "ETH-USDT", "books") == [0, 10, 30]
    world.run(2)
    assert ("test: market connection is opened again: books of ETH-USDT, trades of ETH-USDT: never acknowledged "
            "(phase 'subscribe')") in world.problems
    world.run(40)
    assert len(world.opened) == 2 and world.live
    assert all(line.unanswered.due_ns is None for line in world.conversation.lines)


def test_a_refusal_is_an_answer():
    """Nothing is gained by asking for it again."""
    world = Virtual("okx", ("BTC-USDT",))
    asked = [Subscription("books", "BTC-USDT"), Subscription("books", "NO-SUCH")]
    opened = world.session.opened
    world.session.opened = lambda *arguments: [*opened(*arguments), *world.session.subscribe("market", asked, 0)]
    world.run(120)
    assert len([problem for problem in world.problems if "NO-SUCH" in problem]) == 1
    assert len(world.opened) == 1 and world.live


def test_the_patience_is_a_setting():
    world = Virtual("kraken_v2", ("BTC/USDT",), hide=kraken_hides("BTC/USDT", "trade"), subscribe_ns=2 * SECOND_NS)
    world.run(5)
    assert asked_for(world, "BTC/USDT", "trade") == [0, 2]


def trading(**options):
    secret = "s" * 64
    account = AccountSettings("k" * 64, secret, balances={"BTC": "1", "USDT": "1"})
    venue = build(SimulatorSettings("test", "binance_spot", seed=3, origin_ns=START_NS, accounts=(account,)))
    return Virtual("binance_spot", ("BTCUSDT",), exchange=venue, trade=True,
                   credentials=Credentials("k" * 64, secret), **options)


def test_a_login_without_an_answer():
    """The order connection is opened again until the exchange answers; the books do not notice."""
    world = trading(hide=lambda message: message.get("id") == "user-stream" and len(world.opened) < 4,
                    login_ns=5 * SECOND_NS)
    world.run(4.9)
    assert len(world.opened) == 2 and not world.core.loops["test"].can_trade
    world.run(30)
    assert ("test: orders connection is opened again: no answer in phase 'login' within 5 s") in world.problems
    assert len(world.opened) == 4 and world.core.loops["test"].can_trade
    assert world.live and world.conversation.health.unanswered == 2
    assert not any("STALE" in problem for problem in world.problems)


def test_a_login_in_time_is_left_alone():
    world = trading()
    world.run(30)
    assert world.problems == [] and world.core.loops["test"].can_trade


def test_each_wait_is_twice_as_long_until_there_is_no_hope():
    waiting, one = Acknowledgements(10), Subscription("book", "A")
    times, now = [], 0
    waiting.asked([one], now)
    while not waiting.hopeless([one]) or waiting.overdue(now) == []:
        now += 1
        if not waiting.hopeless([one]) and waiting.overdue(now):
            times.append(now)
            waiting.asked([one], now)
    assert times == [10, 30] and now == 70 and len(times) + 1 == MOST_TRIES
    waiting.answered([one, one, Subscription("book", "B")])
    assert waiting.due_ns is None and waiting.overdue(10**9) == []


def test_a_message_names_a_few_and_counts_the_others():
    many = [Subscription("book", f"S{number}") for number in range(7)]
    assert named(many[:1]) == "book of S0"
    assert named(many).endswith("book of S4 and 2 more")


def test_sessions_say_what_each_frame_asks_for():
    """Every frame that subscribes names what it subscribes."""
    for protocol in SESSIONS:
        world = Virtual(protocol)
        for endpoint in world.session.endpoints():
            actions = world.session.opened(endpoint.name, 0)
            if protocol == "kucoin":                    # which says first that it listens
                actions = world.session.frame(endpoint.name, b'{"type":"welcome"}', 0)
            frames = [action for action in actions if hasattr(action, "awaits")]
            symbols = {one.symbol for action in frames for one in action.awaits}
            assert symbols == set(world.symbols), protocol
