import subprocess
import sys

import codingspot


def test_every_public_name_is_there():
    for name in codingspot.__all__:
        assert getattr(codingspot, name) is not None
    assert sorted(codingspot._homes) == sorted(codingspot.__all__)


def test_importing_the_package_does_not_load_torch():
    code = "import sys, codingspot, codingspot.cli.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
