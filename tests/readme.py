"""Makes README.md from nbs/index.ipynb: the text as it is, code as code blocks, printed output below it.

    python tests/readme.py           write README.md
    python tests/readme.py --check   fail if README.md is not what would be written
"""
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent


def render():
    parts = ['<!-- Made from nbs/index.ipynb by tests/readme.py: edit the notebook. -->']
    for cell in nbformat.read(ROOT/'nbs'/'index.ipynb', as_version=4).cells:
        source = '\n'.join(line for line in cell.source.split('\n') if not line.startswith('#|'))
        if '#| hide' in cell.source: continue
        if cell.cell_type == 'markdown': parts.append(source.replace('(../', '(').replace('"../', '"'))
        elif cell.cell_type == 'code':
            parts.append(f'```python\n{source.strip()}\n```')
            text = ''.join(output.text for output in cell.outputs if output.output_type == 'stream'
                           and output.name == 'stdout')
            if text: parts.append(f'```\n{text.rstrip()}\n```')
    return '\n\n'.join(parts) + '\n'


if __name__ == '__main__':
    if '--check' in sys.argv:
        if (ROOT/'README.md').read_text(encoding='utf-8') != render():
            sys.exit('README.md is stale: run python tests/readme.py')
    else: (ROOT/'README.md').write_text(render(), encoding='utf-8')
