"""A JupyterLab of its own and notebooks open in a real browser: what a reader does, and what it brings about."""
import ast
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
from conftest import ROOT

SKIPPED = re.compile(r'\s*#\|\s*(slow\b|eval:\s*false)')          # such cells the notebook tests leave out, too
# progress bars; the widget manager asks every new kernel for widgets it does not have yet
QUIET = re.compile(r'\d+%\||^No such comm')

# JupyterLab shows a text with its pictures' paths as they are written, and only then finds them
TRIED = re.compile(r'404 \(Not Found\) \(http://[^/]*/assets/')


def needed(cells, ends):
    """The indices of the code cells that bring about what the cells at `ends` read: what is exported, the cells that
    bind a name that they read, and so on backwards."""
    wanted, kept = set(), set()
    for k in range(max(ends), -1, -1):
        if cells[k].cell_type != 'code': continue
        read, bound = set(), set()
        for node in ast.walk(ast.parse(cells[k].source)):
            if isinstance(node, ast.Name): (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)): bound.add(node.name)
            elif isinstance(node, ast.alias): bound.add((node.asname or node.name).split('.')[0])
        if k in ends or bound & wanted or cells[k].source.startswith('#| export'):
            kept.add(k)
            wanted |= read
    return kept


class Server:
    """JupyterLab on copies of the notebooks in `folder`, with settings, data and kernels of its own;
    `config` is the text of a jupyter_server_config.py."""

    def __init__(self, folder, config=''):
        self.folder, self.home, self.nbs = folder, folder/'home', folder/'work'/'nbs'
        for name in ('nbs', 'assets', 'benchmarks'):
            shutil.copytree(ROOT/name, folder/'work'/name,
                            ignore=shutil.ignore_patterns('.ipynb_checkpoints', 'data', 'runs', 'comparison'))
        # every cell stands in the page, also far below
        self.settings('notebook-extension', 'tracker', windowingMode='none')
        self.settings('docmanager-extension', 'plugin', autosave=False)
        self.settings('apputils-extension', 'notification', fetchNews='false', checkForUpdates=False)
        (self.home/'config').mkdir()
        (self.home/'config'/'jupyter_server_config.py').write_text(config)
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        self.url, self.log = f'http://127.0.0.1:{port}', folder/'server.log'
        command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', '--ip=127.0.0.1',
                   f'--port={port}', '--ServerApp.port_retries=0',
                   '--expose-app-in-browser', '--IdentityProvider.token=', f'--ServerApp.root_dir={folder/"work"}',
                   '--LabApp.news_url=None',
                   '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate',
                   '--LabApp.extension_manager=readonly']
        places = {'JUPYTER_CONFIG_DIR': 'config', 'JUPYTER_DATA_DIR': 'data', 'JUPYTER_RUNTIME_DIR': 'runtime',
                  'IPYTHONDIR': 'ipython',
                  'JUPYTERLAB_SETTINGS_DIR': 'settings', 'JUPYTERLAB_WORKSPACES_DIR': 'workspaces'}
        environment = {**os.environ, 'OMP_NUM_THREADS': '1',
                       **{name: str(self.home/place) for name, place in places.items()}}
        for name in ('IN_TEST', 'MPLBACKEND'): environment.pop(name, None)
        with open(self.log, 'w') as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
        deadline = time.monotonic() + 60
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError('JupyterLab did not start (exit code '
                                     f'{self.process.poll()}):\n{self.log.read_text()[-3000:]}')
            time.sleep(.05)

    def answers(self):
        try: return urllib.request.urlopen(f'{self.url}/api/status', timeout=5).status == 200
        except OSError: return False

    def add_kernel(self, name, folder):
        "A kernel of this Python for which the packages in `folder` come before the installed ones."
        paths = os.pathsep.join(filter(None, (str(folder), os.environ.get('PYTHONPATH'))))
        place = self.home/'data'/'kernels'/name
        place.mkdir(parents=True)
        (place/'kernel.json').write_text(json.dumps({'argv': [sys.executable, '-m', 'ipykernel_launcher', '-f',
                                                              '{connection_file}'],
                                                     'display_name': name, 'language': 'python',
                                                     'env': {'PYTHONPATH': paths}}))

    def settings(self, extension, plugin, **values):
        place = self.home/'settings'/'@jupyterlab'/extension
        place.mkdir(parents=True, exist_ok=True)
        (place/f'{plugin}.jupyterlab-settings').write_text(json.dumps(values))

    def write(self, notebook, kernel, only):
        """The notebook as the tests run it, without outputs and slow cells, and if `only` is
        given with those code cells only that contain one of these texts, and what they need.

        `notebook` is the name of one in nbs/, such as workshop/40_panel, or a list of cells."""
        if isinstance(notebook, str):
            name, content = f'{notebook}.ipynb', nbformat.read(ROOT/'nbs'/f'{notebook}.ipynb', as_version=4)
        else:
            cells = [nbformat.v4.new_code_cell(cell) for cell in notebook]
            name, content = 'cells.ipynb', nbformat.v4.new_notebook(cells=cells)
        content.cells = [cell for cell in content.cells if cell.cell_type != 'code'
                         or not any(map(SKIPPED.match, cell.source.split('\n')))]
        for cell in content.cells:
            if cell.cell_type == 'code': cell.outputs, cell.execution_count = [], None
        if only:
            ends = {k for k, cell in enumerate(content.cells)
                    if cell.cell_type == 'code' and any(text in cell.source for text in only)}
            assert len(ends) >= len(only), f'{name} has no cell with one of {only}'
            kept = needed(content.cells, ends)
            content.cells = [cell for k, cell in enumerate(content.cells) if cell.cell_type != 'code' or k in kept]
        content.metadata.kernelspec = {'display_name': kernel, 'language': 'python', 'name': kernel}
        nbformat.write(content, self.nbs/name)
        return name

    def stop(self):
        self.process.terminate()
        try: self.process.wait(5)
        except subprocess.TimeoutExpired: self.process.kill()


class Lab:
    """JupyterLab's page, loaded once: notebooks are opened in it one after the other. A browser's zoom
    means fewer, larger points on the same screen."""

    def __init__(self, server, browser, zoom=1, width=1200, height=1000):
        self.server, self.console = server, []
        self.page = browser.new_context(viewport={'width': int(width/zoom), 'height': int(height/zoom)},
                                        device_scale_factor=zoom).new_page()
        self.page.set_default_timeout(60_000)
        self.page.add_init_script(path=Path(__file__).with_name('lab.js'))
        self.page.on('pageerror', lambda error: self.console.append(error.stack or str(error)))
        self.page.on('console', lambda message: message.type == 'error'
                     and self.console.append(f'{message.text} ({message.location.get("url")})'))
        self.page.goto(f'{server.url}/doc?reset')
        self.page.wait_for_function('() => window.jupyterapp', timeout=60_000)
        self.page.evaluate('() => jupyterapp.restored')

    def theme(self, name):
        "light or dark"
        self._calm()
        if self.page.evaluate('() => document.body.dataset.jpThemeName') != f'JupyterLab {name.capitalize()}':
            self.page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})",
                               f'JupyterLab {name.capitalize()}')
            self._calm()

    def _calm(self):
        """JupyterLab shows its sign while it starts and while it changes theme, and
        trips over it if the theme is changed meanwhile."""
        self.page.wait_for_function("() => !document.querySelector('#jupyterlab-splash')")


class Notebook:
    """One notebook, open in the browser. Everything waits for a state and nothing for a time.

    notebook.page is playwright's page; notebook.cell(text) the output of the cell with this
    text in its source, to look for widgets in it."""

    def __init__(self, lab, notebook, theme='light', kernel='python3', only=None):
        self.server, self.folder, self.page, self.theme = lab.server, lab.server.nbs, lab.page, lab.theme
        self.console, self.before, self.on_purpose = lab.console, len(lab.console), []
        self.name = self.server.write(notebook, kernel, only)
        self.theme(theme)
        self._finish('open', f'nbs/{self.name}', 60)

    def _finish(self, name, argument=None, seconds=60):
        "Calls an asynchronous function of lab.js and waits for its end, but not for ever."
        self.page.evaluate('''([name, argument]) => {
            window.ended = null
            seen[name](argument).then(() => window.ended = 'well', error => window.ended = String(error))
        }''', [name, argument])
        self.page.wait_for_function('() => window.ended !== null', timeout=1000*seconds)
        ended = self.page.evaluate('() => window.ended')
        assert ended == 'well', f'{self.name}: {ended}'

    def run(self, text=None, seconds=240):
        "Runs all cells, or the one that contains a text, and waits for the end."
        self._finish('run', None if text is None else self._place(text), seconds)
        # a mistake of a cell is an error of the cell, unless the cell expects it
        self.on_purpose = self._sentences()
        return self

    def _sentences(self): return self.page.locator('.nonvae-wrong').all_inner_texts()

    def _place(self, text):
        place = self.page.evaluate('text => seen.place(text)', text)
        assert place >= 0, f'{self.name} has no cell with {text!r}'
        return place

    def cell(self, text):
        "The output of the first code cell whose source contains this text."
        return self.page.locator('.jp-Notebook .jp-Cell').nth(self._place(text)).locator('.jp-Cell-outputArea')

    def errors(self):
        """What went wrong so far, anywhere: in cells, in callbacks of widgets,
        in the browser. Progress bars are no errors."""
        said = re.sub(r'\x1b\[[\d;]*m', '', ''.join(self.page.evaluate('() => seen.said')))
        said = '\n'.join(line for line in re.split('[\r\n]', said) if line.strip() and not QUIET.search(line))
        sentences = [text for text in self._sentences() if text not in self.on_purpose]
        return [text for text in (said, *sentences, *self.console[self.before:]) if text and not TRIED.search(text)]

    def python(self, expression):
        "An expression's value in the kernel, as text."
        return self.page.evaluate('expression => seen.python(expression)', expression)

    @contextmanager
    def change(self, *locators, seconds=60):
        "What is done inside must bring another picture, value or text into each of these elements: waits for it."
        elements = [locator.element_handle() for locator in locators]
        before = [element.evaluate('element => seen.state(element)') for element in elements]
        yield
        for pair in zip(elements, before):
            self.page.wait_for_function('([element, before]) => ![null, before].includes(seen.state(element))',
                                        arg=list(pair), timeout=1000*seconds)

    def reads(self, locator, pattern, seconds=60):
        "Waits until this element's text holds the pattern, and returns the text."
        self.page.wait_for_function('([element, pattern]) => new RegExp(pattern).test(element.textContent)',
                                    arg=[locator.element_handle(), pattern], timeout=1000*seconds)
        return locator.text_content()

    def plain(self, locator):
        "The names of those pictures that are of one single colour, or none at all."
        return locator.evaluate_all('images => images.filter(seen.plain).map(image => image.title)')

    def press(self, locator, *keys):
        "Gives a control the focus and presses keys."
        locator.focus()
        for key in keys: self.page.keyboard.press(key)

    def tab_to(self, locator, most=80):
        "Presses Tab until the control has the focus; fails if the keyboard does not reach it."
        for _ in range(most):
            if locator.evaluate('element => element === document.activeElement'): return
            self.page.keyboard.press('Tab')
        raise AssertionError('the Tab key does not reach this control')

    def upload(self, button, path):
        "Chooses a file as a reader does, in the dialogue that the button opens."
        with self.page.expect_file_chooser() as chosen: button.click()
        chosen.value.set_files(path)

    def drag(self, handle, picture, moves=24, pixels=8):
        """Drags a slider's handle, the thumb of a range or the ring of a map back and forth and waits for the new picture
        after each move.

        Returns the milliseconds from each move (the input event's own time stamp) to the new picture, as the browser
        measured them."""
        picture.scroll_into_view_if_needed()
        handle.scroll_into_view_if_needed()
        picture.evaluate("image => seen.watch(image, 'pointermove')")
        box, track, inside = handle.bounding_box(), handle, handle.evaluate('element => element.className.includes("noUi")')
        if inside: track = handle.locator('xpath=ancestor::*[contains(@class, "noUi-target")]')
        track = track.bounding_box()
        axis, edge = ('x', 'width') if track['width'] >= track['height'] else ('y', 'height')
        now = {'x': box['x'] + box['width']/2, 'y': box['y'] + box['height']/2}
        if handle.evaluate('element => element.type === "range"'):
            now['x'] = box['x'] + 8 + (box['width'] - 16)*float(handle.input_value())/float(handle.get_attribute('max'))
        self.page.mouse.move(**now)
        self.page.mouse.down()
        for _ in range(moves):
            if not track[axis] + 8 <= now[axis] + pixels <= track[axis] + track[edge] - 8: pixels = -pixels
            now[axis] += pixels
            self._timed(lambda: self.page.mouse.move(**now))
        self.page.mouse.up()
        return self.page.evaluate('() => seen.watched.times')

    def _timed(self, act):
        count = self.page.evaluate('() => seen.watched.times.length')
        act()
        self.page.wait_for_function('count => seen.watched.times.length > count', arg=count, timeout=60_000)

    def screenshot(self, name, locator=None):
        "Writes NAME.png, of the page or of one element, to the folder $NONVAE_SCREENSHOTS or else to pytest's."
        folder = Path(os.environ.get('NONVAE_SCREENSHOTS') or self.server.folder/'screenshots')
        folder.mkdir(parents=True, exist_ok=True)
        size = self.page.viewport_size
        # all of it, without scrolling
        if locator:
            self.page.set_viewport_size({**size,
                                         'height': max(size['height'], 250 + int(locator.bounding_box()['height']))})
        (locator or self.page).screenshot(path=folder/f'{name}.png')
        self.page.set_viewport_size(size)

    def close(self):
        "Ends the kernel, so that its memory is free, and closes the notebook unsaved."
        self._finish('close', seconds=60)


def button(panel, name):
    "A button by its words; a FileUpload counts its files behind them."
    return panel.locator('button', has_text=re.compile(rf'^\s*{name}( \(\d+\))?\s*$'))


def status(panel):
    "A training panel's line of text: step, speed, time left."
    return panel.locator('.widget-html-content', has_text=re.compile(r'^step [\d,]+ ')).first
