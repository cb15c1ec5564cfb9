"""What a reader does with the widgets, in a real browser: on both kernels, by mouse and by
keyboard, with good files and bad ones, at every size."""
import re
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from .lab import button, status

LESSON = ['''
import tempfile
from nonvae import ACAI, Trainer, digits
from nonvae.widgets import InterpolationExplorer, TrainingPanel
train, held_out = digits()
trainer = Trainer(ACAI.pretrained('digits'), train, held_out=held_out, out=tempfile.mkdtemp() + '/run')''',
          'panel = TrainingPanel(trainer)\npanel', 'second = TrainingPanel(trainer)\nsecond',
          'mixer = InterpolationExplorer(trainer.model, held_out)\nmixer']


def test_training_and_exploring_on_both_kernels(lab, kernel):
    nb = lab(LESSON, kernel=kernel).run()
    assert nb.python("__import__('ipykernel').__version__").startswith("'6.31." if kernel == 'ipykernel-6' else "'7.")
    steps = lambda: int(nb.python('trainer.steps_done'))
    panel, second, mixer = map(nb.cell, ('panel =', 'second =', 'mixer ='))
    with nb.change(status(panel), status(second)): button(panel, 'One step').click()
    assert steps() == 1
    with nb.change(status(panel), panel.get_by_title('loss over steps'), panel.get_by_title('held-out images after')):
        button(panel, 'Train').click()
    # the kernel is free while it trains
    assert len(nb.drag(mixer.locator('.noUi-handle').first, mixer.get_by_title('of the way'), moves=5)) == 5
    # the other panel takes over
    with nb.change(status(second)): button(second, 'Train').click()
    button(panel, 'Train').wait_for()
    # a cell that runs again ends what it started
    nb.run('second =')
    at = steps()
    second = nb.cell('second =')
    with nb.change(status(second)): button(second, 'One step').click()
    assert steps() == at + 1
    button(second, 'Save').click()
    saved = nb.reads(second, f'Saved after step {at + 1:,} to ')
    assert Path(re.search(r'to (\S+/run)\.', saved)[1], 'checkpoint.pt').exists()
    with nb.change(status(panel)): button(panel, 'One step').click()
    button(panel, 'Back to checkpoint').click()
    nb.reads(panel, f'Back at step {at + 1:,}')
    assert steps() == at + 1


def test_files_come_in_and_go_out(lab, tmp_path):
    nb = lab('playground', only=['mixer =', 'swap =']).run()
    mixer, swap = nb.cell('mixer ='), nb.cell('swap =')
    digit = Image.new('L', (90, 120), 'white')
    ImageDraw.Draw(digit).ellipse([25, 35, 65, 85], outline='black', width=9)
    digit.save(tmp_path/'zero.png')
    (tmp_path/'notes.png').write_text('no picture')
    Image.new('1', (10_000, 10_000)).save(tmp_path/'huge.png')
    Image.new('RGB', (1, 1)).save(tmp_path/'dot.png')
    Image.new('RGB', (300, 200), 'tan').save(tmp_path/'me.jpg')
    mixer.get_by_label('dark on light').check()
    with nb.change(mixer.get_by_title('image A:')): nb.upload(button(mixer, 'Your picture'), tmp_path/'zero.png')
    nb.upload(button(swap, 'Your photograph'), tmp_path/'me.jpg')
    swap.get_by_title('me.jpg: the square that is used').wait_for()
    for panel, chooser in ((mixer, 'Your picture'), (swap, 'Your photograph')):
        for name, sentence in {'notes.png': 'notes.png is not a picture',
                               'huge.png': 'huge.png has more than 25 million pixels',
                               'dot.png': 'dot.png is only 1x1 pixels'}.items():
            nb.upload(button(panel, chooser), tmp_path/name)
            nb.reads(panel, sentence)
        button(panel, 'Save PNG').click()
        nb.reads(panel, 'Saved to (interpolation|transfer).png')
    button(mixer, 'Save GIF').click()
    nb.reads(mixer, 'Saved to interpolation.gif')
    assert (Image.open(nb.folder/'interpolation.gif').n_frames > 10
            and Image.open(nb.folder/'interpolation.png').width > 200 and (nb.folder/'transfer.png').exists())


def test_choosing_and_animating(lab):
    nb = lab('playground', only=['mixer =']).run()
    mixer = nb.cell('mixer =')
    frame, strip = mixer.get_by_title('of the way').first, mixer.get_by_title('frames from image A')
    with nb.change(mixer.get_by_title('image A:'), frame): button(mixer, 'Random').click()
    with nb.change(mixer.get_by_title('image A:'), frame):
        mixer.locator('button.nonvae-thumbnail:not(.nonvae-chosen)').first.click()
    with nb.change(frame): mixer.get_by_label('path').select_option('along an arc (slerp)')
    with nb.change(frame): button(mixer, 'Animate').click()
    button(mixer, 'Pause').click()
    button(mixer, 'four images').click()
    mixer.get_by_title('the square between images').first.wait_for()
    for handle in mixer.locator('.noUi-handle').all(): nb.drag(handle, frame, moves=3)
    assert not nb.plain(mixer.locator('img:visible')) and strip.count() == 0


def test_everything_by_keyboard(lab):
    nb = lab(LESSON).run()
    panel, mixer = nb.cell('panel ='), nb.cell('mixer =')
    button(panel, 'Train').focus()
    with nb.change(status(panel)): nb.page.keyboard.press('Space')
    nb.page.keyboard.press('Space')
    nb.reads(panel, 'Saved after step')
    nb.tab_to(panel.locator('.noUi-handle').first)
    with nb.change(panel.locator('.widget-readout').first): nb.page.keyboard.press('ArrowRight')
    mixer.locator('button').first.focus()
    nb.tab_to(mixer.locator('button.nonvae-thumbnail').nth(5))
    with nb.change(mixer.get_by_title('image A:')): nb.page.keyboard.press('Enter')
    nb.tab_to(mixer.locator('.noUi-handle').first)
    with nb.change(mixer.get_by_title('of the way')): nb.page.keyboard.press('ArrowRight')
    for control in mixer.locator('button:visible, select:visible').all(): nb.tab_to(control)


@pytest.mark.parametrize('zoom', [1, 1.5])
def test_readable_in_both_themes_and_enlarged(lab, zoom):
    nb = lab('playground', zoom=zoom).run()
    for theme in ('light', 'dark'):
        nb.theme(theme)
        for name in ('mixer', 'swap', 'place'):
            panel = nb.cell(f'{name} =').locator('.nonvae').first
            assert panel.evaluate('panel => [seen.cut(panel), seen.faint(panel), seen.nameless(panel)]') == [[], [], []]
            nb.screenshot(f'playground-{name}-{theme}-{100*zoom:.0f}', panel)
