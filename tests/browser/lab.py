"""A JupyterLab of its own and notebooks open in a real browser: what a reader does, and what it brings about."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
from conftest import ROOT

SKIPPED = re.compile(r'\s*#\|\s*(slow\b|eval:\s*false)')               # such cells the notebook tests leave out, too
QUIET = re.compile(r'\d+%\||^No such comm')                              # progress bars; the widget manager asks a new kernel for old widgets
OFFLINE = re.compile(r'(?!)')                                          # what JupyterLab itself writes into the console: none of ours
HANDLE, PICTURE = '.noUi-handle', 'img.widget-image'


class Server:
    "JupyterLab on copies of the notebooks in `folder`, with settings, data and kernels of its own."

    def __init__(self, folder):
        self.folder, self.home, self.nbs = folder, folder/'home', folder/'work'/'nbs'
        ignored = shutil.ignore_patterns('.ipynb_checkpoints', 'data', 'runs', 'comparison')
        for name in ('nbs', 'assets'): shutil.copytree(ROOT/name, folder/'work'/name, ignore=ignored)
        self.settings('notebook-extension:tracker', windowingMode='none')        # every cell stands in the page, also far below
        self.settings('docmanager-extension:plugin', autosave=False)
        self.settings('apputils-extension:notification', fetchNews='false', checkForUpdates=False)
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        self.url, self.log = f'http://127.0.0.1:{port}', folder/'server.log'
        command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', '--ip=127.0.0.1', f'--port={port}', '--ServerApp.port_retries=0',
                   '--expose-app-in-browser', '--IdentityProvider.token=', f'--ServerApp.root_dir={folder/"work"}', '--LabApp.news_url=None',
                   '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate', '--LabApp.extension_manager=readonly']
        names = {'JUPYTER_CONFIG_DIR': 'config', 'JUPYTER_DATA_DIR': 'data', 'JUPYTER_RUNTIME_DIR': 'runtime', 'IPYTHONDIR': 'ipython',
                 'JUPYTERLAB_SETTINGS_DIR': 'settings', 'JUPYTERLAB_WORKSPACES_DIR': 'workspaces'}
        environment = {**os.environ, 'OMP_NUM_THREADS': '1', **{name: str(self.home/place) for name, place in names.items()}}
        for name in ('IN_TEST', 'MPLBACKEND'): environment.pop(name, None)
        with open(self.log, 'w') as log: self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
        deadline = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f'JupyterLab did not start:\n{self.log.read_text()[-3000:]}')
            time.sleep(.05)

    def _answers(self):
        try: return urllib.request.urlopen(f'{self.url}/api/status', timeout=5).status == 200
        except OSError: return False

    def add_kernel(self, name, first=None):
        "A kernel of this Python; packages in the folder `first` come before the installed ones."
        spec = {'argv': [sys.executable, '-m', 'ipykernel_launcher', '-f', '{connection_file}'], 'display_name': name, 'language': 'python',
                'env': {'PYTHONPATH': os.pathsep.join(filter(None, [first and str(first), os.environ.get('PYTHONPATH')]))}}
        place = self.home/'data'/'kernels'/name
        place.mkdir(parents=True, exist_ok=True)
        (place/'kernel.json').write_text(json.dumps(spec))

    def settings(self, plugin, **values):
        extension, name = plugin.split(':')
        place = self.home/'settings'/'@jupyterlab'/extension
        place.mkdir(parents=True, exist_ok=True)
        (place/f'{name}.jupyterlab-settings').write_text(json.dumps(values))

    def write(self, notebook, kernel, until):
        "The notebook as the tests run it: without slow cells, for this kernel, and up to the first cell that contains `until`."
        source = Path(notebook) if str(notebook).endswith('.ipynb') else ROOT/'nbs'/f'{notebook}.ipynb'
        read = nbformat.read(source, as_version=4)
        read.cells = [cell for cell in read.cells if cell.cell_type != 'code' or not any(map(SKIPPED.match, cell.source.split('\n')))]
        for cell in read.cells:
            if cell.cell_type == 'code': cell.outputs, cell.execution_count = [], None
        if until:
            last = next((k for k, cell in enumerate(read.cells) if cell.cell_type == 'code' and until in cell.source), None)
            assert last is not None, f'{source.name} has no cell with {until!r}'
            read.cells = read.cells[:last + 1]
        read.metadata.kernelspec = {'display_name': kernel, 'language': 'python', 'name': kernel}
        nbformat.write(read, self.nbs/source.name)
        return source.name

    def stop(self):
        self.process.terminate()
        try: self.process.wait(20)
        except subprocess.TimeoutExpired: self.process.kill()


class Lab:
    "JupyterLab's page in the browser, loaded once: notebooks are opened in it one after the other."

    def __init__(self, server, browser):
        self.server, self.console = server, []
        self.page = browser.new_context().new_page()
        self.page.set_default_timeout(20_000)
        self.page.on('pageerror', lambda error: self.console.append(error.stack or str(error)))
        self.page.on('console', lambda message: message.type == 'error' and self.console.append(f'{message.text} ({message.location.get("url")})'))
        self.screen = self.page.context.new_cdp_session(self.page)
        self.page.goto(f'{server.url}/doc?reset')
        self.page.wait_for_function('() => window.jupyterapp', timeout=60_000)
        self.page.evaluate('() => jupyterapp.restored')

    def look(self, theme, zoom, width=1200, height=1000):
        "The theme, and what a browser's zoom does: fewer, larger points on the same screen."
        self.screen.send('Emulation.setDeviceMetricsOverride', {'width': int(width/zoom), 'height': int(height/zoom), 'deviceScaleFactor': zoom, 'mobile': False})
        self.page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", f'JupyterLab {theme.capitalize()}')


class Notebook:
    """One notebook, open in the browser. Everything waits for a state and nothing for a time.

    notebook.page is playwright's page; notebook.cell(text) the output of the cell with this text in its source, to look for widgets in it."""

    OPEN = '''async path => {
        window.panel = await jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'});
        await panel.context.ready; await panel.sessionContext.ready; await panel.sessionContext.session.kernel.info;
        window.kernelSays = [];
        panel.sessionContext.iopubMessage.connect((_, {header: {msg_type}, content}) => {
            if (msg_type === 'error') kernelSays.push(content.traceback.join('\\n') + '\\n');
            if (msg_type === 'stream' && content.name === 'stderr') kernelSays.push(content.text)})}'''
    RUN = '''() => {window.ran = null; jupyterapp.commands.execute('notebook:run-all-cells').then(() => window.ran = true, error => window.ran = String(error))}'''
    PYTHON = '''async expression => {
        const reply = await panel.sessionContext.session.kernel.requestExecute(
            {code: '', silent: true, store_history: false, user_expressions: {value: expression}}).done;
        const {value} = reply.content.user_expressions;
        return value.status === 'ok' ? value.data['text/plain'] : `${value.ename}: ${value.evalue}`}'''
    STATE = '''element => element.tagName === 'IMG' ? element.src : element.tagName === 'INPUT' ? element.value : element.textContent'''
    CHANGED = '''([element, before]) => {const state = %s; return state(element) !== before && (element.tagName !== 'IMG' || element.complete && element.naturalWidth > 0)}''' % STATE

    def __init__(self, lab, notebook, theme='light', kernel='python3', zoom=1, until=None):
        self.server, self.page, self.console, self._before = lab.server, lab.page, lab.console, len(lab.console)
        self.name = self.server.write(notebook, kernel, until)
        lab.look(theme, zoom)
        self.page.evaluate(self.OPEN, f'nbs/{self.name}')

    def run(self, seconds=240):
        "Runs all cells and waits for the end; widgets are drawn then."
        self.page.evaluate(self.RUN)
        self.page.wait_for_function('() => window.ran !== null', timeout=1000*seconds)
        assert self.page.evaluate('() => window.ran') is True
        self.page.evaluate('() => new Promise(requestAnimationFrame)')
        return self

    def errors(self):
        "What went wrong so far, anywhere: in cells, in callbacks of widgets, in the browser. Progress bars are no errors."
        said = re.sub(r'\x1b\[[\d;]*m', '', ''.join(self.page.evaluate('() => window.kernelSays')))
        said = '\n'.join(line for line in re.split('[\r\n]', said) if line.strip() and not QUIET.search(line))
        return [text for text in (said, *self.console[self._before:]) if text and not OFFLINE.search(text)]

    def python(self, expression):
        "An expression's value in the kernel, as text."
        return self.page.evaluate(self.PYTHON, expression)

    def cell(self, text):
        "The output of the first code cell whose source contains this text."
        place = self.page.evaluate('''text => panel.content.widgets.findIndex(
                                          cell => cell.model.type === 'code' && cell.model.sharedModel.getSource().includes(text))''', text)
        assert place >= 0, f'{self.name} has no cell with {text!r}'
        return self.page.locator('.jp-Notebook .jp-Cell').nth(place).locator('.jp-Cell-outputArea')

    @contextmanager
    def change(self, locator, seconds=20):
        "What is done inside must bring another picture, text or value into this element: waits for it."
        element = locator.element_handle()
        before = element.evaluate(self.STATE)
        yield
        self.page.wait_for_function(self.CHANGED, arg=[element, before], timeout=1000*seconds)

    def reads(self, locator, pattern, seconds=20):
        "Waits until this element's text holds the pattern, and returns the text."
        self.page.wait_for_function('([element, pattern]) => new RegExp(pattern).test(element.textContent)',
                                    arg=[locator.element_handle(), pattern], timeout=1000*seconds)
        return locator.text_content()

    def shown(self, locator):
        "Whether every picture of this locator is loaded and not of one single colour."
        return locator.evaluate_all('''images => images.every(image => {
            if (!image.complete || !image.naturalWidth) return false;
            const canvas = document.createElement('canvas'), [width, height] = [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            const pen = canvas.getContext('2d'); pen.drawImage(image, 0, 0);
            const colours = new Uint32Array(pen.getImageData(0, 0, width, height).data.buffer);
            return colours.some(colour => colour !== colours[0])})''')

    def press(self, locator, *keys):
        "Focuses a control, as the Tab key does, and presses keys."
        locator.focus()
        for key in keys: self.page.keyboard.press(key)

    def tab_to(self, locator, most=60):
        "Presses Tab until the control has the focus; fails if the keyboard does not reach it."
        for _ in range(most):
            if locator.evaluate('element => element === document.activeElement'): return
            self.page.keyboard.press('Tab')
        raise AssertionError('the Tab key does not reach this control')

    def upload(self, button, path):
        "Chooses a file as a reader does, through the dialogue that the button opens."
        with self.page.expect_file_chooser() as chosen: button.click()
        chosen.value.set_files(path)

    def drag(self, handle, picture, moves=24, pixels=8):
        """Drags a slider's handle back and forth, one move after the other, and waits for the new picture after each.

        Returns the milliseconds from each move (the input event's own time stamp) to the picture's load event, as the browser measured them."""
        handle.scroll_into_view_if_needed()
        self._watch(picture, 'pointermove')
        box, track = handle.bounding_box(), handle.locator('xpath=ancestor::*[contains(@class, "noUi-target")]').bounding_box()
        x, y, step = box['x'] + box['width']/2, box['y'] + box['height']/2, pixels
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for _ in range(moves):
            if not track['x'] <= x + step <= track['x'] + track['width']: step = -step
            x += step
            self._timed(lambda: self.page.mouse.move(x, y))
        self.page.mouse.up()
        return self.page.evaluate('() => window.latency.times')

    def arrows(self, handle, picture, moves=24):
        "As drag, with the arrow keys on the focused handle."
        self._watch(picture, 'keydown')
        handle.focus()
        low, high, now = (float(handle.get_attribute(f'aria-value{end}')) for end in ('min', 'max', 'now'))
        there, back = ('ArrowLeft', 'ArrowRight') if now - low > high - now else ('ArrowRight', 'ArrowLeft')
        for k in range(moves): self._timed(lambda: self.page.keyboard.press(there if k % 12 < 6 else back))
        return self.page.evaluate('() => window.latency.times')

    def _watch(self, picture, event):
        picture.evaluate('''(image, event) => {
            const latency = window.latency = {times: [], start: null};
            document.addEventListener(event, input => latency.start = input.timeStamp, true);
            image.addEventListener('load', () => {
                if (latency.start !== null) latency.times.push(performance.now() - latency.start);
                latency.start = null})}''', event)

    def _timed(self, act):
        count = self.page.evaluate('() => window.latency.times.length')
        act()
        self.page.wait_for_function('count => window.latency.times.length > count', arg=count, timeout=10_000)

    def screenshot(self, name, locator=None):
        "Writes NAME.png into the folder of the test's artefacts."
        folder = Path(os.environ.get('NONVAE_SCREENSHOTS') or self.server.folder/'screenshots')
        folder.mkdir(parents=True, exist_ok=True)
        (locator or self.page).screenshot(path=folder/f'{name}.png')
        return folder/f'{name}.png'

    def close(self):
        "Ends the kernel, so that its memory is free, and closes the notebook unsaved."
        self.page.evaluate('() => panel.sessionContext.shutdown().then(() => {panel.context.model.dirty = false; panel.dispose()})')
