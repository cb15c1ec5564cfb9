"""Builds the site into a folder: lessons and workshop with their saved outputs, pages to play with, the reference of all modules.

    pip install -e '.[docs]' && python docs/build.py _site
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

from nonvae import ACAI, LTAE, Autoencoder, ContentTransfer, MaskedTransfer, digits
from nonvae.faces import drawn_domains
from nonvae.page.html import lab_section, sections_of, write_page

ROOT = Path(__file__).resolve().parent.parent
parser = ConfigParser(delimiters=['='])
parser.read(ROOT/'settings.ini', encoding='utf-8')
settings = parser['DEFAULT']
WIDGET = 'application/vnd.jupyter.widget-view+json'
# the live page below what an explorer's cell shows, by a word in the cell
LIVE = {'InterpolationExplorer(': 'digits', 'TransferExplorer(': 'faces', 'LatentExplorer(': 'digits', 'ACAILab(': 'lab'}

INDEX = '''```{{include}} README.md
```

```{{toctree}}
:caption: Lessons
:maxdepth: 1
:hidden:
{lessons}
```

```{{toctree}}
:caption: Play
:maxdepth: 1
:hidden:
play
nbs/playground
```

```{{toctree}}
:caption: Teach
:maxdepth: 1
:hidden:
nbs/21_teaching
{solutions}
```

```{{toctree}}
:caption: Results
:maxdepth: 1
:hidden:
docs/results
```

```{{toctree}}
:caption: Workshop
:maxdepth: 1
:hidden:
{workshop}
```

```{{toctree}}
:caption: Reference
:maxdepth: 1
:hidden:
reference
```
'''

PLAY = '''# Play

These pages are single files that need no server: save one, send it to somebody, open it from the disk.

<ul>
<li><a href="pages/digits.html">Digits: from one to another, and a map</a></li>
<li><a href="pages/faces.html">Glasses on faces</a></li>
<li><a href="pages/lab.html">The lab: ACAI trains while you look</a></li>
</ul>

Each was made by a line such as `nonvae page masked-faces --out page.html`.
'''


def pages(folder):
    "The pages to play with."
    folder.mkdir()
    _, held_out = digits()
    models = {'plain': Autoencoder.pretrained('digits'), 'ACAI': ACAI.pretrained('digits'), 'LTAE': LTAE.pretrained('s-2')}
    write_page(folder/'digits.html', 'Digits', sections_of(models, held_out))
    faces = {'drawn anew': ContentTransfer.pretrained('faces'), 'with a mask': MaskedTransfer.pretrained('faces')}
    write_page(folder/'faces.html', 'Glasses', sections_of(faces, drawn_domains(8, seed=1)))
    write_page(folder/'lab.html', 'The lab', [lab_section()])


def linked(text, place, source):
    "A text with links to files of the repository that are not on the site led to where the repository is. `place`: its folder, from the root."
    def target(found):
        path = found[1].split('#')[0]
        if '://' in path or not re.search(r'\w[./]\w', path): return found[0]
        whole = os.path.normpath(os.path.join(place, path))
        if (source/whole).is_file() or (source/whole).with_suffix('.ipynb').is_file(): return found[0]
        if not (ROOT/whole).exists(): raise FileNotFoundError(f'{place} has a link to {path}, which is not there.')
        return f']({settings["git_url"]}/blob/{settings["branch"]}/{whole})'
    return re.sub(r'\]\(([^)\s]+)\)', target, text)


def folded(cells):
    "The cells, with each section that JupyterLab shows closed in an element that the reader can open."
    within = False
    for cell in cells:
        text = ''.join(cell['source'])
        if within and cell['cell_type'] == 'markdown' and text.startswith('## '):
            within = False
            yield {'cell_type': 'markdown', 'id': f'end-{cell["id"]}', 'metadata': {}, 'source': ['</details>']}
        if cell['metadata'].get('jp-MarkdownHeadingCollapsed'):
            within = True
            cell = {**cell, 'metadata': {}, 'source': [f'<details><summary>{text.removeprefix("## ")}</summary>']}
        yield cell


def described(cell):
    "A code cell whose pictures have the text of its line `#| fig-alt: ...` for those who cannot see them."
    lines = ''.join(cell['source']).split('\n')
    alt = next((line.removeprefix('#| fig-alt:').strip() for line in lines if line.startswith('#| fig-alt:')), None)
    if alt is None: return cell
    return {**cell, 'source': '\n'.join(line for line in lines if not line.startswith('#| ')), 'metadata': {'mystnb': {'image': {'alt': alt}}}}


def prepared(path, source):
    "A notebook as the site shows it: what only a kernel can draw gives way to a link to the live page."
    notebook = json.loads(path.read_text(encoding='utf-8'))
    up = '../' * (len(path.relative_to(source).parts) - 1)
    cells = []
    for cell in folded(notebook['cells']):
        if cell['cell_type'] == 'code': cell = described(cell)
        cells.append(cell)
        if cell['cell_type'] != 'code':
            cell['source'] = linked(''.join(cell['source']), path.parent.relative_to(source), source)
            continue
        text = ''.join(cell['source'])
        if text.startswith('#| default_exp') or text.startswith('import sys') and 'google.colab' in text: cells.pop()         # for tools, not for readers
        shown = len(cell['outputs'])
        cell['outputs'] = [output for output in cell['outputs'] if WIDGET not in output.get('data', {})]
        live = next((page for word, page in LIVE.items() if word in text), None)
        if live and len(cell['outputs']) < shown:
            link = (f'<iframe src="{up}pages/{live}.html" title="a live explorer" loading="lazy" style="width: 100%; height: 46rem; border: 0"></iframe>\n'
                    f'<p><a href="{up}pages/{live}.html">The same as a page of its own</a></p>')
            cells.append({'cell_type': 'markdown', 'id': f'live-{len(cells)}', 'metadata': {}, 'source': [link]})
    notebook['cells'] = cells
    path.write_text(json.dumps(notebook, ensure_ascii=False), encoding='utf-8')


def modules():
    "The reference: every module, in the order of the notebooks."
    found = {}
    for path in sorted([*ROOT.glob('nbs/[0-9]*.ipynb'), *ROOT.glob('nbs/workshop/*.ipynb')]):
        name = re.search(r'#\| default_exp ([\w.]+)', path.read_text(encoding='utf-8'))
        if name and '_key' not in name[1]: found[f'nonvae.{name[1].removesuffix(".__init__")}'] = True
    return '# Reference\n\n' + '\n'.join(f'## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n' for name in found)


def main(target):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)/'source'
        for name in ('nbs', 'assets'): shutil.copytree(ROOT/name, source/name, ignore=shutil.ignore_patterns('.ipynb_checkpoints', 'assignments', 'index.ipynb', 'runs', 'data'))
        (source/'README.md').touch()
        for path in source.glob('nbs/**/*.ipynb'): prepared(path, source)
        lessons, workshop, solutions = (sorted(path.relative_to(source).with_suffix('').as_posix() for path in source.glob(pattern))
                                        for pattern in ('nbs/[0-9]*.ipynb', 'nbs/workshop/*.ipynb', 'nbs/solutions/*.ipynb'))
        lessons.remove('nbs/21_teaching')
        (source/'docs').mkdir()
        for name in ('docs/results.md', 'README.md'):
            (source/name).write_text(linked((ROOT/name).read_text(encoding='utf-8'), os.path.dirname(name), source), encoding='utf-8')
        (source/'index.md').write_text(INDEX.format(lessons='\n'.join(lessons), workshop='\n'.join(workshop), solutions='\n'.join(solutions)), encoding='utf-8')
        (source/'play.md').write_text(PLAY, encoding='utf-8')
        (source/'reference.md').write_text(modules(), encoding='utf-8')
        done = subprocess.run([sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-q', '-c', ROOT/'docs', '-b', 'html', source, target], check=False)
        shutil.rmtree(Path(target)/'pages', ignore_errors=True)
        pages(Path(target)/'pages')
        return done.returncode


if __name__ == '__main__': sys.exit(main(*sys.argv[1:] or ['_site']))
