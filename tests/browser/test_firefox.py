"""Pages in Firefox, too: driven by WebDriver BiDi, which it speaks by itself."""
import json
import shutil
import subprocess
import time

import pytest

from nonvae.acai import ACAI
from nonvae.data import digits
from nonvae.page.html import lab_section, page, sections_of

FIREFOX = next(filter(None, map(shutil.which, ('firefox-esr', 'firefox'))), None)
PORT = 9377


class Firefox:
    "One window, without a screen."

    def __init__(self, folder):
        websocket = pytest.importorskip('websocket', reason='this needs websocket-client, which comes with Jupyter')
        self.process = subprocess.Popen([FIREFOX, '--headless', '--no-remote', f'--remote-debugging-port={PORT}', '--profile', folder],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline, self.count, self.said = time.monotonic() + 60, 0, []
        while True:
            try:
                self.socket = websocket.create_connection(f'ws://127.0.0.1:{PORT}/session', timeout=60, suppress_origin=True)
                break
            except OSError:
                if time.monotonic() > deadline: raise
                time.sleep(.2)
        self.call('session.new', capabilities={})
        self.call('session.subscribe', events=['log.entryAdded'])
        self.window = self.call('browsingContext.getTree')['contexts'][0]['context']

    def call(self, method, **params):
        self.count += 1
        self.socket.send(json.dumps({'id': self.count, 'method': method, 'params': params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get('method') == 'log.entryAdded' and message['params']['level'] == 'error': self.said.append(message['params']['text'])
            if message.get('id') == self.count:
                assert message['type'] == 'success', message
                return message['result']

    def open(self, path): self.call('browsingContext.navigate', context=self.window, url=path.as_uri(), wait='complete')

    def ask(self, script):
        "What an expression gives in the end, a text or a number."
        done = self.call('script.evaluate', expression=script, target={'context': self.window}, awaitPromise=True)
        assert done['type'] == 'success', done
        return done['result'].get('value')


@pytest.fixture
def firefox(tmp_path):
    if FIREFOX is None: pytest.skip('this needs Firefox: apt-get install firefox-esr')
    (tmp_path/'profile').mkdir()
    window = Firefox(tmp_path/'profile')
    yield window
    window.process.terminate()
    window.process.wait(20)


UNTIL = '''(async () => { const until = async test => { for (let k = 0; k < 300; k++) { const found = test(); if (found) return found; await new Promise(r => setTimeout(r, 50)); } throw Error('too long'); };
    const named = part => [...document.querySelectorAll('canvas')].find(one => (one.getAttribute('aria-label') ?? '').includes(part)); %s })()'''


def test_pages_work_in_firefox(firefox, tmp_path):
    _, held_out = digits()
    path = tmp_path/'page.html'
    path.write_text(page('Digits', [*sections_of({'ACAI': ACAI.pretrained('digits')}, held_out), lab_section()]), encoding='utf-8')
    firefox.open(path)
    assert firefox.ask(UNTIL % "await until(() => named('50 % of the way')); const slider = document.querySelector('input[type=range]'); slider.value = 20; "
                               "slider.dispatchEvent(new Event('input')); return (await until(() => named('20 % of the way'))).getAttribute('aria-label');") == 'ACAI: 20 % of the way'
    assert 'what the point at' in firefox.ask(UNTIL % "return (await until(() => named('what the point at'))).getAttribute('aria-label');")
    trained = firefox.ask(UNTIL % "[...document.querySelectorAll('button')].find(one => one.textContent === 'Train').click(); "
                                  "return await until(() => named('of all points') && parseInt(named('the plane').getAttribute('aria-label').slice(10)) > 50 && 'trains');")
    assert trained == 'trains' and firefox.said == []
