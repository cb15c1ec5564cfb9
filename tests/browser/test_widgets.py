"""What a reader does with the widgets, in a real browser: on both kernels, by mouse and by
keyboard, in both themes, at every size."""
import re
from pathlib import Path

import pytest

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
    assert len(nb.drag(mixer.get_by_label('A to B'), mixer.get_by_title('of the way'), moves=5)) == 5
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


def test_python_and_the_page_agree(lab):
    nb = lab([*LESSON, 'mixer.across = .2', 'trainer.fit(until=trainer.steps_done + 3, progress=False);'])
    for cell in ('import tempfile', 'mixer ='): nb.run(cell)
    mixer = nb.cell('mixer =')
    frame = mixer.get_by_title('of the way').first
    frame.wait_for()
    with nb.change(frame): nb.run('mixer.across = .2')
    assert '20 %' in frame.get_attribute('title') and mixer.get_by_label('A to B').input_value() == '20'
    nb.press(mixer.get_by_label('A to B'), 'ArrowRight', 'ArrowRight')
    nb.page.wait_for_function("() => seen.python('mixer.across').then(text => text === '0.22')")
    with nb.change(mixer.get_by_title('image A:')): mixer.locator('button[aria-pressed=false].nonvae-thumbnail').first.click()
    nb.page.wait_for_function("() => seen.python('mixer.chosen[0]').then(text => text === '2')")
    # what a cell trains, the explorer shows
    with nb.change(frame): nb.run('trainer.fit')


def test_thirty_explorers_and_once_more(lab):
    nb = lab([f'{LESSON[0]}\nfrom nonvae.widgets.panel import open_panels\nfrom IPython.display import display',
              'for k in range(30): display(InterpolationExplorer(trainer.model, held_out, 3))']).run()
    many = nb.cell('range(30)')
    for _ in range(2):
        many.get_by_title('of the way').nth(29).wait_for()
        assert nb.python('len(open_panels)') == '30'
        assert len(nb.drag(many.get_by_label('A to B').last, many.get_by_title('of the way').last, moves=3)) == 3
        nb.run('range(30)')
    # one worker for all, which forgets the models of what was closed
    assert nb.page.evaluate('() => nonvaeEngine.ask("models")') == 30


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
    nb.tab_to(mixer.get_by_label('A to B'))
    with nb.change(mixer.get_by_title('of the way')): nb.page.keyboard.press('ArrowRight')
    for control in mixer.locator('button:visible, select:visible, input:visible').all(): nb.tab_to(control)


@pytest.mark.parametrize('zoom', [1, 1.5])
def test_readable_in_both_themes_and_enlarged(lab, zoom):
    nb = lab('playground', zoom=zoom).run()
    for theme in ('light', 'dark'):
        nb.theme(theme)
        for name in ('mixer', 'swap', 'place'):
            panel = nb.cell(f'{name} =').locator('.nonvae-page').first
            assert panel.evaluate('panel => [seen.cut(panel), seen.faint(panel), seen.nameless(panel)]') == [[], [], []]
            nb.screenshot(f'playground-{name}-{theme}-{100*zoom:.0f}', panel)
