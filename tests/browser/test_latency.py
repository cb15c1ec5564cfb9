"""How long a reader waits, measured in the browser and printed: nothing else may run beside it, and nothing is asserted of time."""
import time

import pytest

from .lab import button

pytestmark = pytest.mark.alone

CELLS = ['''
from nonvae.acai import ACAI
from nonvae.datasets import digits
from nonvae.faces import drawn_domains
from nonvae.networks import TransferNet
from nonvae.training import Trainer
from nonvae.transfer import ContentTransfer, TransferConfig
from nonvae.widgets import InterpolationExplorer, TrainingPanel, TransferExplorer
train, held_out = digits()
panel = TrainingPanel(Trainer(ACAI.preset('digits'), train, held_out))
panel''', 'mixer = InterpolationExplorer(ACAI.pretrained("digits"), held_out)\nmixer', '''
faces = drawn_domains(4, 1, 128)
swap = TransferExplorer(ContentTransfer(TransferConfig(network=TransferNet(128, 32, 25))), faces.a, faces.b)
swap''']


def test_playground(lab, measured):
    start = time.monotonic()
    nb = lab('playground').run()
    measured('playground, from opening to the last cell', [1000 * (time.monotonic() - start)])
    for name, what, title in (('mixer', '32x32, three models', 'of the way'), ('place', 'map', 'map of '), ('swap', '64x64 colour', 'the face, ')):
        panel = nb.cell(f'{name} =')
        measured(f'slider to new picture, idle, {what}', nb.drag(panel.locator('.noUi-handle').first, panel.get_by_title(title).last))


def test_while_training(lab, measured):
    nb = lab(CELLS).run()
    panel, mixer, swap = map(nb.cell, ('panel =', 'mixer =', 'swap ='))
    drag = lambda: nb.drag(mixer.locator('.noUi-handle').first, mixer.get_by_title('of the way'))
    measured('slider to new picture, idle, 32x32', drag())
    measured('slider to new picture, idle, 128x128 colour', nb.drag(swap.locator('.noUi-handle').first, swap.get_by_title('the face, ')))
    with nb.change(panel.get_by_title('loss over steps')): button(panel, 'Train').click()
    measured('slider to new picture, while training, 32x32', drag())
