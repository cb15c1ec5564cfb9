"""Lists and packed images, as a user makes them: the whole way on a drawn CelebA, kills, full disks, other
folders, other people's files. Commands that are killed, starved or measured are processes of their own."""
import json
import os
import shutil
import sys
import time
from pathlib import Path
from unittest.mock import Mock, patch

import numpy as np
import pytest
import torch
from conftest import begin, end
from PIL import Image

from nonvae import celeba
from nonvae.attributes import Attributes, read_attributes, read_partition
from nonvae.celeba import LISTS, choose, load_domains, split_lists
from nonvae.core import NonvaeError
from nonvae.faces import write_celeba
from nonvae.files import file_lock
from nonvae.packing import decode_pictures
from nonvae.pictures import crop_and_resize, read_picture

MANY = 6000


def command(largest_file, options):
    """What the command line does: a sentence and exit code 2 for what the user can put right. Its last words are
    its peak memory."""
    import resource
    # no file may grow beyond: as on a full disk
    if largest_file: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    code = 0
    try: celeba.preprocess(**options)
    except NonvaeError as error:
        print('nonvae:', error, file=sys.stderr)
        code = 2
    resource.setrlimit(resource.RLIMIT_FSIZE,
                       (largest_file or resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024))
    return code


def start(cwd, largest_file=None, **options):
    plain = {key: os.fspath(value) if isinstance(value, Path) else value for key, value in options.items()}
    return begin(command, cwd, largest_file, plain)


def preprocess(cwd, **options): return end(start(cwd, **options), cwd, timeout=120)


def content(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file() and path.name != '.lock'}


def finished(folder): return [path.name for path in folder.iterdir() if path.suffix in ('.npy', '.txt', '.npz')]


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


@pytest.fixture
def here(faces, tmp_path, monkeypatch):
    "An empty current folder, with a copy of the 60 faces in `celeba` and the options to preprocess them."
    monkeypatch.chdir(tmp_path)
    shutil.copytree(faces, 'celeba', ignore=shutil.ignore_patterns('many*'))
    return few(Path('celeba')) | {'dest': 'lists'}


def refused(words, call, *arguments, **options):
    "The call is refused in one sentence, with these words, and without a flag of the command line."
    with pytest.raises(NonvaeError) as caught: call(*arguments, **options)
    sentence = str(caught.value)
    assert all(word in sentence for word in words.split(' ... ')), sentence
    assert '\n' not in sentence and '--' not in sentence, sentence


# from beginning to end

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
    assert len(train) + len(test) == 60 and train.shape == (3, 32, 32) and train.source == str(folder)
    code, out, err = preprocess(tmp_path, **options)
    assert code == 0 and 'already' in out and 'images/s' not in out, err


def test_the_official_partition(here):
    celeba.preprocess(**here | {'split': 'official', 'config': 'mouth'})
    table = read_attributes('celeba/list_attr_celeba.txt')
    parts = read_partition('celeba/list_eval_partition.txt', table.files)
    chosen = np.flatnonzero(table.has('Mouth_Slightly_Open') & (parts == 2))
    assert Path('lists/testA.txt').read_text().split('\n') == [f'celeba/img_align_celeba/{table.files[i]}'
                                                               for i in chosen]


def test_beards_are_what_the_student_project_calls_so(faces):
    table = read_attributes(faces/'list_attr_celeba.txt')
    a, b = choose(table, 'beard')
    for i in range(len(table)):
        yes = {name for name, value in zip(table.names, table.values[i]) if value == 1}
        where = None
        if 'Male' in yes and '5_o_Clock_Shadow' not in yes:
            if 'Mustache' in yes or 'Goatee' in yes or 'No_Beard' not in yes: where = 'A'
            elif 'No_Beard' in yes: where = 'B'
        assert where == ('A' if i in a else 'B' if i in b else None)


def test_memory_does_not_grow_with_the_number_of_images(faces, many, tmp_path):
    code, out, err = preprocess(tmp_path, dest='few', pack=64, **few(faces))
    assert code == 0, err
    # the packed images alone are 74 MB, the decoded ones 700
    assert many[2] - int(out.split()[-1]) < 50e6 < MANY * 3 * 64 * 64


def test_decoders_may_overlap(faces):
    paths = sorted((faces/'img_align_celeba').iterdir())
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        one, two = decode_pictures(paths, 64, 178), decode_pictures(paths, 64, 178)
        first = [next(one)[0], next(two)[0]]
        one.close()
        rest = [images for images, bad in two]
        assert torch.get_num_threads() == 2
    finally: torch.set_num_threads(threads)
    alone = np.concatenate([crop_and_resize(read_picture(path)[None], 64, 178) for path in paths])
    assert (np.concatenate([first[1], *rest]) == alone).all() and (first[0] == first[1]).all()


# kills, full disks, folders that cannot be written

def test_killed_while_packing_the_same_command_works_again(many, tmp_path):
    options, once, _ = many
    process, deadline = start(tmp_path, dest='killed', **options), time.monotonic() + 60
    folder = tmp_path/'killed'
    while not any(path.stat().st_size > 10**6 for path in folder.glob('preprocess.partial/.train*.partial')):
        assert time.monotonic() < deadline and process.is_alive(), 'no packing was seen'
        time.sleep(.01)
    process.kill()
    process.join()
    assert process.exitcode == -9 and not finished(folder)
    refused('missing', load_domains, folder, 64)
    code, out, err = preprocess(tmp_path, dest='killed', **options)
    assert code == 0, err

    killed, whole = content(folder), content(once)
    for files in (killed, whole): del files['preprocess.json']          # which holds the current folder
    assert killed == whole and not (folder/'preprocess.partial').exists()
    assert load_domains(folder, 64)[0].fingerprint == load_domains(once, 64)[0].fingerprint


@pytest.mark.parametrize('moves', [0, 1, 5, 8])
def test_stopped_between_two_files_the_same_command_works_again(here, moves):
    celeba.preprocess(**here | {'config': 'mouth', 'pack': 16})
    whole, left = os.replace, iter(range(moves))
    def replace(old, new):
        moved = Path(new).parent == Path('lists') and Path(new).name != 'preprocess.json'
        if moved and next(left, None) is None: raise KeyboardInterrupt
        whole(old, new)
    with patch('os.replace', replace), pytest.raises(KeyboardInterrupt): celeba.preprocess(**here | {'pack': 16})
    refused('call', load_domains, 'lists', 16)
    celeba.preprocess(**here | {'pack': 16})
    celeba.preprocess(**here | {'pack': 16, 'dest': 'once'})
    assert content('lists') == content('once')


def test_a_full_disk_is_said_and_the_same_command_works_again(many, tmp_path):
    options, once, _ = many
    code, out, err = preprocess(tmp_path, largest_file=20_000_000, dest='full', **options)
    assert code == 2 and len(err.splitlines()) == 1 and 'could not be written' in err, err
    assert not finished(tmp_path/'full') and not (tmp_path/'full'/'preprocess.partial').exists()
    code, out, err = preprocess(tmp_path, dest='full', **options)
    assert code == 0, err
    assert all((tmp_path/'full'/f'{name}-64.npy').read_bytes() == (once/f'{name}-64.npy').read_bytes()
               for name in LISTS)


def test_a_full_disk_leaves_what_was_there(here):
    celeba.preprocess(**here | {'pack': 16})
    before = content('lists')
    with patch('shutil.disk_usage', return_value=Mock(free=1000)):
        refused('Packing needs 1 MB in lists', celeba.preprocess, **here | {'pack': 64})
    after = content('lists')
    assert before.pop('preprocess.json') != after.pop('preprocess.json') and before == after
    load_domains('lists', 16)


@pytest.mark.parametrize('pack', [None, 32])
def test_a_disk_that_is_full_from_the_start(faces, tmp_path, pack):
    code, out, err = preprocess(tmp_path, largest_file=200, dest='full', pack=pack, **few(faces))
    assert code == 2 and 'could not be written' in err and len(err.splitlines()) == 1, err
    assert not finished(tmp_path/'full')
    with pytest.raises(NonvaeError): load_domains(tmp_path/'full', 32)
    # there is space again
    assert preprocess(tmp_path, dest='full', pack=pack, **few(faces))[0] == 0


@pytest.mark.skipif(not hasattr(os, 'geteuid') or os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_that_cannot_be_written(faces, tmp_path):
    (tmp_path/'locked').mkdir(mode=0o500)
    for dest in ('locked', 'locked/lists'):
        code, out, err = preprocess(tmp_path, dest=dest, **few(faces))
        assert code == 2 and 'could not be written' in err and len(err.splitlines()) == 1, err


@pytest.mark.parametrize('pack', [None, 32])
@pytest.mark.parametrize('dest', ['/proc/nonvae-lists', '/dev/null/lists'])
def test_places_where_nobody_can_write(faces, tmp_path, dest, pack):
    code, out, err = preprocess(tmp_path, dest=dest, pack=pack, **few(faces))
    assert code == 2 and len(err.splitlines()) == 1, err


# other people's files

@pytest.mark.parametrize('name', ['trainA-32.npy', 'testB.txt', 'labels.npz', 'preprocess.json', 'bad_images.txt',
                                  'preprocess.partial/thesis.txt'])
def test_files_that_preprocess_did_not_make_stay(here, name):
    for made_before in (False, True):
        if made_before and name not in ('trainA-32.npy', 'bad_images.txt'): continue
        shutil.rmtree('lists', ignore_errors=True)
        if made_before: celeba.preprocess(**here)
        mine = Path('lists', name)
        mine.parent.mkdir(parents=True, exist_ok=True)
        mine.write_text('{"mine": 1}')
        before = content('lists')
        refused('preprocess', celeba.preprocess, **here | {'pack': 32})
        assert mine.read_text() == '{"mine": 1}' and content('lists') == before


def test_another_size_may_be_packed_beside_somebody_elses_array(here):
    Path('lists').mkdir()
    Path('lists/trainA-32.npy').write_text('mine')
    celeba.preprocess(**here | {'pack': 16})
    celeba.preprocess(**here | {'config': 'mouth'})
    assert Path('lists/trainA-32.npy').read_text() == 'mine' and not Path('lists/trainA-16.npy').exists()


@pytest.mark.parametrize('name', ['trainA.txt', 'labels.npz', 'preprocess.json', 'trainB-32.npy', 'preprocess.partial',
                                  '.lock'])
def test_links_are_refused(here, name):
    for there in ('precious.txt', 'nowhere.txt'):
        Path('precious.txt').write_text('precious')
        Path('lists').mkdir(exist_ok=True)
        Path('lists', name).symlink_to(Path(there).absolute())
        refused('lists', celeba.preprocess, **here | {'pack': 32})
        assert Path('precious.txt').read_text() == 'precious' and not Path('nowhere.txt').exists()
        shutil.rmtree('lists')


def test_a_manifest_cannot_name_files_elsewhere(here):
    celeba.preprocess(**here)
    manifest = json.loads(Path('lists/preprocess.json').read_text())
    Path('precious.txt').write_text('precious')
    Path('lists/preprocess.json').write_text(json.dumps(manifest | {'files': ['../precious.txt']}))
    refused('not what preprocess writes', celeba.preprocess, **here)
    assert Path('precious.txt').exists()


def test_two_at_once_are_refused(here):
    with file_lock('lists', 'somebody is here'): refused('Another preprocess', celeba.preprocess, **here)
    assert not finished(Path('lists'))
    celeba.preprocess(**here)


# what is packed, and whether it still belongs to the lists

def test_pictures_replaced_under_the_same_names_are_packed_again(here, capsys):
    celeba.preprocess(**here | {'pack': 16})
    before = load_domains('lists', 16)[0].fingerprint
    for path in Path('celeba/img_align_celeba').iterdir():
        with Image.open(path) as picture: turned = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        turned.save(path, quality=95)
    celeba.preprocess(**here | {'pack': 16})
    assert 'already' not in capsys.readouterr().out and load_domains('lists', 16)[0].fingerprint != before


def test_arrays_stay_as_long_as_they_belong_to_the_lists(here):
    celeba.preprocess(**here | {'pack': 16})
    celeba.preprocess(**here | {'pack': 32})
    celeba.preprocess(**here)
    assert [load_domains('lists', size)[0].shape[1] for size in (16, 32)] == [16, 32]
    refused('packed at [16, 32] pixels, not at 64 ... pack=64', load_domains, 'lists', 64)
    celeba.preprocess(**here | {'pack': 16, 'crop': 150})
    assert sorted(Path('lists').glob('*.npy')) == sorted(Path(f'lists/{name}-16.npy') for name in LISTS)
    refused('crop=150 ... pack=16, crop=178', load_domains, 'lists', 16, crop=178)
    celeba.preprocess(**here | {'config': 'mouth'})
    assert not list(Path('lists').glob('*.npy'))


def test_an_array_that_was_removed_is_packed_again(here):
    celeba.preprocess(**here | {'pack': 16})
    before = content('lists')
    os.remove('lists/testA-16.npy')
    refused('testA-16.npy ... missing', load_domains, 'lists', 16)
    celeba.preprocess(**here | {'pack': 16})
    assert content('lists') == before


def test_unreadable_pictures_are_reported_and_left_out_on_request(here):
    celeba.preprocess(**here | {'dest': 'whole', 'pack': 16})
    lists = {name: Path(f'whole/{name}.txt').read_text().split('\n') for name in LISTS}
    damaged = [lists['trainA'][4], lists['trainB'][0], lists['testB'][-1]]
    for file, torn in zip(damaged, (b'', Path(lists['testA'][0]).read_bytes()[:4000], b'no picture')):
        shutil.copy(file, f'{file}.kept')
        Path(file).write_bytes(torn)
    celeba.preprocess(**here)                               # only lists: nobody looks into the pictures
    shutil.rmtree('lists')
    refused('3 of 60 images cannot be read ... bad_images.txt ... skip_bad', celeba.preprocess, **here | {'pack': 16})
    assert [line.split('\t')[0] for line in Path('lists/bad_images.txt').read_text().split('\n')] == damaged
    assert finished(Path('lists')) == ['bad_images.txt']

    for size in (16, 32): celeba.preprocess(**here | {'pack': size, 'skip_bad': True})
    table = read_attributes('celeba/list_attr_celeba.txt')
    for name in LISTS:
        kept = [i for i, file in enumerate(lists[name]) if file not in damaged]
        assert Path(f'lists/{name}.txt').read_text().split('\n') == [lists[name][i] for i in kept]
        assert (np.load(f'lists/{name}-16.npy') == np.load(f'whole/{name}-16.npy')[kept]).all()
        rows = [table.files.index(Path(lists[name][i]).name) for i in kept]
        with np.load('lists/labels.npz') as arrays: assert (arrays[name] == table.values[rows]).all()
    assert load_domains('lists', 16)[0].shape == (3, 16, 16) and load_domains('lists', 32)[0].shape == (3, 32, 32)

    for file in damaged: os.replace(f'{file}.kept', file)
    celeba.preprocess(**here | {'pack': 16})
    expected = content('whole')
    assert all(content('lists')[name] == expected[name] for name in expected if name != 'preprocess.json')
    assert not Path('lists/bad_images.txt').exists()


def test_a_list_without_a_readable_picture_is_refused(here):
    celeba.preprocess(**here | {'num_test_imgs': 1})
    Path(Path('lists/testA.txt').read_text()).write_bytes(b'torn')
    refused('1 of 60 images cannot be read ... every list keeps one', celeba.preprocess,
            **here | {'num_test_imgs': 1, 'pack': 16, 'skip_bad': True})


# loading

def test_lists_load_from_any_folder(faces, tmp_path, monkeypatch):
    os.symlink(faces, tmp_path/'celeba')
    for dest, root in (('relative', 'celeba/img_align_celeba'), ('absolute', faces/'img_align_celeba')):
        assert preprocess(tmp_path, dest=dest, **few(faces) | {'root': root})[0] == 0
    seen = set()
    for place in (tmp_path, tmp_path/'celeba', Path('/')):
        monkeypatch.chdir(place)
        seen |= {load_domains(os.path.relpath(tmp_path/name), 32)[0].fingerprint for name in ('relative', 'absolute')}
    assert len(seen) == 1
    # as the student project's command leaves it: relative to the current folder, or to the lists
    for name in ('preprocess.json', 'labels.npz'): (tmp_path/'relative'/name).unlink()
    refused('cannot be read ... could not be read', load_domains, tmp_path/'relative', 32)
    monkeypatch.chdir(tmp_path)
    student, _ = load_domains('relative', 32)
    assert student.fingerprint in seen and student.a.classes == [''] and not student.a.labels.any()
    for name in LISTS:
        lines = Path(f'relative/{name}.txt').read_text().split('\n')
        Path(f'relative/{name}.txt').write_text('\r\n'.join(f'../{line}' for line in lines) + '\r\n')
    assert load_domains('relative', 32)[0].fingerprint in seen


def test_labels_are_any_attribute(here):
    celeba.preprocess(**here)
    table = read_attributes('celeba/list_attr_celeba.txt')
    a, _ = choose(table)
    train, _ = load_domains('lists', 16, label='wearing_hat')
    assert train.a.classes == ['not Wearing_Hat', 'Wearing_Hat']
    assert (train.a.labels == table.has('Wearing_Hat')[a[8:]]).all()
    assert load_domains('lists', 16)[0].a.classes == ['Female', 'Male']


def test_what_cannot_be_loaded_is_said(here):
    refused('There is no folder nowhere', load_domains, 'nowhere', 16)
    celeba.preprocess(**here)
    refused('lists 60 images ... pack=16', load_domains, 'lists', 16, in_memory=59)
    refused('did you mean Male', load_domains, 'lists', 16, label='Mael')
    celeba.preprocess(**here | {'pack': 16})
    whole = load_domains('lists', 16)[0].fingerprint
    for file, spoil in (('trainA-16.npy', lambda old: old[:-100]), ('trainA-16.npy', lambda old: old[:50]),
                        ('trainA-16.npy', lambda old: b''), ('trainB.txt', lambda old: old + b'\n1.jpg'),
                        ('trainB.txt', lambda old: b'\n'), ('labels.npz', lambda old: old[:200]),
                        ('preprocess.json', lambda old: old[:200]), ('preprocess.json', lambda old: b'[]')):
        kept = Path('lists', file).read_bytes()
        Path('lists', file).write_bytes(spoil(kept))
        refused('lists', load_domains, 'lists', 16)
        Path('lists', file).write_bytes(kept)
    assert load_domains('lists', 16)[0].fingerprint == whole
    os.remove('lists/testA.txt')
    refused('missing', load_domains, 'lists', 16)


@pytest.mark.parametrize('change', [
    lambda name, values: values if name == 'names' else values * 1.5, lambda name, values: values if name == 'names' else values[:3],
    lambda name, values: values if name == 'names' else values + 2**40, lambda name, values: values[None],
    lambda name, values: values[:3] if name == 'names' else values, lambda name, values: np.arange(40) if name == 'names' else values,
    lambda name, values: np.array([None])])
def test_labels_that_are_none_are_refused(here, change):
    celeba.preprocess(**here)
    with np.load('lists/labels.npz') as file: labels = {name: file[name] for name in file}
    labels = {name: values.astype(np.int64) if name != 'names' else values for name, values in labels.items()}
    np.savez('lists/labels.npz', **{name: change(name, values) for name, values in labels.items()})
    refused('missing or damaged', load_domains, 'lists', 16)


# folders of one's own

def test_folders_of_ones_own(here, faces):
    celeba.preprocess(**here)
    for name in LISTS:
        Path('own', name).mkdir(parents=True)
        for k, file in enumerate(Path(f'lists/{name}.txt').read_text().split('\n')[:4]):
            with Image.open(file) as picture:
                picture.resize((178 + 40 * k, 218)).save(f'own/{name}/{k}{(".png", ".jpg", ".webp", ".bmp")[k]}')
        Path(f'own/{name}/notes.txt').write_text('not a picture')
    celeba.preprocess('own', 'mine', folders=True, pack=32, crop=0)
    mine, test = load_domains('mine', 32)
    assert len(mine) == len(test) == 8 and mine.a.classes == [''] and not Path('mine/labels.npz').exists()
    assert Path('mine/trainA.txt').read_text().split('\n') == [f'own/trainA/{k}' for k in
                                                               ('0.png', '1.jpg', '2.webp', '3.bmp')]
    assert (mine.a.images[3] == crop_and_resize(read_picture('own/trainA/3.bmp')[None], 32, 218)[0]).all()
    refused('too small ... crop 0', celeba.preprocess, 'own', 'mine', folders=True, pack=32, crop=200)
    load_domains('mine', 32)                                # is as it was
    Path('own/testB/a\nb.png').write_bytes(Path('own/testB/0.png').read_bytes())
    refused('line break', celeba.preprocess, 'own', 'mine', folders=True)
    shutil.rmtree('own/testB')
    refused('testB', celeba.preprocess, 'own', 'mine', folders=True)


# refusals

@pytest.mark.parametrize('words, changes', [
    ('attributes ... folders', {'attributes': None}),
    ('attributes ... folders', {'folders': True}),
    ('nowhere', {'root': 'nowhere'}),
    ('dest is empty', {'dest': ''}),
    ('did you mean Eyeglasses', {'config': 'Eyeglass'}),
    ('use 1 to 40', {'config': '41'}),
    ('num_test_imgs is 60 ... trainA', {'num_test_imgs': 60}),
    ('num_test_imgs is 0 ... testA ... at least one', {'num_test_imgs': 0}),
    ('first or official', {'split': 'third'}),
    ('pack is 0', {'pack': 0}),
    ('crop is -1', {'crop': -1}),
    ('no folder ... trainA', {'folders': True, 'attributes': None}),
    ('list_eval_partition.txt', {'attributes': 'alone.txt', 'split': 'official'}),
])
def test_nothing_is_written_when_an_argument_is_wrong(here, words, changes):
    shutil.copy('celeba/list_attr_celeba.txt', 'alone.txt')
    refused(words, celeba.preprocess, **here | changes)
    assert not Path('lists').exists()


def test_missing_pictures_and_small_ones_are_said(here):
    refused('too small ... choose a crop of 178', celeba.preprocess, **here | {'pack': 32, 'crop': 200})
    assert not finished(Path('lists'))
    shutil.rmtree('lists')
    os.remove('celeba/img_align_celeba/000009.jpg')
    refused('000009.jpg', celeba.preprocess, **here)
    assert not Path('lists').exists()


GOOD = ['3', 'Hat Smiling', '1.jpg -1  1', '2.jpg  1  1', '3.jpg -1 -1', '']


@pytest.mark.parametrize('words, text', [
    ('is empty', ''), ('is empty', '\n\n'), ('not a text file', 'a\0b'), ('not a text file', b'\xff\xd8\xff'),
    ('cut off in the middle of line 5', '\n'.join(GOOD)[:-3]), ('cut off in the middle of line 4', '\n'.join(GOOD)[:36]),
    ('Line 1 ... announces 4 images, but 3', '\n'.join(['4', *GOOD[1:]])),
    ('Line 1 ... announces 0 images, but 0', '0\nHat\n'),
    ('Line 1 ... number of images', '\n'.join(GOOD[1:])), ('Line 1 ... number of images', '-3\nHat\n'),
    ('Line 1 ... announces', '9' * 5000 + '\nHat\n1.jpg 1\n'),
    ('Line 2', '3\n'), ('Line 2 ... twice', '1\nHat hat\n1.jpg 1 1\n'),
    ('Line 4 ... 2 values ... holds 3', '\n'.join([*GOOD[:3], '2.jpg 1 1 1', *GOOD[4:]])),
    ('Line 4 ... 2 values ... holds 0', '\n'.join([*GOOD[:3], '', *GOOD[3:]])),
    ("Line 4 ... '0'", '\n'.join([*GOOD[:3], '2.jpg 1 0', *GOOD[4:]])),
    ('Line 4 ... 1.jpg again, after line 3', '\n'.join([*GOOD[:3], '1.jpg 1 1', *GOOD[4:]])),
    ('Line 4 ... ./1.jpg again, after line 3', '\n'.join([*GOOD[:3], './1.jpg 1 1', *GOOD[4:]])),
    ('Line 4 ... again, after line 3', '2\nHat\na/x.jpg 1\na//./x.jpg 1\n'),
    *(('Line 4 ... leads out', '\n'.join([*GOOD[:3], f'{name} 1 1', *GOOD[4:]]))
      for name in ('../2.jpg', '/etc/2.jpg', 'a/../../2.jpg', '..\\2.jpg', 'C:2.jpg', 'a/..')),
])
def test_a_wrong_attribute_file_is_refused_with_the_line(tmp_path, words, text):
    path = tmp_path/'list.txt'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(words, read_attributes, path)


def test_attribute_files_of_other_systems(tmp_path):
    for file in ('none.txt', '.'): refused('could not be read', read_attributes, tmp_path/file)
    path = tmp_path/'list.txt'
    for encoding in ('utf-8', 'utf-8-sig'):                 # with a byte order mark, as Windows' editor leaves it
        path.write_bytes('\r\n'.join(['2', 'A  B', 'x/1.png  1 -1', '2..png -1 1', '', '']).encode(encoding))
        table = read_attributes(path)
        assert table.files == ['x/1.png', '2..png'] and table.values.tolist() == [[1, -1], [-1, 1]]


def test_a_wrong_partition_is_refused(tmp_path):
    path = tmp_path/'parts.txt'
    path.write_text('1.jpg 0\n2.jpg 3\n')
    refused('Line 2', read_partition, path, ['1.jpg'])
    path.write_text('1.jpg 0\n')
    refused('does not list 1 of ... 2.jpg', read_partition, path, ['1.jpg', '2.jpg'])


def test_an_empty_domain_is_refused():
    everybody = Attributes(['Hat'], ['1.jpg', '2.jpg'], np.array([[1], [1]], np.int8))
    refused('domain B is empty', choose, everybody, 'Hat')
    everybody.values = -everybody.values
    refused('domain A is empty', choose, everybody, 'Hat')
    refused('partition ... testA', split_lists, np.arange(3), np.arange(3, 6), parts=np.zeros(6, np.int8))
