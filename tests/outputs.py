"""Runs notebooks and renews their saved outputs, or holds the saved ones up to new ones.

    python tests/outputs.py nbs/04_autoencoder.ipynb            renew
    python tests/outputs.py --check nbs/04_autoencoder.ipynb    fail where the notebook prints something else than it shows

Words must be the same, and numbers within three tenths of each other: trainings differ a little from machine to machine. Of a cell that
begins with `#| varies` only the words count. Cells marked slow or eval: false keep what they have."""
import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

KEPT = re.compile(r'^#\|\s*(slow\b|eval:\s*false)', re.MULTILINE)
VARIES = re.compile(r'^#\|\s*varies\b', re.MULTILINE)
NUMBER = re.compile(r'(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?')
TOLERANCE = .3


def executed(path):
    "The notebook with the outputs of a new run, without progress bars."
    notebook = nbformat.read(path, as_version=4)
    kept = {k: cell for k, cell in enumerate(notebook.cells) if cell.cell_type == 'code' and KEPT.search(cell.source)}
    for k, cell in kept.items(): notebook.cells[k] = nbformat.v4.new_code_cell('', id=cell.id)
    os.environ.pop('IN_TEST', None)
    NotebookClient(notebook, timeout=600, coalesce_streams=True, resources={'metadata': {'path': path.parent}}).execute()
    for k, cell in kept.items(): notebook.cells[k] = cell
    for cell in notebook.cells:
        if cell.cell_type == 'code': cell.outputs = [output for output in cell.outputs if output.get('name') != 'stderr']
    notebook.metadata.pop('widgets', None)
    return notebook


def printed(cell):
    "What a cell prints, as (words, numbers)."
    text = ''.join(output.text for output in cell.get('outputs', []) if output.get('name') == 'stdout')
    numbers = [float(number.replace(',', '')) for number in NUMBER.findall(text)]
    return NUMBER.sub('#', text).split(), [] if VARIES.search(cell.source) else numbers


def alike(a, b):
    "Whether two numbers are within the tolerance; near zero the last digits that are printed decide nothing."
    return abs(a - b) <= TOLERANCE * max(abs(a), abs(b)) + 1e-6


def stale(path):
    "A sentence for each cell that prints something else than it shows."
    saved, new = nbformat.read(path, as_version=4), executed(path)
    found = []
    for cell, fresh in zip(saved.cells, new.cells, strict=True):
        if cell.cell_type != 'code': continue
        (words, numbers), (new_words, new_numbers) = printed(cell), printed(fresh)
        if words == new_words and all(map(alike, numbers, new_numbers)): continue
        shown, now = (''.join(output.text for output in c.outputs if output.get('name') == 'stdout') for c in (cell, fresh))
        found.append(f'{path}, the cell that begins with {cell.source.splitlines()[0]!r}, shows\n{shown}but prints\n{now}')
    return found


if __name__ == '__main__':
    paths = [Path(name) for name in sys.argv[1:] if name != '--check']
    if '--check' in sys.argv:
        sentences = [sentence for path in paths for sentence in stale(path)]
        if sentences: sys.exit('\n'.join(sentences))
    else:
        for path in paths: nbformat.write(executed(path), path)
