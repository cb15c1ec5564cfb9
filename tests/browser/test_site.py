"""The site: built with warnings as errors, opened without a network."""
import subprocess
import sys

import pytest
from conftest import ROOT

PAGES = 'index', 'play', 'reference', 'nbs/06_acai', 'nbs/16_transfer', 'nbs/playground', 'nbs/21_teaching', 'nbs/workshop/35_engine'


@pytest.fixture(scope='session')
def site(browser, tmp_path_factory):
    pytest.importorskip('myst_nb', reason="the site needs Sphinx: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp('site')
    done = subprocess.run([sys.executable, ROOT/'docs'/'build.py', folder], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


def test_site(site, browser):
    wrong, context = [], browser.new_context(offline=True)
    tab = context.new_page()
    tab.on('pageerror', lambda error: wrong.append(str(error)))
    tab.on('console', lambda message: message.type == 'error' and wrong.append(message.text))
    tab.on('request', lambda request: request.url.startswith(('file:', 'blob:', 'data:')) or wrong.append(request.url))
    for name in PAGES:
        tab.goto((site/f'{name}.html').as_uri())
        assert tab.locator('h1').first.inner_text() and not tab.locator('main img').evaluate_all('images => images.filter(image => image.loading !== "lazy" && !image.naturalWidth).map(image => image.src)')
    tab.goto((site/'nbs'/'06_acai.html').as_uri())
    assert tab.locator('math').count() > 10                             # equations, drawn by the browser itself
    live = tab.frame_locator('iframe').first
    tab.locator('iframe').first.scroll_into_view_if_needed()
    live.get_by_role('button', name='Train').wait_for()
    for name, title in (('digits', 'of the way'), ('faces', 'the face'), ('lab', 'the plane')):
        tab.goto((site/'pages'/f'{name}.html').as_uri())
        tab.get_by_title(title).or_(tab.get_by_label(title)).first.wait_for()
    assert wrong == []
    context.close()
