"""Every notebook that has widgets, in a real browser: the panels train, every slider brings a new picture.

Only the cells that the widgets need; NONVAE_ALL_CELLS=1 runs the others, too, which nbdev_test has done."""
import os
import re

import nbformat
import pytest
from conftest import ROOT

from .lab import button, status

WIDGETS = re.compile(r'^\w+ = \w*(Panel|Explorer|Lab)\(', re.MULTILINE)


def widget_cells(path):
    "The cells that make a widget and show it."
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == 'code' and WIDGETS.search(cell.source)
            and re.fullmatch(r'\w+', cell.source.split('\n')[-1])]


NOTEBOOKS = {path.relative_to(ROOT/'nbs').with_suffix('').as_posix(): widget_cells(path)
             for path in sorted(ROOT.glob('nbs/**/*.ipynb')) if '.ipynb_checkpoints' not in path.parts}
LESSONS = {name: cells for name, cells in NOTEBOOKS.items() if cells}


def train(nb, panel):
    "Train until the step, the curves and the pictures have changed; pause, which saves."
    with nb.change(status(panel), panel.get_by_title('loss over steps'), panel.get_by_title('held-out images after'),
                   seconds=90):
        button(panel, 'Train').click()
    button(panel, 'Pause').click()
    nb.reads(panel, 'Saved after step')


def explore(nb, panel):
    "Move every slider and drag the ring of a map: each brings a new picture. Press Run or Train where there is neither."
    if panel.get_by_label('weight of the critic').count():
        with nb.change(panel.locator('p[role=status]')): button(panel, 'Train').click()
        button(panel, 'Pause').click()
        return
    for title, handles in (('of the way to|of the way$', 'input[type=range]:visible'), ('what the point at', '.nonvae-map')):
        picture = panel.get_by_title(re.compile(title)).first
        if not panel.locator(handles).count(): continue
        picture.wait_for()
        for handle in panel.locator(handles).all(): nb.drag(handle, picture, moves=3)
        return
    with nb.change(panel.get_by_title('after: '), panel.get_by_title('distance of the codes')):
        button(panel, 'Run').click()
    nb.reads(panel, 'steps: the distance went from')


@pytest.mark.parametrize('name', LESSONS)
def test_lesson(lab, name):
    nb = lab(name, only=None if os.environ.get('NONVAE_ALL_CELLS') else LESSONS[name]).run()
    assert nb.errors() == []
    assert nb.page.locator('img').evaluate_all('images => images.filter(image => !image.naturalWidth).map(image => '
                                               'image.outerHTML)') == []
    for k, source in enumerate(LESSONS[name], 1):
        panel = nb.cell(source).locator('.nonvae, .nonvae-page').first
        (train if 'TrainingPanel(' in source else explore)(nb, panel)
        assert nb.plain(panel.locator('img:visible, canvas[role=img]:visible')) == []
        nb.screenshot(f'{name.replace("/", "-")}-{k}', panel)
