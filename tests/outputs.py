"""Renews the saved outputs of notebooks, without progress bars:

    python tests/outputs.py nbs/04_autoencoder.ipynb

and tells the tests which outputs are older than their source: words must be the same as in a new run, and numbers within three tenths of
each other, for trainings differ a little from machine to machine. Of a cell that begins with `#| varies` only the words count. Cells marked
slow or eval: false keep what they have, and so do those that need Node.js where it is not."""
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

KEPT = re.compile(r'^#\|\s*(slow\b|eval:\s*false)', re.MULTILINE)
VARIES = re.compile(r'^#\|\s*varies\b', re.MULTILINE)
NUMBER = re.compile(r'(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?')


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


def printed(text, source):
    "What a cell prints, as (words, numbers), the numbers as texts. The best of a table may have its star elsewhere when the numbers vary."
    varies = VARIES.search(source)
    return NUMBER.sub('#', text.replace('*', '') if varies else text).split(), [] if varies else NUMBER.findall(text)


def alike(a, b):
    "Whether two numbers are within three tenths of each other, or differ by three of their last decimals."
    decimals = len(re.sub(r'.*\.|e.*', '', a)) if '.' in a and 'e' not in a else None
    x, y = (float(number.replace(',', '')) for number in (a, b))
    return abs(x - y) <= max(.3 * max(abs(x), abs(y)), 0 if decimals is None else 3.001 * 10**-decimals)


def shown(cell): return ''.join(output.text for output in cell.outputs if output.get('name') == 'stdout')


def stale(saved, new):
    "A sentence for each cell of a notebook (its path) that prints something else in a new run of it (another path) than it shows."
    found, fresh = [], {cell.id: cell for cell in nbformat.read(new, as_version=4).cells}
    for cell in nbformat.read(saved, as_version=4).cells:
        if cell.cell_type != 'code' or KEPT.search(cell.source): continue
        if "which('node')" in cell.source and not shutil.which('node'): continue
        (words, numbers), (new_words, new_numbers) = printed(shown(cell), cell.source), printed(shown(fresh[cell.id]), cell.source)
        if words == new_words and all(map(alike, numbers, new_numbers)): continue
        found.append(f'the cell that begins with {cell.source.splitlines()[0]!r} shows\n{shown(cell)}but prints\n{shown(fresh[cell.id])}')
    return found


if __name__ == '__main__':
    for name in sys.argv[1:]: nbformat.write(executed(Path(name)), name)
