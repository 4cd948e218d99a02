"""Rules about the source itself: who may depend on whom, who may take the GIL, what files are called."""
import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.release

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "orderflow"
CORE = PACKAGE / "_core"

#: The stages: a file cimports only what stands above it.
STAGES = """
    types memory crash_point
    clock fixed wide conversion timers index_map token_bucket rate_limit
    ring byte_ring doorbell hop board
    openssl transport libcrypto secret signing utf8 masking websocket
    json rfc3339 client_id levels checksum codec
    algos/schedule algos/participation algos/volume_curve algos/reaction algos/usual algos/peg algos/queue
    algos/placing
    window ladder book tape known_depth quotes integrity arbitration signals
    order_states positions parents iceberg passive pacing order_table active_parents orders
    purses risk_state risk_exposure risk_price risk_rates risk_own_orders risk_money risk
    segments flusher journal_scan journal
    input_log residuals
    decision_log
    strategy
    consolidated algos/patience charges placeable listing_part relaxation branching
    allocation
    decision_queue decision_costs
    queue_ladder resting matching
    latency
    pending kill rates gate account reconciliation recovery held_orders waiting_cancels paper_levels paper_queue
    paper_reports paper exchange_state events recording publication execution_reports evidence rounds connections
    order_entry cancelling market_data exchange
    arrivals router_state posted_orders pauses parent_reports router_faults converted_listings router_view minimums
    decisions child_orders paced_parents parent_changes pegging queues resting_parents posting parent_checks taking
    staggering routing rate_changes
    router strategizer
    codecs/assets codecs/fields codecs/outbox codecs/balances codecs/text codecs/prepared
    codecs/binance_times codecs/binance codecs/binance_requests codecs/binance_reports codecs/binance_bodies
    codecs/binance_account codecs/binance_orders
    codecs/open_orders codecs/kraken codecs/kraken_requests codecs/kraken_reports codecs/kraken_bodies
    codecs/kraken_account codecs/kraken_orders
    codecs/pair_books codecs/okx codecs/bybit_v5 codecs/hyperliquid codecs/deribit codecs/kraken_futures codecs/bitstamp
    codecs/gate codecs/two_sides codecs/side_changes codecs/coinbase_levels codecs/coinbase codecs/coinbase_adv
    codecs/gemini codecs/level_ids codecs/bitmex codecs/channels codecs/bitfinex_levels
    codecs/bitfinex codecs/kucoin
    strategies/dislocation strategies/python
    loops loop_router
""".split()

#: The layers of Python, lowest first. A layer imports from itself and from lower ones.
LAYERS = ("instrument", "joining", "complaints", "config", "_core", "redaction", "credentials", "exchanges",
          "simulator", "problems", "servers", "wiring", "parents", "run_start", "held", "residuals", "carried",
          "repair", "status", "watchdog", "limits", "refusals", "faults", "differences", "algorithms", "impact",
          "placement", "fading", "scores", "crossing", "consolidated", "estimate", "metadata", "takeover", "routing",
          "parent_orders", "supervision", "engine", "research", "cli")
#: (importing layer, module): why it may.
ALLOWED_IMPORTS = {
    ("instrument", "orderflow._core.types"): "numpy dtypes are derived from the structs, and declared nowhere else",
    ("config", "orderflow.exchanges"): "which protocols there are stands in one place",
    ("config", "orderflow.redaction"): "an address may hold a token",
}

#: Where the GIL may be taken: the transport's fallback, and the call of a Python strategy.
TAKES_GIL = {"transport.pyx", "strategies/python.pyx"}
#: Who may read the clock: the loops, the kill thread, and the measurement of a hop between two threads.
READS_CLOCK = {"loops.pyx", "loop_router.pyx", "kill.pyx", "hop.pyx"}
BANNED_WORDS = {"manager", "handler", "helper", "util", "processor"}

CIMPORT = re.compile(r"^\s*from\s+(orderflow[\w.]*)\s+cimport\s+(\([^)]*\)|[^\n#]*)", re.MULTILINE)


def source_files(*endings):
    return sorted(path for path in PACKAGE.rglob("*") if path.suffix in endings)


def core_files():
    return [path for path in source_files(".pyx", ".pxd") if CORE in path.parents and path.stem != "__init__"]


def stage_of(path):
    return path.relative_to(CORE).with_suffix("").as_posix()


def code_of(path):
    """Text without docstrings and comments."""
    return re.sub(r"#[^\n]*", "", re.sub(r'"""(?s:.*?)"""', "", path.read_text()))


def cimported_stages(path):
    """Stages of _core that a file cimports; its own does not count."""
    found = set()
    for module, names in CIMPORT.findall(code_of(path)):
        module = module.removeprefix("orderflow").removeprefix("._core").removeprefix(".").replace(".", "/")
        if (CORE / module).is_dir():
            names = (name.split(" as ")[0].strip() for name in names.strip("()").split(","))
            found |= {f"{module}/{name}".lstrip("/") for name in names if name}
        else:
            found.add(module)
    return found - {path.relative_to(CORE).with_suffix("").as_posix()} if CORE in path.parents else found


@pytest.mark.parametrize("path", core_files(), ids=lambda path: path.relative_to(CORE).as_posix())
def test_a_stage_cimports_only_stages_above_it(path):
    stage = stage_of(path)
    assert stage in STAGES, f"give {stage} its place in STAGES"
    below = [name for name in cimported_stages(path) if STAGES.index(name) > STAGES.index(stage)]
    assert not below, f"{stage} cimports {', '.join(below)}, which stand below it"


def test_every_listed_stage_exists():
    assert len(STAGES) == len(set(STAGES))
    assert set(STAGES) == {stage_of(path) for path in core_files()}


def imported_modules(path):
    """Absolute names of the modules that a Python file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(), path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield node.module
            if node.module == "orderflow":
                yield from (f"orderflow.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_lower_ones(layer):
    lower = LAYERS[:LAYERS.index(layer) + 1]
    files = [PACKAGE / f"{layer}.py"] if (PACKAGE / f"{layer}.py").is_file() else (PACKAGE / layer).rglob("*.py")
    for path in files:
        for module in imported_modules(path):
            top, _, rest = module.partition(".")
            if top == "orderflow" and rest and (layer, module) not in ALLOWED_IMPORTS:
                assert rest.split(".")[0] in lower, f"{path.relative_to(ROOT)} imports {module}"


def test_every_python_file_is_in_a_layer():
    names = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in source_files(".py")}
    assert names == {*LAYERS, "__init__", "__main__"}


def test_the_gil_is_taken_in_two_places_only():
    taken = {path.relative_to(CORE).as_posix() for path in core_files() if re.search(r"\bwith gil\b", code_of(path))}
    assert taken <= TAKES_GIL


def test_only_loops_read_the_clock():
    readers = {path.relative_to(CORE).as_posix() for path in core_files() if "clock" in cimported_stages(path)}
    assert readers <= READS_CLOCK


def test_public_declarations_need_no_header():
    """So that a strategy compiles against the installed wheel without an include path."""
    for path in (CORE / "strategy.pxd", CORE / "types.pxd", PACKAGE / "__init__.pxd"):
        assert cimported_stages(path) <= {"types", "strategy"}
        assert not re.search(r"cdef extern|libcpp", code_of(path)), f"{path} needs a C++ header"


def test_nothing_prints_but_the_command():
    for path in source_files(".py"):
        if path.relative_to(PACKAGE).parts[0] != "cli":
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
                     and isinstance(node.func, ast.Name) and node.func.id == "print"]
            assert not calls, f"{path}:{calls[0].lineno} prints"
    for path in source_files(".pyx", ".pxd"):
        assert not re.search(r"\bprintf?\(", code_of(path)), f"{path} prints"


def test_names_of_files_say_what_is_in_them():
    for path in ROOT.rglob("*"):
        relative = path.relative_to(ROOT)
        if path.suffix in (".py", ".pyx", ".pxd", ".hpp") and relative.parts[0] in ("orderflow", "tests", "bench"):
            words = {word.removesuffix("s") for word in path.stem.split("_")}
            assert not words & BANNED_WORDS, relative


def test_every_compiled_module_has_a_stub():
    missing = [path for path in source_files(".pyx") if not path.with_suffix(".pyi").is_file()]
    assert not missing, f"no stub for {', '.join(path.stem for path in missing)}"


#: Who may see the text of a secret: it goes from there straight to the exchange.
REVEALS = {"binance.py", "coinbase.py", "kraken.py", "kucoin.py"}


def test_secrets_are_revealed_by_sessions_only():
    """And never the secret that signs: that one is used inside."""
    for path in source_files(".py"):
        calls = re.findall(r"\breveal\(([\w.]*)", code_of(path))
        assert not calls or (path.parent.name == "exchanges" and path.name in REVEALS), f"{path} reveals a secret"
        assert all(what.endswith((".key", ".passphrase")) for what in calls), f"{path} reveals {calls}"
