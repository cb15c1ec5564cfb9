"""JupyterLab in Debian's Chromium: one server and one browser for all tests of a
process, one page and one kernel for each notebook."""
import shutil
import statistics
import subprocess
import sys

import pytest

from .lab import Lab, Notebook, Server

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'google-chrome'))), None)


def pytest_configure(config):
    config.addinivalue_line('markers', 'alone: measures time, so nothing else may run beside it')


@pytest.fixture(scope='session')
def browser():
    sync_api = pytest.importorskip('playwright.sync_api',
                                   reason="the browser tests need playwright: pip install -e '.[dev]'")
    if not CHROMIUM: pytest.skip('the browser tests need Chromium: apt-get install chromium fonts-dejavu-core')
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield chromium
        chromium.close()


@pytest.fixture(scope='session')
def start_server(browser, tmp_path_factory):
    "Starts a JupyterLab, which runs until the end of all tests."
    running = []

    def call(config=''):
        running.append(Server(tmp_path_factory.mktemp('lab'), config))
        return running[-1]
    yield call
    for server in running: server.stop()


@pytest.fixture(scope='session')
def server(start_server): return start_server()


@pytest.fixture(scope='session')
def old_kernel(server, tmp_path_factory):
    "The name of a kernel with ipykernel 6.31, which calls back in other threads than version 7 does."
    folder = tmp_path_factory.mktemp('ipykernel')
    done = subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--target', folder,
                           'ipykernel==6.31.*'], capture_output=True, text=True)
    if done.returncode: pytest.skip(f'ipykernel 6.31 could not be installed: {done.stderr.strip()[-200:]}')
    server.add_kernel('ipykernel-6', folder)
    return 'ipykernel-6'


@pytest.fixture(params=['ipykernel 7', 'ipykernel 6'])
def kernel(request):
    "Both kernels, one after the other."
    return 'python3' if request.param == 'ipykernel 7' else request.getfixturevalue('old_kernel')


@pytest.fixture(scope='session')
def pages(): return {}


@pytest.fixture
def lab(request, server, browser, pages):
    """Opens a notebook: lab('04_autoencoder', theme='dark', kernel='python3', zoom=1.5, only=['TrainingPanel(']).run().

    The next one, or the end of the test, closes it and ends its kernel; then nothing may have gone wrong in it."""
    opened, failed = [], request.session.testsfailed

    def call(*arguments, zoom=1, **options):
        finish()
        if zoom not in pages: pages[zoom] = Lab(server, browser, zoom)
        opened.append(Notebook(pages[zoom], *arguments, **options))
        return opened[0]

    def finish():
        for notebook in opened:
            errors = notebook.errors()
            notebook.close()
            opened.clear()
            assert not errors, '\n\n'.join(errors)
    yield call
    try: finish()
    except Exception:
        pages.clear()
        raise
    # whatever is still open there, the next test begins with a fresh page
    if request.session.testsfailed > failed: pages.clear()


@pytest.fixture
def measured(record_property):
    """Prints a time below the tests' results, of several the median:
    measured('slider to new picture, idle', milliseconds)."""
    def call(what, times):
        record_property('measured',
                        f'{what}: ' + (f'median {statistics.median(times):.0f} ms (n={len(times)})' if len(times) > 1
                                       else f'{times[0] / 1000:.1f} s'))
    return call


def pytest_terminal_summary(terminalreporter):
    reports = terminalreporter.stats.get('passed', []) + terminalreporter.stats.get('failed', [])
    lines = [value for report in reports if report.when == 'call' for name, value in report.user_properties
             if name == 'measured']
    if lines: terminalreporter.section('measured in the browser')
    for line in lines: terminalreporter.write_line(line)
