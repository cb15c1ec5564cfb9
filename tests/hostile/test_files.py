"Files from strangers: nothing in them is executed, followed or believed, and each is answered in a sentence."
import io
import json
import struct
import threading
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from nonvae import ACAI, Autoencoder, NonvaeError, Trainer, Training, digits, load
from nonvae.pictures import read_picture, save_image


def png_of(width, height):
    "A PNG file of a few bytes that says it is this large."
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(b'\0')) + chunk(b'IEND', b'')


def saved(kind, size=(8, 8), mode='RGB'):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind)
    return buffer.getvalue()


def huge_jpeg():
    "A small JPEG whose header says 65,000 x 65,000."
    data = bytearray(saved('JPEG'))
    place = data.index(b'\xff\xc0') + 5
    data[place:place + 4] = struct.pack('>HH', 65000, 65000)
    return bytes(data)


@pytest.mark.parametrize('content, words', [
    (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(%pipe%touch ran) (w) file\n%%EOF\n', 'is not a picture'),
    (saved('EPS'), 'is not a picture'), (saved('TIFF', mode='F'), 'is not a picture'), (saved('PPM'), 'is not a picture'),
    (png_of(50_000, 50_000), 'more than 100 million pixels|exceeds limit'), (huge_jpeg(), 'pixels|exceeds limit'),
    (png_of(10_500, 10_500), 'more than 100 million pixels'), (png_of(100, 100), 'could not be read as a picture'),
    (b'', 'is empty'), (b'\xff\xd8' + b'\0' * 99, 'is not a picture|could not be read'), (saved('PNG')[:40], 'could not|not a picture')])
@pytest.mark.parametrize('name', ['own.png', 'own.jpg'])
def test_odd_pictures_are_refused(tmp_path, content, words, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path/name).write_bytes(content)
    with pytest.raises(NonvaeError, match=words): read_picture(tmp_path/name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'BMP', 'GIF', 'WEBP'])
def test_a_picture_counts_by_its_content_and_not_by_its_name(tmp_path, kind):
    (tmp_path/'own.png').write_bytes(saved(kind, (20, 10)))
    assert read_picture(tmp_path/'own.png').shape == (3, 10, 20)


@pytest.mark.parametrize('name', ['wide.webp', 'wide.jpg'])
def test_a_picture_too_large_for_its_format_is_refused(tmp_path, name):
    with pytest.raises(NonvaeError, match='choose .png'): save_image(tmp_path/name, torch.zeros(4100, 1, 8, 8), columns=4100)
    assert not [*tmp_path.iterdir()]


def test_what_another_thread_draws_changes_nothing():
    train, _ = digits()
    settings = Training(steps=12, batch_size=8)
    alone, disturbed = (Trainer(ACAI.preset('digits'), train, settings) for _ in range(2))
    alone.fit(progress=False)
    stop = threading.Event()

    def draw():
        while not stop.is_set(): torch.rand(1)
    other = threading.Thread(target=draw)
    other.start()
    try: disturbed.fit(progress=False)
    finally:
        stop.set()
        other.join()
    for one, two in zip(alone.model.state_dict().values(), disturbed.model.state_dict().values()): assert torch.equal(one, two)


def test_one_thread_trains_and_the_others_are_told():
    train, _ = digits()
    trainer = Trainer(ACAI.preset('digits'), train, Training(steps=12, batch_size=8))
    said = []

    def fit():
        try: trainer.fit(progress=False)
        except NonvaeError as error: said.append(str(error))
    threads = [threading.Thread(target=fit) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    alone = Trainer(ACAI.preset('digits'), train, Training(steps=12, batch_size=8)).fit(progress=False)
    assert trainer.steps_done == 12 and all('in another thread' in text for text in said)
    for one, other in zip(trainer.model.state_dict().values(), alone.model.state_dict().values()):
        assert torch.equal(one, other)


@pytest.mark.parametrize('change, words', [
    ({'depth': 65536}, 'do not fit'), ({'image_size': 64}, 'do not fit'), ({'depth': 'many'}, 'depth must be'),
    ({'image_size': 65536}, 'do not fit'), ({'colour': 3}, "no setting"), ({'depth': 10**4000}, 'depth must be|damaged')])
def test_weights_of_another_model_than_their_header_says_are_refused(tmp_path, change, words):
    model = ACAI.preset('digits')
    recipe = model.recipe.to_dict()
    recipe['network'] |= change
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, tmp_path/'own.safetensors', {'nonvae': json.dumps({'model': recipe, 'class': 'ACAI'})})
    with pytest.raises(NonvaeError, match=words): load(tmp_path/'own.safetensors')


@pytest.mark.parametrize('header', ['', '[]', '{"model": 3}', '{"model": {"method": "acai"}, "class": []}', '[' * 100_000,
                                    '{"model": {"method": "os.system"}}', '{"model": null}', '9' * 5000, 'NaN'])
def test_headers_that_are_nonsense_are_refused(tmp_path, header):
    save_file({'x': torch.zeros(2)}, tmp_path/'own.safetensors', {'nonvae': header})
    with pytest.raises(NonvaeError) as refusal: load(tmp_path/'own.safetensors')
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize('name', ['checkpoint.pt', 'model.safetensors'])
def test_a_bit_that_flipped_is_found(tmp_path, name):
    train, _ = digits()
    settings = Training(steps=4, batch_size=8)
    model = lambda: Autoencoder(nn.Sequential(nn.Flatten(), nn.Linear(1024, 3)),
                                nn.Sequential(nn.Linear(3, 1024), nn.Unflatten(1, (1, 32, 32))))
    Trainer(model(), train, settings, out=tmp_path).fit(until=2, progress=False)
    good, random = (tmp_path/name).read_bytes(), np.random.default_rng(0)
    for place in random.integers(len(good), size=40):
        damaged = bytearray(good)
        damaged[place] ^= 1 << random.integers(8)
        (tmp_path/name).write_bytes(damaged)
        with pytest.raises(NonvaeError):
            if name == 'checkpoint.pt': Trainer(model(), train, settings, out=tmp_path)
            else: load(tmp_path, into=model())
    (tmp_path/name).write_bytes(good)
    assert Trainer(model(), train, settings, out=tmp_path).steps_done == 2 and load(tmp_path, into=model())


def test_places_in_a_file_are_not_followed(nonvae, tmp_path):
    model = ACAI.preset('digits')
    about = {'model': model.recipe.to_dict(), 'class': 'ACAI', 'data': 'mnist', 'download': True, 'root': str(tmp_path/'there'),
             'out': str(tmp_path/'there'), 'training': {}}
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, tmp_path/'own.safetensors', {'nonvae': json.dumps(about)})
    for command in ('evaluate', 'interpolate', 'compare'):
        code, out, err = nonvae(command, 'own.safetensors')
        assert code == 2 and 'mnist is not in the folder data' in err, err
    assert not (tmp_path/'there').exists() and not (tmp_path/'data').exists()


def test_a_run_on_images_of_ones_own_is_not_measured_on_others(nonvae, tmp_path):
    train, _ = digits()
    Trainer(ACAI.preset('digits'), train.images[:40], Training(steps=2, batch_size=8), out=tmp_path/'run').fit(progress=False)
    for command in ('evaluate', 'interpolate'):
        code, out, err = nonvae(command, 'run')
        assert code == 2 and 'images of your own' in err, err
