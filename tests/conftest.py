"""Every test runs programs of its own in a fresh process, as a user would, in a temporary folder."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def run(tmp_path):
    "Runs a command in the temporary folder and returns (exit code, output, error output)."
    def call(*command, timeout=300, cwd=tmp_path, **environment):
        environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'agg', **environment}
        environment.pop('IN_TEST', None)                       # it would turn nbdev's commands into silent no-ops
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout, cwd=cwd,
                              env=environment)
        return done.returncode, done.stdout, done.stderr
    return call


@pytest.fixture
def nonvae(run):
    "Runs the command line: nonvae('train', 'plain-digits', ...)."
    return lambda *arguments, **options: run(sys.executable, '-m', 'nonvae.cli', *arguments, **options)
