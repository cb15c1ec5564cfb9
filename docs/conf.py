"""Sphinx for the site: `python docs/build.py` prepares its sources and calls it."""
from configparser import ConfigParser
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

ROOT = Path(__file__).resolve().parent.parent
settings = ConfigParser(delimiters=['='])
settings.read(ROOT/'settings.ini', encoding='utf-8')
about = settings['DEFAULT']

project, author, release, copyright = about['title'], about['author'], about['version'], about['copyright']
extensions = ['myst_nb', 'sphinx.ext.autodoc']
root_doc = 'index'
nb_execution_mode = 'off'                                       # outputs are the saved ones
nb_merge_streams = True
myst_enable_extensions = ['dollarmath', 'amsmath']
myst_heading_anchors = 3
suppress_warnings = ['myst.header', 'mystnb.unknown_mime_type', 'ref.python']       # levels of headings; names that the front door exports again
autodoc_member_order, autodoc_typehints = 'bysource', 'description'
html_theme = 'sphinx_book_theme'
html_title = about['title']
html_theme_options = {'repository_url': about['git_url'], 'repository_branch': about['branch'], 'path_to_docs': '', 'use_repository_button': True,
                      'launch_buttons': {'colab_url': 'https://colab.research.google.com'}, 'show_toc_level': 2, 'navbar_persistent': []}
html_context = {'default_mode': 'auto'}


# Equations as MathML, which every browser draws by itself: no script, no fonts, no network.
def equation(self, node):
    display = 'block' if isinstance(node, nodes.math_block) else 'inline'
    self.body.append(convert(node.astext(), display=display))
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer('mathml', (equation, None), (equation, None))


html_math_renderer = 'mathml'
