"""Drawn faces: what is refused, folders that must stay as they are, and drawing in processes of its own."""
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nonvae.core import NonvaeError
from nonvae.drawing import portrait
from nonvae.faces import attributes_of, counterfactuals, draw_face, drawn_domains, write_celeba
from nonvae.files import file_lock

TEXTS = 'list_attr_celeba.txt', 'list_eval_partition.txt'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    "Every test works in a folder of its own."
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(what, *arguments, **options):
    "The sentence of the NonvaeError."
    with pytest.raises(NonvaeError) as error: what(*arguments, **options)
    return str(error.value)


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(Path(folder).rglob('*'))}


@pytest.mark.parametrize('seeds', [(-1,), (1.5,), ('7',), (True,), (None,), (3, -2), (3, 2.), (3, True)])
def test_seeds(seeds):
    for function in (draw_face, attributes_of): assert 'whole number' in refused(function, *seeds)


@pytest.mark.parametrize('function, arguments, word', [
    (drawn_domains, dict(count=0), 'count'), (counterfactuals, dict(count=10**7), 'count'),
    (drawn_domains, dict(count=1, crop=200), 'crop'), (drawn_domains, dict(count=1, seed=-1), 'seed'),
    (write_celeba, dict(dest='new', count=0), 'count'), (write_celeba, dict(dest='new', seed=-1), 'seed'),
    (write_celeba, dict(dest='new', glasses_share=1.5), 'glasses_share'), (write_celeba, dict(dest=''), 'dest')])
def test_numbers(function, arguments, word, folder):
    assert word in refused(function, **arguments)
    assert not any(folder.iterdir())


def test_same_pictures():
    "Numbers of numpy are seeds too, one face needs no other control, and nobody can change a kept picture."
    picture = draw_face(np.int64(12), np.uint8(3))
    data = picture.tobytes()
    picture.paste((0, 0, 0), (0, 0, 178, 218))
    assert draw_face(12, 3).tobytes() == data
    single = counterfactuals(1)
    assert single.other.shape == (1, 3, 64, 64) and not single.other.equal(single.truth)
    assert drawn_domains(2).source == 'faces:2' and drawn_domains(1, seed=1).a.domains == 1


def test_foreign_folders(folder):
    Path('holiday').mkdir()
    Path('holiday/beach.jpg').write_bytes(b'sunshine')
    Path('file').write_text('no folder')
    before = contents(folder)
    assert 'no drawn faces' in refused(write_celeba, 'holiday')
    assert 'is a file' in refused(write_celeba, 'file')
    assert 'file/x' in refused(write_celeba, 'file/x')
    assert contents(folder) == before


def test_again():
    "The same folder is written anew; what is not ours in the folder of images stays."
    write_celeba('faces', 4)
    Path('faces/img_align_celeba/notes.txt').write_text('mine')
    write_celeba(Path('faces'), 2, seed=1, glasses_share=1)
    images = sorted(path.name for path in Path('faces/img_align_celeba').iterdir())
    assert images == ['000001.jpg', '000002.jpg', 'notes.txt']
    rows = Path('faces', TEXTS[0]).read_text().splitlines()
    assert rows[0] == '2' and all(row.split()[16] == '1' for row in rows[2:])


def test_hard_links():
    "A picture with a second name elsewhere is replaced, not overwritten."
    write_celeba('faces', 1)
    os.link('faces/img_align_celeba/000001.jpg', 'kept.jpg')
    before = Path('kept.jpg').read_bytes()
    write_celeba('faces', 1, seed=1)
    assert Path('kept.jpg').read_bytes() == before != Path('faces/img_align_celeba/000001.jpg').read_bytes()


def test_interrupted():
    "Without its text files a folder is seen to be incomplete; the same call completes it."
    write_celeba('faces', 2)
    obstacle = Path('faces/img_align_celeba/000002.jpg')
    obstacle.unlink()
    obstacle.mkdir()
    assert 'could not be written' in refused(write_celeba, 'faces', 2)
    assert not any(Path('faces', name).exists() for name in TEXTS)
    obstacle.rmdir()
    Path('faces/.drawn_faces.json.0123.partial').write_text('killed here')
    write_celeba('faces', 2)
    assert all(Path('faces', name).exists() for name in TEXTS)


@pytest.mark.skipif(os.name == 'nt', reason='links need rights there')
@pytest.mark.parametrize('place', ['', 'img_align_celeba', 'img_align_celeba/000001.jpg', 'list_attr_celeba.txt',
                                   'list_eval_partition.txt', 'drawn_faces.json', '.lock'])
def test_symbolic_links(place, folder):
    write_celeba('faces', 1)
    link, target = Path('faces', place), folder/'elsewhere'
    if link.exists(): link.rename(target)
    else: target.write_text('precious')
    link.symlink_to(target)
    before = contents(folder)
    assert 'symbolic link' in refused(write_celeba, 'faces', 1, seed=1)
    assert contents(folder) == before


def test_dangling_link():
    Path('faces').symlink_to('nowhere')
    assert 'symbolic link' in refused(write_celeba, 'faces', 1) and not Path('nowhere').exists()


def test_one_at_a_time():
    write_celeba('faces', 1)
    before = contents('faces')
    with file_lock('faces', 'taken'): assert 'being written right now' in refused(write_celeba, 'faces', 1, seed=1)
    assert contents('faces') == before
    write_celeba('faces', 1)


def test_torchvision_reads_it(monkeypatch):
    from torchvision.datasets import CelebA
    write_celeba('celeba', 12)
    names = [row.split()[0] for row in Path('celeba', TEXTS[1]).read_text().splitlines()]
    for other, head in (('identity_CelebA', ''), ('list_bbox_celeba', '12\nx\n'), ('list_landmarks_align_celeba', '12\nx\n')):
        Path(f'celeba/{other}.txt').write_text(head + ''.join(f'{name} 1\n' for name in names))
    monkeypatch.setattr(CelebA, '_check_integrity', lambda self: True)
    read = CelebA('.', split='all', target_type='attr')
    picture, target = read[3]
    table = [row.split() for row in Path('celeba', TEXTS[0]).read_text().splitlines()]
    assert len(read) == 12 and picture.size == (178, 218) and read.attr_names[:40] == table[1]
    assert (target * 2 - 1).tolist() == [int(value) for value in table[5][1:]]


@pytest.fixture
def two_processes(monkeypatch):
    "Makes `draw_many` draw in two processes also where there is one core, and remembers them."
    begun = []
    begin = portrait._drawing_process
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: {0, 1}, raising=False)
    monkeypatch.setattr(portrait, '_drawing_process', lambda pairs: begun.append(begin(pairs)) or begun[-1])
    return begun


def test_processes_end_with_the_reader(two_processes):
    pictures = portrait.draw_many([(k, None) for k in range(200)])
    for k in range(3): assert (next(pictures) == np.asarray(draw_face(k))).all()
    pictures.close()
    assert len(two_processes) == 2 and all(process.returncode is not None for process in two_processes)


def test_a_process_that_dies_loses_no_picture(two_processes):
    pictures = portrait.draw_many([(k, None) for k in range(200)])
    next(pictures)
    two_processes[1].kill()
    for k in range(1, 6): assert (next(pictures) == np.asarray(draw_face(k))).all()
    pictures.close()


def test_from_a_thread(two_processes):
    found = []
    thread = threading.Thread(target=lambda: found.append(next(portrait.draw_many([(k, None) for k in range(200)]))))
    thread.start()
    thread.join()
    assert (found[0] == np.asarray(draw_face(0))).all()


PROGRAM = """
import os
os.sched_getaffinity = lambda pid: {0, 1}
from nonvae.drawing.portrait import draw_many
print(next(draw_many([(k, None) for k in range(200)])).shape)
import sys
print('torch' in sys.modules)
"""


@pytest.mark.parametrize('way', ['-c', 'script', 'stdin'])
def test_without_a_main_guard(way):
    "A program without `if __name__ == '__main__'`, in a folder with a json.py of its own."
    Path('json.py').write_text('raise SystemExit("not this one")')
    Path('elsewhere').mkdir()
    Path('elsewhere/program.py').write_text(PROGRAM)
    arguments = {'-c': ['-P', '-c', PROGRAM], 'script': ['elsewhere/program.py'], 'stdin': ['-P', '-']}[way]
    if sys.version_info < (3, 11): arguments = ['elsewhere/program.py']
    root = str(Path(portrait.__file__).parents[2])
    done = subprocess.run([sys.executable, *arguments], input=PROGRAM, capture_output=True, text=True, timeout=60,
                          env={**os.environ, 'PYTHONPATH': root})
    assert done.stdout.split('\n')[:2] == ['(218, 178, 3)', 'False'], done.stderr
    assert not done.stderr


def test_written_by_many_cores(two_processes):
    "A folder of 200 pictures, drawn by two processes, holds what its table says."
    write_celeba('faces', 200)
    assert len(two_processes) == 2 and len(list(Path('faces/img_align_celeba').iterdir())) == 200
    for number, row in list(enumerate(Path('faces', TEXTS[0]).read_text().splitlines()[2:]))[::66]:
        name, *values = row.split()
        drawn = np.asarray(draw_face(number, number if values[15] == '1' else None), float)
        with Image.open(f'faces/img_align_celeba/{name}') as picture:
            assert np.abs(np.asarray(picture, float) - drawn).mean() < 3
