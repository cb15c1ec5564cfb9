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


def drag_bare_and_mixer(nb, measured, where=''):
    "The yardstick first: what ipywidgets takes for a slider and a picture behind which there is no model."
    bare, mixer = map(nb.cell, ('bare =', 'mixer ='))
    measured(f"slider to new picture, idle, ipywidgets' own slider and picture, no model{where}",
             nb.drag(bare.locator('.noUi-handle').first, bare.locator('img')))
    measured(f'slider to new picture, idle, 32x32{where}',
             nb.drag(mixer.locator('.noUi-handle').first, mixer.get_by_title('of the way')))


def test_playground(lab, measured):
    start = time.monotonic()
    nb = lab('playground').run()
    measured('playground, from opening to the last cell', [1000 * (time.monotonic() - start)])
    for name, what, title in (('mixer', '32x32, three models', 'of the way'), ('place', 'map', 'map of '),
                              ('swap', '64x64 colour', 'the face, ')):
        panel = nb.cell(f'{name} =')
        measured(f'slider to new picture, idle, {what}',
                 nb.drag(panel.locator('.noUi-handle').first, panel.get_by_title(title).last))


def test_while_training(lab, measured):
    nb = lab(CELLS).run()
    panel, mixer, swap = map(nb.cell, ('panel =', 'mixer =', 'swap ='))
    drag_bare_and_mixer(nb, measured)
    measured('slider to new picture, idle, 128x128 colour',
             nb.drag(swap.locator('.noUi-handle').first, swap.get_by_title('the face, ')))
    with nb.change(panel.get_by_title('loss over steps')): button(panel, 'Train').click()
    measured('slider to new picture, while training, 32x32',
             nb.drag(mixer.locator('.noUi-handle').first, mixer.get_by_title('of the way')))


def test_with_the_setting_of_the_panel_room(start_server, browser, measured):
    lesson = ''.join(''.join(cell['source'])
                     for cell in json.loads((ROOT/'nbs'/'workshop'/'40_panel.ipynb').read_text())['cells'])
    config = re.search(r'```python\n(# jupyter_server_config\.py.*?)```', lesson, re.DOTALL)[1]
    nb = Notebook(Lab(start_server(config), browser), CELLS).run()
    drag_bare_and_mixer(nb, measured, ', messages sent at once')
    assert nb.errors() == []
    nb.close()
