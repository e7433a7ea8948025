"""What runs in node: the packages of tests/integration/package.json, from npm's own registry."""

import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.join(os.path.dirname(HERE), "integration", "package.json")


def install(folder):
    """Into folder; returns its node_modules. npm's settings, proxy and cache are the tester's."""
    shutil.copy(PACKAGE, folder)
    done = subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund",
                           "--ignore-scripts", "--prefix", folder], cwd=folder,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")
    return os.path.join(folder, "node_modules")
