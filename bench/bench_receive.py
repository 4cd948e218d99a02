"""CPU a message of receiving text frames of 300 to 2000 bytes on loopback: orderflow, websocket-client, picows.

The server is a process on core 0, the client on core 1. All do the same: receive COUNT messages and add up their sizes,
which must be right. orderflow checks UTF-8 besides; websocket-client's own check is off. Run alone:
`python bench/bench_receive.py`.
"""
import asyncio
import os
import ssl
import statistics
import sys
import threading
import time
from pathlib import Path

import websocket
from picows import WSListener, WSMsgType, ws_connect

from orderflow._core.transport import BorrowedTransport, TransportKind
from orderflow._core.websocket import FrameReader
from orderflow.servers.connect import connect

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "native")]

import build  # noqa: E402
import feed_server  # noqa: E402
from bars import bar  # noqa: E402

ROUNDS = 5
COUNT = {"orderflow": 200_000, "picows": 100_000, "websocket-client": 10_000}
SHARE_OF_WEBSOCKET_CLIENT = 1 / 20


def run_orderflow(url, count, ca_file):
    import receive
    sock, glued = connect(url, ca_file)
    with sock:
        transport = BorrowedTransport(sock, glued)
        assert transport.kind == (TransportKind.TLS if url.startswith("wss") else TransportKind.PLAIN)
        return receive.receive_frames(transport, FrameReader(), count)


def run_websocket_client(url, count, ca_file):
    client = websocket.create_connection(url, skip_utf8_validation=True, sslopt={"ca_certs": ca_file},
                                         http_no_proxy=["127.0.0.1"], enable_multithread=False)
    total = 0
    begin = time.thread_time_ns()
    for _ in range(count):
        total += len(client.recv())
    elapsed = time.thread_time_ns() - begin
    client.shutdown()
    return total, elapsed


def run_picows(url, count, ca_file):
    class Listener(WSListener):
        def on_ws_connected(self, transport):
            self.left, self.total = count, 0
            self.begin = time.thread_time_ns()

        def on_ws_frame(self, transport, frame):
            if frame.msg_type == WSMsgType.TEXT:
                self.total += len(frame.get_payload_as_bytes())
                self.left -= 1
                if self.left == 0:
                    self.elapsed = time.thread_time_ns() - self.begin
                    transport.disconnect(False)

    async def main():
        context = ssl.create_default_context(cafile=ca_file) if url.startswith("wss") else None
        transport, listener = await ws_connect(Listener, url, ssl_context=context)
        await transport.wait_disconnected()
        return listener.total, listener.elapsed

    return asyncio.run(main())


CONTESTANTS = {"orderflow": run_orderflow, "picows": run_picows, "websocket-client": run_websocket_client}


def cpu_ns(name, url, ca_file):
    """CPU ns a message of one run, its result checked."""
    count = COUNT[name]
    total, elapsed = CONTESTANTS[name](f"{url}/{count}", count, ca_file)
    assert total == feed_server.payload_bytes(count), f"{name} received {total} bytes"
    return elapsed / count


def four_threads(url, ca_file):
    """CPU ns a message with four connections in four threads, all on the client's core."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(cpu_ns("orderflow", url, ca_file))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    return statistics.mean(results)


def measure():
    """{(kind, name): median CPU ns a message}, contestants in turn in every round."""
    build.build("receive")
    before = os.sched_getaffinity(0)
    cores = sorted(before)
    times = {}
    with feed_server.running(cores[0]) as (plain, tls, ca_file):
        os.sched_setaffinity(0, {cores[-1]})
        try:
            urls = {"plain": f"ws://127.0.0.1:{plain}/blast", "TLS": f"wss://127.0.0.1:{tls}/blast",
                    "TLS, a record a frame": f"wss://127.0.0.1:{tls}/records"}
            for _ in range(ROUNDS):
                for kind, url in urls.items():
                    for name in CONTESTANTS:
                        times.setdefault((kind, name), []).append(cpu_ns(name, url, ca_file))
                    times.setdefault((kind, "four threads"), []).append(four_threads(url, ca_file))
        finally:
            os.sched_setaffinity(0, before)
    return {key: statistics.median(values) for key, values in times.items()}


def test_receive(benchmark=None):
    medians = benchmark.pedantic(measure, rounds=1) if benchmark is not None else measure()
    met = True
    for kind in dict.fromkeys(kind for kind, _ in medians):
        ours = medians[kind, "orderflow"]
        found = ", ".join(f"{name} {value:.0f}" for (each, name), value in medians.items() if each == kind)
        print(f"receive, {kind}: {found} ns CPU a message")
        if kind == "plain":
            met &= bar("receive, plain: CPU against websocket-client", ours / medians[kind, "websocket-client"],
                       SHARE_OF_WEBSOCKET_CLIENT, SHARE_OF_WEBSOCKET_CLIENT / 2, "lower")
        met &= bar(f"receive, {kind}: CPU against picows", ours / medians[kind, "picows"], 1.0, 0.5, "lower")
        met &= bar(f"receive, {kind}: four threads against one", medians[kind, "four threads"] / ours, 1.25, 1.0,
                   "lower")
    if benchmark is not None:
        benchmark.extra_info.update({f"{kind}, {name}": value for (kind, name), value in medians.items()})
    assert met


if __name__ == "__main__":
    try:
        test_receive()
    finally:
        from bars import BARS
        for each in BARS:
            print("PASS" if each["met"] else "MISS", each["name"], f"{each['measured']:.3f} (gate {each['gate']})")
