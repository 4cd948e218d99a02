"""Compile the native contestants in place: `python bench/native/build.py [module ...]`, default all."""
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension
from setuptools.dist import Distribution

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def build(*names: str) -> None:
    """Compile bench/native/NAME.pyx for each name (default all) unless up to date, beside its source."""
    sources = sorted(HERE.glob("*.pyx")) if not names else [HERE / f"{name}.pyx" for name in names]
    extensions = [
        Extension(
            source.stem, [str(source)], language="c++", include_dirs=[str(HERE), str(ROOT / "orderflow/_core")],
            depends=[str(header) for header in HERE.glob("*.hpp")],
            extra_compile_args=["-std=c++20", "-O3", "-fvisibility=hidden", "-Wno-unused-function"],
        )
        for source in sources
    ]
    directives = {"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True,
                  "initializedcheck": False, "freethreading_compatible": True}
    modules = cythonize(extensions, compiler_directives=directives, include_path=[str(ROOT)], quiet=True)
    command = Distribution({"name": "contestants", "ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(HERE), str(ROOT / "build")
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    build(*sys.argv[1:])
