"""What users get: the wheel, installed where no source tree is, and a strategy compiled against it."""
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheel, pytest.mark.release]

ROOT = Path(__file__).parents[1]

SETUP = '''
from Cython.Build import cythonize
from setuptools import Extension, setup
setup(name="buyer", ext_modules=cythonize([Extension("buyer", ["buyer.pyx"], language="c++")]))
'''

CHECK = '''
import pkgutil, sys
from importlib import import_module
import orderflow, buyer
assert orderflow.__file__.startswith(sys.prefix), orderflow.__file__
for name in orderflow.__all__:
    getattr(orderflow, name)
for module in pkgutil.walk_packages(orderflow.__path__, "orderflow."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
assert isinstance(buyer.Buyer(), orderflow.Strategy) and buyer.Buyer("mine").name == "mine"
with orderflow.simulate(seed=7, server="direct", strategies=[buyer.Buyer()]) as simulation:
    engine = simulation.engine
    engine.run(60, lambda: any(parent.done for parent in engine.parents()))
    engine.run(5)
    done = [parent for parent in engine.parents() if parent.done]
    assert done and any(parent.filled for parent in done), engine.parents()
    assert all(len(parent.by_exchange) <= 1 for parent in done)
'''


def readme_strategy():
    """The example that users copy."""
    return (ROOT / "README.md").read_text().split("```cython\n")[1].split("```")[0]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the source distribution: so that has everything too. Not optimized, to save minutes."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, env={**os.environ, "ORDERFLOW_BUILD": "draft"})
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Interpreter of a fresh virtual environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    interpreter = folder / "bin/python"
    run(interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    return interpreter


def test_wheel_has_what_users_need_and_no_more(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for source in (path.relative_to(ROOT) for path in (ROOT / "orderflow").rglob("*")):
        if source.suffix in (".py", ".pxd", ".pyi", ".hpp") or source.name == "py.typed":
            assert str(source) in names, f"{source} is not shipped"
        if source.suffix == ".pyx":
            stem = f"{source.with_suffix('')}."
            compiled = [name for name in names if name.startswith(stem) and name.endswith(".so")]
            assert len(compiled) == 1, f"{source} is not compiled"
    assert not [name for name in names if name.endswith((".pyx", ".cpp", ".c", ".html"))]
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"orderflow"}


def test_a_strategy_compiles_against_the_wheel(python, tmp_path):
    (tmp_path / "buyer.pyx").write_text(readme_strategy())
    (tmp_path / "setup.py").write_text(SETUP)
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "cython==3.3.1", "setuptools")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run(python, "setup.py", "build_ext", "--inplace", cwd=tmp_path, env=environment)
    run(python, "-W", "error", "-c", CHECK, cwd=tmp_path, env=environment)


def test_what_is_left_at_every_crash_point_is_recovered(python, tmp_path):
    """tests/test_crash_points.py, for which the release build beside it is no use; pytest is of the environment that
    this runs in, the package is not."""
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    environment = os.environ | {"PYTHONPATH": str(Path(pytest.__file__).parents[1])}
    said = run(python, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:benchmark", "-p", "no:xdist",
               "tests/test_crash_points.py", cwd=tmp_path, env=environment)
    assert "passed" in said and "skipped" not in said, said


def test_the_command_is_installed(python):
    assert "demo" in run(python.parent / "orderflow", "--help")
