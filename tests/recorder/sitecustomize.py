"""With this folder on PYTHONPATH and NONVAE_OUTPUTS=FOLDER, nbdev_test keeps in FOLDER every notebook that it runs, with its new outputs."""
import importlib.util
import os
import sys
from pathlib import Path


def record(shell, folder):
    "Makes execnb's CaptureShell, in which nbdev_test runs notebooks, write each one to the folder."
    run_all = shell.run_all

    def recorded(self, notebook, *arguments, preproc=lambda cell: False, **options):
        from execnb.nbio import write_nb
        for cell in notebook.cells:
            if cell.cell_type != 'code' or preproc(cell): continue
            cell.outputs, cell.source = [], cell.source.rstrip().removesuffix(';')           # with it, execnb drops what is printed
        try: run_all(self, notebook, *arguments, preproc=preproc, **options)
        finally: write_nb(notebook, Path(folder)/'-'.join(Path(notebook.path_).parts[-2:]))
    shell.run_all = recorded


class Recorder:
    "Waits for the import of execnb.shell."
    def __init__(self, folder): self.folder = folder

    def find_spec(self, name, path=None, target=None):
        if name != 'execnb.shell': return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            record(module.CaptureShell, self.folder)
        spec.loader.exec_module = exec_module
        return spec


if os.environ.get('NONVAE_OUTPUTS'): sys.meta_path.insert(0, Recorder(os.environ['NONVAE_OUTPUTS']))
