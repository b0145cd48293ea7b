"""Any module of the platform layer, where modules know most of each other, may be imported first."""

import subprocess
import sys

#: Forgets all of Stratus before each import, so that each is the first; libraries are loaded once.
SCRIPT = """
import importlib, pkgutil, sys
import sim.paas
names = [module.name for module in pkgutil.walk_packages(sim.paas.__path__, "sim.paas.")]
for name in names:
    for known in [known for known in sys.modules if known == "sim" or known.startswith("sim.")]:
        del sys.modules[known]
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(f"{name}: {error}")
print(len(names))
"""


def test_each_module_can_be_imported_first():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    *failed, count = done.stdout.splitlines()
    assert failed == []
    assert int(count) > 100
