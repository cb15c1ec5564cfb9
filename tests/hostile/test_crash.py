"""A kill at every single write: whatever is left behind, the same work goes on from there and ends with the same result."""
import os
import shutil
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import begin, end

from nonvae.faces import write_celeba

CHANGES = 'open', 'os.rename', 'os.remove', 'os.mkdir', 'os.rmdir', 'os.truncate', 'os.link', 'os.symlink', 'shutil.rmtree'


def die_at(place):
    """From now on this process ends, as if killed, right before its change number `place` of a file or folder, or halfway
    through it; place 0: never. The changes are counted in the file `changes`."""
    changes, write_bytes = [], Path.write_bytes

    def change(what, half=lambda: None):
        changes.append(what)
        if len(changes) == place:
            half()
            os._exit(9)

    def watch(event, arguments):
        if event not in CHANGES or not isinstance(arguments[0], (str, bytes, os.PathLike)): return
        where = Path(os.fsdecode(arguments[0]))
        if event == 'open' and not (isinstance(arguments[1], str) and set('wxa') & set(arguments[1])
                                    or arguments[2] & os.O_CREAT): return
        if event == 'os.mkdir' and where.exists() or event == 'os.remove' and not where.exists(): return
        if where.name != 'changes' and Path.cwd() in where.absolute().parents: change(f'{event} {where}')

    def torn(path, data):
        change(f'write {path}', lambda: write_bytes(path, bytes(data)[:len(data) // 2]))
        return write_bytes(path, data)
    Path.write_bytes = torn
    sys.addaudithook(watch)
    return changes


def train(place):
    from nonvae import Autoencoder, ImageSet, Trainer, Training
    changes = die_at(place)
    images = ImageSet(np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8))
    torch.manual_seed(0)
    model = Autoencoder(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)),
                        torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Unflatten(1, (1, 8, 8))))
    settings = Training(steps=2, batch_size=4, save_seconds=0, picture_every=1, log_every=1)
    Trainer(model, images, settings, images, out='run').fit(progress=False)
    Path('changes').write_text('\n'.join(changes))
    return 0


def draw(place):
    changes = die_at(place)
    write_celeba('run', 3)
    Path('changes').write_text('\n'.join(changes))
    return 0


def pack(place):
    from nonvae.celeba import preprocess
    changes = die_at(place)
    preprocess('faces/img_align_celeba', 'run', 'faces/list_attr_celeba.txt', num_test_imgs=2, pack=16)
    Path('changes').write_text('\n'.join(changes))
    return 0


def contents(folder):
    "What is in a folder: weights, history without its times, everything else byte for byte."
    found = {}
    for path in sorted(folder.rglob('*')):
        if path.is_dir() or path.name in ('.lock', 'checkpoint.pt'): continue
        found[str(path.relative_to(folder))] = path.read_bytes()
        if path.name == 'history.csv':
            rows = [line.split(',') for line in path.read_text().splitlines()]
            found['history.csv'] = [[value for name, value in zip(rows[0], row) if name != 'seconds'] for row in rows]
    return found


def run(work, place):
    "The exit code of `work` in a process of its own."
    child = os.fork()
    if child: return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try: work(place)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def everywhere(work):
    "Kill `work` at every write, and let it do the rest."
    import torch._dynamo  # noqa: F401  (what every process would import for itself)
    assert run(work, 0) == 0
    changes, whole = Path('changes').read_text().splitlines(), contents(Path('run'))
    assert len(changes) > 10 and len(whole) > 4, changes
    for place in range(1, len(changes) + 1):
        shutil.rmtree('run')
        assert run(work, place) == 9, changes[place - 1]
        assert run(work, 0) == 0, changes[place - 1]
        found = contents(Path('run'))
        assert found == whole, (changes[place - 1], {*found} ^ {*whole})
    print(len(changes), 'places')
    return 0


@pytest.mark.parametrize('work', [train, draw, pack])
def test_killed_at_every_write(work, tmp_path):
    if work is pack: write_celeba(tmp_path/'faces', 24)
    code, out, err = end(begin(everywhere, tmp_path, work), tmp_path)
    assert code == 0, out + err
    print(out)
