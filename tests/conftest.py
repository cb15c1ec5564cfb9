"""Every test runs programs in processes of their own, as a user would, in a temporary folder."""
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# torch is imported once, in a server, and each command of nonvae forks from there
processes = multiprocessing.get_context('forkserver')
processes.set_forkserver_preload(['nonvae.cli'])


def begin(work, cwd, *arguments, **environment):
    "A new process that calls work(*arguments), which returns the exit code, in the folder cwd."
    process = processes.Process(target=_work, args=(work, cwd, arguments, environment))
    process.start()
    return process


def end(process, cwd, timeout=300):
    "Waits for a process: (exit code, output, error output)."
    process.join(timeout)
    if process.exitcode is None: process.kill()
    assert process.exitcode is not None, f'it does not end within {timeout} seconds'
    return process.exitcode, (cwd/'out.txt').read_text(), (cwd/'err.txt').read_text()


def _work(work, cwd, arguments, environment):
    import torch
    os.environ.update(environment)
    torch.set_num_threads(1)
    os.chdir(cwd)
    sys.stdout, sys.stderr = open('out.txt', 'w'), open('err.txt', 'w')
    code = work(*arguments)
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)


def _command(*arguments):
    from nonvae.cli import main
    return main([str(argument) for argument in arguments])


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
def nonvae(tmp_path):
    "Runs the command line: nonvae('train', 'plain-digits', ...) gives (exit code, output, error output)."
    def call(*arguments, timeout=300, **environment):
        return end(begin(_command, tmp_path, *arguments, **environment), tmp_path, timeout)
    return call
