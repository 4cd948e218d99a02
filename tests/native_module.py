"""Native modules of the tests' own: defects and looks inside that no installed module offers."""
import importlib.util
import subprocess
import sys
from pathlib import Path

import orderflow

SOURCES = Path(__file__).parent / "native"
SETUP = """
from setuptools import Extension, setup
from Cython.Build import cythonize
setup(script_args=["-q", "build_ext", "--inplace"], ext_modules=cythonize(
    [Extension({name!r}, [{name!r} + ".pyx"], language="c++", include_dirs=[{core!r}],
               extra_compile_args=["-std=c++20", "-O0", "-Wno-unused-function"])],
    include_path=[{root!r}], quiet=True,
    compiler_directives={{"language_level": 3, "cdivision": True, "freethreading_compatible": True}}))
"""


def built(name, folder):
    """Compile tests/native/NAME.pyx against the orderflow that is imported, in `folder`, and import it."""
    core = Path(orderflow.__file__).parent / "_core"
    (folder / f"{name}.pyx").write_bytes((SOURCES / f"{name}.pyx").read_bytes())
    (folder / "setup.py").write_text(SETUP.format(name=name, core=str(core), root=str(core.parents[1])))
    subprocess.run([sys.executable, "setup.py"], cwd=folder, check=True, capture_output=True, timeout=300)
    spec = importlib.util.spec_from_file_location(name, next(folder.glob(f"{name}*.so")))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
