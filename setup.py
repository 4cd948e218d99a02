"""Extensions of orderflow. Metadata is in pyproject.toml; this file only knows how to compile.

ORDERFLOW_BUILD=draft|debug|asan|tsan|coverage selects another build than the release one: draft compiles in a third of
the time.
"""
import functools
import multiprocessing
import os
import re
from pathlib import Path

import Cython.Compiler.Options
from Cython.Build import cythonize
from Cython.Compiler import Errors, ExprNodes, PyrexTypes, Symtab
from setuptools import Extension, setup

BUILD = os.environ.get("ORDERFLOW_BUILD", "release")
FLAGS = {
    "release": ["-O3", "-g0"],      # Python's own flags ask for debug information, which is most of the size
    "draft": ["-O0", "-g0"],
    "debug": ["-O1", "-g"],
    # Not optimized: that takes six times as long to compile, and the tests that run here are hardly faster for it.
    "asan": ["-O0", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
    "tsan": ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=thread", "-fno-builtin-memcpy", "-Wno-tsan"],
    "coverage": ["-O0", "-g"],
}
if BUILD not in FLAGS:
    raise SystemExit(f"ORDERFLOW_BUILD={BUILD!r}: expected one of {', '.join(FLAGS)}")

checked = BUILD in ("debug", "asan")
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": checked,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": checked,
    "freethreading_compatible": True,
    "embedsignature": True,
    "linetrace": BUILD == "coverage",
}
MACROS = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
if BUILD not in ("release", "tsan"):     # tsan's tests run no engine
    MACROS.append(("ORDERFLOW_CRASHPOINTS", "1"))
if BUILD == "coverage":
    MACROS += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]

# A warning is an error, and so is a performance hint: it says that the hot path takes the GIL somewhere.
Cython.Compiler.Options.warning_errors = True


def hint_is_error(position, message, env):
    if env.directives["show_performance_hints"] and not (checked and "boundscheck" in message):
        Errors.error(position, f"performance hint: {message}")


for compiler in (Errors, ExprNodes, PyrexTypes, Symtab):  # each has imported the name
    compiler.performance_hint = hint_is_error
multiprocessing.set_start_method("fork")    # so that the workers of cythonize know it too

HEADERS = [str(path) for path in Path("orderflow/_core").glob("*.hpp")]
SOURCES = sorted(Path("orderflow").rglob("*.pyx"))
EXTENSIONS = [
    Extension(
        ".".join(path.with_suffix("").parts),
        [str(path)],
        language="c++",
        include_dirs=["orderflow/_core"],
        depends=HEADERS,
        define_macros=MACROS,
        extra_compile_args=["-std=c++20", "-fvisibility=hidden", "-Wno-unused-function", *FLAGS[BUILD]],
        extra_link_args=[flag for flag in FLAGS[BUILD] if flag.startswith("-fsanitize")],
    )
    for path in SOURCES
]

BUILD_FOLDER = f"build/{BUILD}"     # other builds must neither see this one's C++ nor overwrite it
GENERATED = [Path("." if BUILD == "release" else BUILD_FOLDER, path.with_suffix(".cpp")) for path in SOURCES]


CIMPORT = re.compile(r"^\s*from\s+(orderflow[\w.]*)\s+cimport\s+(\([^)]*\)|[^\n#]*)", re.MULTILINE)


@functools.cache
def cimported(path):
    """The .pxd files that a file's text depends on, its own and those behind them included."""
    found = {path.with_suffix(".pxd")} if path.suffix == ".pyx" else set()
    for module, names in CIMPORT.findall(path.read_text()):
        package = Path(*module.split("."))
        found |= {package / name.split(" as ")[0].strip() for name in names.strip("()").split(",")} | {package}
    found = {one.with_suffix(".pxd") for one in found if one.with_suffix(".pxd").is_file()} - {path}
    return found.union(*map(cimported, found))


def forget_stale():
    """Remove what was generated before a .pxd changed: Cython's own search misses `from package cimport module`."""
    for source, generated in zip(SOURCES, GENERATED, strict=True):
        if generated.exists() and any(path.stat().st_mtime > generated.stat().st_mtime for path in cimported(source)):
            generated.unlink()


forget_stale()
setup(
    ext_modules=cythonize(
        EXTENSIONS, compiler_directives=DIRECTIVES, annotate=BUILD == "debug", nthreads=os.cpu_count(),
        build_dir=None if BUILD == "release" else BUILD_FOLDER),
    options={"build": {"build_base": BUILD_FOLDER}, "build_ext": {"parallel": os.cpu_count()}},
)
