"""Lists and packed images, as a user makes them: the whole way on a drawn CelebA, kills, full disks, other
folders. Each command is a process of its own."""
import json
import os
import sys
import time
from pathlib import Path

import pytest
from conftest import begin, end

from nonvae import celeba
from nonvae.celeba import LISTS, load_domains
from nonvae.core import NonvaeError
from nonvae.faces import write_celeba

MANY = 6000


def command(largest_file, save_seconds, options):
    """What the command line does: a sentence and exit code 2 for what the user can put right. Its last words are
    its peak memory."""
    import resource
    # no file may grow beyond: as on a full disk
    if largest_file: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    if save_seconds is not None: celeba._Packing.save_seconds = save_seconds
    code = 0
    try: celeba.preprocess(**options)
    except NonvaeError as error:
        print('nonvae:', error, file=sys.stderr)
        code = 2
    resource.setrlimit(resource.RLIMIT_FSIZE,
                       (largest_file or resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024))
    return code


def start(cwd, largest_file=None, save_seconds=None, **options):
    plain = {key: os.fspath(value) if isinstance(value, Path) else value for key, value in options.items()}
    return begin(command, cwd, largest_file, save_seconds, plain)


def preprocess(cwd, **options): return end(start(cwd, **options), cwd, timeout=120)


def content(folder): return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope='module')
def faces(tmp_path_factory):
    "A folder in CelebA's layout: 60 drawn faces, and in `many` the same files under 6,000 names (hard links)."
    folder = tmp_path_factory.mktemp('data')/'celeba'
    write_celeba(folder, 60, seed=1)
    count, names, *rows = (folder/'list_attr_celeba.txt').read_text().rstrip('\n').split('\n')
    (folder/'many').mkdir()
    lines = []
    for i in range(MANY):
        name, _, values = rows[i % 60].partition(' ')
        os.link(folder/'img_align_celeba'/name, folder/'many'/f'{i + 1:06d}.jpg')
        lines.append(f'{i + 1:06d}.jpg {values}')
    (folder/'many.txt').write_text('\n'.join([str(MANY), names, *lines, '']))
    return folder


@pytest.fixture(scope='module')
def many(faces, tmp_path_factory):
    "The options to pack the 6,000, the folder where it was done without interruption, and what memory that took."
    place = tmp_path_factory.mktemp('once')
    options = {'root': faces/'many', 'attributes': faces/'many.txt', 'pack': 64}
    code, out, err = preprocess(place, dest='once', **options)
    assert code == 0, err
    return options, place/'once', int(out.split()[-1])


def few(faces):
    return {'root': faces/'img_align_celeba', 'attributes': faces/'list_attr_celeba.txt', 'num_test_imgs': 8}


def test_the_whole_way(faces, tmp_path):
    os.symlink(faces, tmp_path/'celeba')
    options = {'root': './celeba/img_align_celeba', 'attributes': './celeba/list_attr_celeba.txt',
               'dest': './glasses_train', 'num_test_imgs': 8, 'pack': 32}
    code, out, err = preprocess(tmp_path, **options)
    assert code == 0 and 'images/s' in out and '% Male' in out, err
    folder = tmp_path/'glasses_train'
    assert sorted(content(folder)) == sorted(['labels.npz', 'preprocess.json', *(f'{name}.txt' for name in LISTS),
                                              *(f'{name}-32.npy' for name in LISTS)])
    _, names, *rows = (faces/'list_attr_celeba.txt').read_text().rstrip('\n').split('\n')
    place = names.split().index('Eyeglasses') + 1
    for domain, value in (('A', '1'), ('B', '-1')):
        paths = [f'./celeba/img_align_celeba/{row.split()[0]}' for row in rows if row.split()[place] == value]
        assert ((folder/f'test{domain}.txt').read_bytes() == '\n'.join(paths[:8]).encode()
                and (folder/f'train{domain}.txt').read_bytes() == '\n'.join(paths[8:]).encode())
    train, test = load_domains(folder, 32)
    assert len(train) + len(test) == 60 and train.shape == (3, 32, 32)
    code, out, err = preprocess(tmp_path, **options)
    assert code == 0 and 'already' in out and 'images/s' not in out, err


def test_killed_while_packing_it_goes_on(many, tmp_path):
    options, once, _ = many
    process = start(tmp_path, save_seconds=0, dest='killed', **options)
    progress, deadline = tmp_path/'killed'/'packing-64.json', time.monotonic() + 60
    while not progress.exists():
        assert time.monotonic() < deadline and process.is_alive(), 'no progress was saved'
        time.sleep(.01)
    time.sleep(.3)
    process.kill()
    process.join()
    done = sum(json.loads(progress.read_text())['done'].values())
    assert (process.exitcode == -9 and 0 < done < MANY and not list((tmp_path/'killed').glob('*.npy'))
            and not list((tmp_path/'killed').glob('*.txt')))
    with pytest.raises(NonvaeError, match='interrupted'): load_domains(tmp_path/'killed', 64)
    code, out, err = preprocess(tmp_path, dest='killed', **options)
    assert code == 0 and f'Going on after {done:,} of {MANY:,}' in out, err

    killed, whole = content(tmp_path/'killed'), content(once)
    for files in (killed, whole): del files['preprocess.json']          # which holds the current folder
    assert killed == whole
    assert load_domains(tmp_path/'killed', 64)[0].fingerprint == load_domains(once, 64)[0].fingerprint


def test_a_full_disk_is_said_and_the_same_command_goes_on(many, tmp_path):
    options, once, _ = many
    code, out, err = preprocess(tmp_path, largest_file=20_000_000, dest='full', **options)
    assert code == 2 and len(err.splitlines()) == 1, err
    assert 'could not be written' in err and 'goes on from there' in err, err
    assert not list((tmp_path/'full').glob('*.npy')) and not list((tmp_path/'full').glob('*.txt'))
    code, out, err = preprocess(tmp_path, dest='full', **options)
    assert code == 0 and 'Going on after' in out, err
    assert all((tmp_path/'full'/f'{name}-64.npy').read_bytes() == (once/f'{name}-64.npy').read_bytes()
               for name in LISTS)


@pytest.mark.parametrize('pack', [None, 32])
def test_a_disk_that_is_full_from_the_start(faces, tmp_path, pack):
    code, out, err = preprocess(tmp_path, largest_file=200, dest='full', pack=pack, **few(faces))
    assert code == 2 and 'could not be written' in err and len(err.splitlines()) == 1, err
    assert not list((tmp_path/'full').glob('*.npy')) and not list((tmp_path/'full').glob('*.txt'))
    with pytest.raises(NonvaeError): load_domains(tmp_path/'full', 32)
    # there is space again
    assert preprocess(tmp_path, dest='full', pack=pack, **few(faces))[0] == 0


def test_memory_does_not_grow_with_the_number_of_images(faces, many, tmp_path):
    code, out, err = preprocess(tmp_path, dest='few', pack=64, **few(faces))
    assert code == 0, err
    # the packed images alone are 74 MB, the decoded ones 700
    assert many[2] - int(out.split()[-1]) < 50e6 < MANY * 3 * 64 * 64


def test_lists_load_from_any_folder(faces, tmp_path, monkeypatch):
    os.symlink(faces, tmp_path/'celeba')
    for dest, root in (('relative', 'celeba/img_align_celeba'), ('absolute', faces/'img_align_celeba')):
        assert preprocess(tmp_path, dest=dest, **few(faces) | {'root': root})[0] == 0
    seen = set()
    for place in (tmp_path, tmp_path/'celeba', Path('/')):
        monkeypatch.chdir(place)
        seen |= {load_domains(os.path.relpath(tmp_path/name), 32)[0].fingerprint for name in ('relative', 'absolute')}
    assert len(seen) == 1
    # as if another program had made it: relative to the current folder
    (tmp_path/'relative'/'preprocess.json').unlink()
    with pytest.raises(NonvaeError, match='no longer there'): load_domains(tmp_path/'relative', 32)
    monkeypatch.chdir(tmp_path)
    assert load_domains('relative', 32)[0].fingerprint in seen


@pytest.mark.skipif(not hasattr(os, 'geteuid') or os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_that_cannot_be_written(faces, tmp_path):
    (tmp_path/'locked').mkdir(mode=0o500)
    for dest in ('locked', 'locked/lists'):
        code, out, err = preprocess(tmp_path, dest=dest, **few(faces))
        assert code == 2 and 'cannot be written' in err and len(err.splitlines()) == 1, err


@pytest.mark.parametrize('pack', [None, 32])
@pytest.mark.parametrize('dest', ['/proc/nonvae-lists', '/dev/null/lists'])
def test_places_where_nobody_can_write(faces, tmp_path, dest, pack):
    code, out, err = preprocess(tmp_path, dest=dest, pack=pack, **few(faces))
    assert code == 2 and len(err.splitlines()) == 1, err
