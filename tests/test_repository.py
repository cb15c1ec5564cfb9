"""The repository is consistent: notebooks clean and in sync with the package, README fresh, wheel complete."""
import ast
import filecmp
import graphlib
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import nbformat
from conftest import ROOT

TOOLS = Path(sys.executable).parent


def test_notebooks_are_clean_and_in_sync_with_the_package(run, tmp_path):
    shutil.copy(ROOT/'settings.ini', tmp_path)
    shutil.copytree(ROOT/'nbs', tmp_path/'nbs', ignore=shutil.ignore_patterns('.ipynb_checkpoints', 'data', 'runs'))
    for command in ('nbdev_clean', 'nbdev_export'):
        code, out, err = run(TOOLS/command)
        assert code == 0, out + err
    notebooks = [path.relative_to(ROOT) for path in ROOT.glob('nbs/**/*.ipynb')
                 if '.ipynb_checkpoints' not in path.parts]
    assert notebooks
    dirty = [str(path) for path in notebooks if not filecmp.cmp(ROOT/path, tmp_path/path, shallow=False)]
    assert not dirty, f'not clean: run nbdev_clean ({dirty})'
    made, there = (({path.relative_to(root).as_posix() for path in root.rglob('*.py')} - {'_modidx.py'})
                   for root in (tmp_path/'nonvae', ROOT/'nonvae'))
    different = made ^ there | {name for name in made & there
                                if not filecmp.cmp(ROOT/'nonvae'/name, tmp_path/'nonvae'/name, shallow=False)}
    assert not different, f'edited by hand, or without a notebook: run nbdev_export ({different})'


METHODS = {'autoencoder', 'acai', 'ltae', 'crosschange', 'transfer'}


def rooms():
    "Where each module stands: {module: (True for a lesson, number of its notebook)}."
    found = {}
    for path in ROOT.glob('nbs/**/[0-9][0-9]_*.ipynb'):
        exported = re.search(r'#\|\s*default_exp (\S+)', nbformat.read(path, 4).cells[0].source)
        if exported: found[exported[1]] = path.parent.name == 'nbs', int(path.name[:2])
    return found


def imports(module):
    "The modules of the package that a module imports when it is imported itself."
    path = ROOT/'nonvae'/f'{module.replace(".", "/")}.py'
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            package = module.split('.')[:-node.level]
            yield '.'.join([*package, *([node.module] if node.module else [])])


def test_modules_import_only_what_stands_before_them():
    place = rooms()
    graph = {module: [other for other in imports(module) if other in place] for module in place}
    assert len(place) > 30 and graph['acai'] and graph['cli']
    for module, others in graph.items():
        for other in others:
            assert place[module][0] != place[other][0] or place[other][1] < place[module][1], f'{module} imports {other}, which comes later'
            assert not {module, other} <= METHODS, f'the method {module} imports the method {other}'
    assert list(graphlib.TopologicalSorter(graph).static_order())           # no circle, lessons and workshop together


def test_the_front_door_is_typed(run, tmp_path):
    code, out, err = run(sys.executable, '-m', 'mypy', '--follow-imports', 'silent', '--cache-dir', tmp_path/'cache',
                         ROOT/'tests'/'front_door.py', cwd=ROOT, timeout=600)
    assert code == 0, out + err
    code, out, err = run(sys.executable, ROOT/'tests'/'front_door.py')
    assert code == 0, out + err


def test_readme_is_made_from_index(run):
    code, out, err = run(sys.executable, ROOT/'tests'/'readme.py', '--check', cwd=ROOT)
    assert code == 0, out + err


def test_drawings_are_what_their_script_draws(run, tmp_path):
    code, out, err = run(sys.executable, ROOT/'docs'/'drawings.py', '--to', tmp_path, timeout=120)
    assert code == 0, out + err
    drawn, saved = ({path.name: re.sub(r'base64,[^"]*', '', path.read_text(encoding='utf-8')) for path in folder.glob('drawing-*.svg')}
                    for folder in (tmp_path, ROOT/'assets'))
    assert drawn == saved, 'run python docs/drawings.py'


def test_the_readme_is_what_a_newcomer_reads():
    assert len((ROOT/'README.md').read_text(encoding='utf-8').splitlines()) < 150, 'long commands and tables belong to docs/results.md'


def test_readme_commands_and_paths_exist():
    text = '\n'.join((ROOT/name).read_text(encoding='utf-8') for name in ('README.md', 'docs/results.md'))
    for word in text.replace('(', ' ').replace(')', ' ').replace('`', ' ').split():
        if word.startswith(('nbs/', 'assets/', 'benchmarks/', 'tests/')) and word.strip('.,:'):
            assert (ROOT/word.strip('.,:')).exists(), f'README names {word}, which is not there'


def test_wheel_works_in_an_empty_environment(run, tmp_path):
    source = tmp_path/'source'
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns('.git', '.venv', '*.egg-info', 'build', 'dist', 'runs',
                                                                'demo', 'data'))
    code, out, err = run(sys.executable, '-m', 'build', '--no-isolation', '--outdir', tmp_path/'dist', source)
    assert code == 0, out[-2000:] + err[-2000:]
    wheel, = (tmp_path/'dist').glob('*.whl')
    names = zipfile.ZipFile(wheel).namelist()
    for path in [*ROOT.glob('nonvae/**/*.py'), *ROOT.glob('nonvae/weights/*.safetensors'), ROOT/'nonvae'/'py.typed']:
        wanted = path.relative_to(ROOT).as_posix()
        assert wanted in names, f'{wanted} is missing in the wheel'
    assert any(name.endswith('.safetensors') for name in names)
    # A new environment that holds the wheel; the libraries it requires are borrowed from this one, which .ci/run made
    # from settings.ini.
    venv.create(tmp_path/'empty', with_pip=False)
    site, = (tmp_path/'empty').glob('lib/python*/site-packages')
    subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--target', site, wheel], check=True)
    borrowed = next(path for path in sys.path if path.endswith('site-packages'))
    (site/'borrowed.pth').write_text(borrowed)
    python = tmp_path/'empty'/'bin'/'python'
    code, out, err = run(python, '-I', '-c', 'import nonvae.core; print(nonvae.core.__file__)')
    assert code == 0 and str(site) in out, out + err
    code, out, err = run(python, '-I', '-m', 'nonvae.cli', 'course', 'release', tmp_path/'course')
    assert code == 0 and len([*tmp_path.glob('course/student/a*.ipynb')]) == 5, out + err
    for command in ('interpolate', 'acai-digits'), ('transfer', 'transfer-faces'):
        code, out, err = run(python, '-I', '-m', 'nonvae.cli', *command, '--out', f'{command[0]}.png')
        assert code == 0, out + err
        assert (tmp_path/f'{command[0]}.png').exists()
