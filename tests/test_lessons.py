"""Every lesson keeps its promises to the reader: short, the depth folded away, pictures in words, exercises with solutions."""
import re

import nbformat
import pytest
from conftest import ROOT

PATHS = [path for path in sorted(ROOT.glob('nbs/[0-9]*.ipynb')) if path.stem[:2] < '20']
LESSONS = {path.stem: nbformat.read(path, as_version=4).cells for path in PATHS}
MOST_WORDS = 1_800
KINDS = 'Predict', 'Change', 'Prove'
every_lesson = pytest.mark.parametrize('name', LESSONS)


def parts(cells):
    "(cell, whether it stands in a section that is closed at first), for each cell."
    closed = False
    for cell in cells:
        if cell.cell_type == 'markdown' and cell.source.startswith('## '): closed = bool(cell.metadata.get('jp-MarkdownHeadingCollapsed'))
        yield cell, closed


def text_of(cells): return '\n\n'.join(cell.source for cell in cells if cell.cell_type == 'markdown')


@every_lesson
def test_the_required_part_is_short(name):
    text = text_of(cell for cell, closed in parts(LESSONS[name]) if not closed)
    words = re.sub(r'<details>.*?</details>', '', text, flags=re.DOTALL).split()
    assert len(words) <= MOST_WORDS, f'{len(words)} words'


@every_lesson
def test_depth_is_folded_away(name):
    assert '](#Deeper' not in text_of(LESSONS[name]), 'on the site such a section has no address'
    for cell, closed in parts(LESSONS[name]):
        deeper = bool(re.search(r'^#+ Deeper', cell.source, re.MULTILINE)) and cell.cell_type == 'markdown'
        assert deeper == bool(cell.metadata.get('jp-MarkdownHeadingCollapsed')), cell.source[:100]
        if deeper: assert re.fullmatch('## Deeper: .+', cell.source), 'such a heading stands at level 2, in a cell of its own'
        if closed and cell.cell_type == 'code':
            assert not any('application/vnd.jupyter.widget-view+json' in output.get('data', {}) for output in cell.outputs), 'a widget that nobody sees'


@every_lesson
def test_pictures_are_described(name):
    for cell in LESSONS[name]:
        if any(kind.startswith('image/') for output in cell.get('outputs', []) for kind in output.get('data', {})):
            assert re.search(r'^#\| fig-alt: \S.{20,}', cell.source, re.MULTILINE), cell.source[:200]
        elif cell.cell_type == 'markdown':
            assert not re.search(r'!\[.{0,15}\]\(', cell.source), cell.source[:200]


@every_lesson
def test_exercises_are_of_three_kinds_with_hints_and_solutions(name):
    text = text_of(LESSONS[name]).split('## Exercises')[1]
    exercises = re.split(r'\*\*(\w+)\.\*\*', text)
    assert tuple(exercises[1::2]) == KINDS
    assert all(exercise.count('<details><summary>Hint</summary>') == 1 for exercise in exercises[2::2])
    assert f'solutions/{name}.ipynb' in text
    solution = nbformat.read(ROOT/'nbs'/'solutions'/f'{name}.ipynb', as_version=4).cells
    assert re.findall(r'^## (\w+)', text_of(solution), re.MULTILINE) == list(KINDS)
    assert sum('assert' in cell.source for cell in solution if cell.cell_type == 'code') >= 2


def test_no_progress_bar_is_saved():
    for path in ROOT.glob('nbs/**/*.ipynb'):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not any(output.get('name') == 'stderr' for output in cell.get('outputs', [])), path
