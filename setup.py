"""Reads settings.ini, the one place where the package's facts stand, and hands them to setuptools."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

config = ConfigParser(delimiters=['='])
config.read('settings.ini', encoding='utf-8')
settings = config['DEFAULT']
version = settings['version']

setup(
    name=settings['lib_name'],
    version=version,
    description=settings['description'],
    long_description=Path('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=settings['author'],
    author_email=settings['author_email'],
    url=settings['git_url'],
    keywords=settings['keywords'],
    license='Apache-2.0',
    # the solved notebooks of the course lie among the notebooks, and travel in the package
    packages=[*find_packages(include=['nonvae', 'nonvae.*']), 'nonvae.assignments'],
    package_dir={'nonvae.assignments': 'nbs/assignments'},
    package_data={'nonvae': settings['package_data'].split(), 'nonvae.assignments': ['*.ipynb']},
    python_requires=f'>={settings["min_python"]}',
    install_requires=settings['requirements'].split(),
    extras_require={'lab': settings['lab_requirements'].split(), 'course': settings['course_requirements'].split(),
                    'docs': settings['docs_requirements'].split(), 'dev': settings['dev_requirements'].split()},
    entry_points={'console_scripts': settings['console_scripts'].split()},
    classifiers=['Intended Audience :: Education', 'Programming Language :: Python :: 3',
                 'Topic :: Scientific/Engineering :: Artificial Intelligence'],
)
