"""How long a reader waits, measured in the browser and printed: nothing else may
run beside it, and nothing is asserted of time."""
import json
import re
import time

import pytest
from conftest import ROOT

from .lab import Lab, Notebook, button

pytestmark = pytest.mark.alone

CELLS = ['''
from nonvae import ACAI, ContentTransfer, Trainer, digits
from nonvae.faces import drawn_domains
from nonvae.widgets import InterpolationExplorer, TrainingPanel, TransferExplorer
train, held_out = digits()
panel = TrainingPanel(Trainer(ACAI.preset('digits'), train, held_out=held_out))
panel''', 'mixer = InterpolationExplorer(ACAI.pretrained("digits"), held_out)\nmixer', '''
faces = drawn_domains(4, 1, 128)
swap = TransferExplorer(ContentTransfer.preset('celeba'), faces.a, faces.b)
swap''', '''
small = drawn_domains(4, 1)
one = TransferExplorer(ContentTransfer.pretrained('faces'), small.a, small.b)
one''', '''
import io
import ipywidgets as widgets
from PIL import Image
def grey(level):
    "A grey picture as the bytes of a PNG."
    buffer = io.BytesIO()
    Image.new('L', (32, 32), level).save(buffer, 'PNG')
    return buffer.getvalue()
slider, picture = widgets.IntSlider(50), widgets.Image(value=grey(100), width=160, height=160)
slider.observe(lambda change: setattr(picture, 'value', grey(2 * change.new)), 'value')
bare = widgets.VBox([slider, picture])
bare''']


def drag_bare(nb, measured, where=''):
    "The yardstick: what ipywidgets takes for a slider and a picture behind which there is no model."
    bare = nb.cell('bare =')
    measured(f"slider to new picture, idle, ipywidgets' own slider and picture, no model{where}",
             nb.drag(bare.locator('.noUi-handle').first, bare.locator('img')))


def drag(nb, name, title):
    "The first slider of an explorer, or the ring of its map."
    panel = nb.cell(f'{name} =')
    panel.get_by_title(title).last.wait_for()
    return nb.drag(panel.locator('input[type=range], .nonvae-map').first, panel.get_by_title(title).last)


def test_playground(lab, measured):
    start = time.monotonic()
    nb = lab('playground').run()
    measured('playground, from opening to the last cell', [1000 * (time.monotonic() - start)])
    for name, what, title in (('mixer', '32x32, three models', 'of the way'), ('place', 'map', 'what the point at'),
                              ('swap', '64x64 colour, two models', 'the face, ')):
        measured(f'slider to new picture, idle, {what}', drag(nb, name, title))


def test_while_training(lab, measured):
    nb = lab(CELLS).run()
    panel = nb.cell('panel =')
    drag_bare(nb, measured)
    nb.page.evaluate("""() => { window.longest = 0; new PerformanceObserver(list => {
        for (const {duration} of list.getEntries()) longest = Math.max(longest, duration) }).observe({entryTypes: ['longtask']}) }""")
    for name, what, title in (('mixer', '32x32', 'of the way'), ('one', '64x64 colour', 'the face, '), ('swap', '128x128 colour', 'the face, ')):
        measured(f'slider to new picture, idle, {what}', drag(nb, name, title))
    measured('the longest that the page was blocked meanwhile (0: never for 50 ms)', [nb.page.evaluate('() => longest'), 0])
    with nb.change(panel.get_by_title('loss over steps')): button(panel, 'Train').click()
    for name, what, title in (('mixer', '32x32', 'of the way'), ('swap', '128x128 colour', 'the face, ')):
        measured(f'slider to new picture, while training, {what}', drag(nb, name, title))


def test_with_the_setting_of_the_panel_room(start_server, browser, measured):
    lesson = ''.join(''.join(cell['source'])
                     for cell in json.loads((ROOT/'nbs'/'workshop'/'40_panel.ipynb').read_text())['cells'])
    config = re.search(r'```python\n(# jupyter_server_config\.py.*?)```', lesson, re.DOTALL)[1]
    nb = Notebook(Lab(start_server(config), browser), CELLS).run()
    drag_bare(nb, measured, ', messages sent at once')
    assert nb.errors() == []
    nb.close()
