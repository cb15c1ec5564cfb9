"""Every notebook, cell by cell, in a fresh process with a time limit, unless NONVAE_OUTPUTS names a folder where a run of nbdev_test
has just been recorded. One case a notebook, for the closing line counts them."""
import os
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from outputs import stale

NOTEBOOKS = sorted(ROOT.glob('nbs/**/*.ipynb'))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=['-'.join(path.parts[-2:]) for path in NOTEBOOKS])
def test_notebook_runs_and_prints_what_it_shows(run, tmp_path, path):
    name = '-'.join(path.parts[-2:])
    new = Path(os.environ.get('NONVAE_OUTPUTS', tmp_path))/name
    if not new.exists():
        code, out, err = run(Path(sys.executable).with_name('nbdev_test'), '--path', path, '--n_workers', 1, '--do_print', timeout=600, cwd=ROOT,
                             PYTHONPATH=ROOT/'tests'/'recorder', NONVAE_OUTPUTS=tmp_path)
        assert code == 0, out[-3000:] + err[-3000:]
        new = tmp_path/name
    assert stale(path, new) == []


@pytest.mark.parametrize('path', NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebook_is_small_and_holds_its_results(path):
    assert path.stat().st_size < 600_000
    cells = nbformat.read(path, as_version=4).cells
    assert not any(output.output_type == 'error' for cell in cells for output in cell.get('outputs', []))
    if path.stem != 'index':
        assert any(cell.get('outputs') for cell in cells), 'saved without its pictures: run it, then nbdev_clean'


def test_every_lesson_installs_the_package_on_colab_and_nowhere_else():
    for path in [*ROOT.glob('nbs/[0-9]*.ipynb'), ROOT/'nbs'/'playground.ipynb', *ROOT.glob('nbs/assignments/*.ipynb')]:
        first = next(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == 'code')
        assert "if 'google.colab' in sys.modules: get_ipython().run_line_magic('pip', 'install -q nonvae')" in first, path
