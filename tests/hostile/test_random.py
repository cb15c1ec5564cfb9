"""Thousands of inputs that nobody thought of: settings, flags and files. Each is taken, or refused in one short sentence."""
import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from nonvae import Autoencoder, ImageSet, NonvaeError, Trainer, Training, load
from nonvae.attributes import read_attributes, read_partition
from nonvae.celeba import load_domains, preprocess
from nonvae.cli import COMMANDS, main, train_command
from nonvae.faces import write_celeba
from nonvae.flags import flag_names, merged, read_yaml
from nonvae.pictures import read_picture
from nonvae.presets import PRESETS, Preset
from nonvae.sources import load_data

torch.set_num_threads(1)
many = settings(max_examples=150, deadline=20_000, derandomize=True,
                suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def answered(call, *arguments, **options):
    "What the call returns, or None if it was refused in one short sentence."
    try: return call(*arguments, **options)
    except NonvaeError as error:
        said = str(error)
        assert 10 < len(said) < 1500 and '\n' not in said, said


# settings

NAMES = sorted({name for preset in PRESETS.values() for group in (preset.to_dict(), *preset.to_dict().values())
                if isinstance(group, dict) for name in group} | {'network', 'depth', 'image_size', 'channels', 'class'})
PLAIN = (st.none() | st.booleans() | st.integers() | st.integers(-3, 300) | st.floats() | st.text(max_size=20)
         | st.sampled_from(['adam', 'cpu', 'digits', 'acai', 'nan', '1e999', '0x10', '-0', '9' * 5000, 'float32']))
NESTED = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(NAMES) | st.text(max_size=8), inner, max_size=4), max_leaves=12)


@many
@given(preset=st.sampled_from(sorted(PRESETS)), change=st.dictionaries(st.sampled_from(['model', 'data', 'training']), NESTED))
def test_settings(preset, change):
    values = answered(merged, PRESETS[preset].to_dict(), change)
    found = values and answered(Preset.from_dict, values)
    if found: assert Preset.from_dict(found.to_dict()) == found


@many
@given(change=st.dictionaries(st.sampled_from([*Training.model_fields]), PLAIN, min_size=1, max_size=3))
def test_training(change):
    found = answered(Training.from_dict, change)
    if found is None: return
    assert found.steps > 0 and found.batch_size > 0 and 0 < found.lr < float('inf') and 0 <= found.seed < 2**63


@many
@given(content=st.binary(max_size=60) | NESTED.map(lambda value: yaml.safe_dump(value, allow_unicode=True).encode())
       | st.text('[]{}:-&*!| \n\tab1', max_size=60).map(str.encode))
def test_files_of_settings(tmp_path, content):
    (tmp_path/'own.yaml').write_bytes(content)
    found = answered(read_yaml, tmp_path/'own.yaml')
    assert found is None or isinstance(found, dict)


# flags

WORDS = st.sampled_from(['', '-', '--', '-1', '0', '1.5', 'nan', 'inf', '1e999', '9' * 5000, 'true', 'None', 'null', '[]', '[1', '{}', '{"a": 1}',
                         '٣', '1_0', '0x10', '\ud800', '\u202e', 'a\nb', '\x00', '~', '*', '../..', '$HOME', '!!python/none'])


@pytest.mark.parametrize('command', ['train acai-digits', 'train transfer-faces', 'train ltae-s-2', *sorted({*COMMANDS} - {'train'})])
@settings(many, max_examples=120)
@given(data=st.data())
def test_flags(command, data, monkeypatch):
    name, *preset = command.split()
    monkeypatch.setattr(COMMANDS[name], 'do', lambda self: 0)       # what was typed is read, and nothing done
    kind = train_command(*preset) if preset else COMMANDS[name]
    flags = st.sampled_from([f'--{name}' for name in [*flag_names(kind), 'help me', 'step', 'training', '']])
    typed = data.draw(st.lists(flags | WORDS | st.text(max_size=6) | st.builds('{}={}'.format, flags, WORDS), max_size=5))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err): code = main([name, *preset, *typed])
    assert code == 2 and len(err.getvalue()) < 1000 and err.getvalue().count('\n') == 1 or code == 0 and not err.getvalue()


# files

def spoilt(data, content):
    "Bytes with some of them changed, lost, doubled or put in."
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(len(content) - 1, 0)))
        more = data.draw(st.binary(min_size=1, max_size=12))
        match data.draw(st.sampled_from(['change', 'cut', 'lose', 'double', 'insert'])):
            case 'change': content[place:place + len(more)] = more
            case 'cut': del content[place:]
            case 'lose': del content[place:place + len(more)]
            case 'double': content[place:place] = content[place:place + 100]
            case 'insert': content[place:place] = more
    return bytes(content)


def small():
    return Autoencoder(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), nn.Sequential(nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8))))


IMAGES = np.random.default_rng(0).integers(0, 256, (12, 1, 8, 8), dtype=np.uint8)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    "A folder with one good file of each kind."
    folder = tmp_path_factory.mktemp('made')
    Trainer(small(), ImageSet(IMAGES), Training(steps=2, batch_size=4), out=folder/'run').fit(progress=False)
    labels = np.arange(12) % 3
    np.savez(folder/'own.npz', x_train=IMAGES[:, 0], y_train=labels, x_test=IMAGES[:, 0], y_test=labels)
    write_celeba(folder/'faces', 12)
    preprocess(folder/'faces'/'img_align_celeba', folder/'lists', folder/'faces'/'list_attr_celeba.txt', num_test_imgs=1, pack=8)
    for ending in ('png', 'jpg', 'gif', 'bmp', 'webp'): Image.fromarray(IMAGES[0, 0]).save(folder/f'own.{ending}')
    return folder


def trained(path): return Trainer(small(), ImageSet(IMAGES), Training(steps=2, batch_size=4), out=path.parent)
def weights(path): return load(path, into=small())
def arrays(path): return load_data(str(path), (1, 8, 8))
def domains(path): return load_domains(path.parent, 8)
def attributes(path): return read_attributes(path)
def partition(path): return read_partition(path, [f'{number:06d}.jpg' for number in range(1, 13)])


READERS = {'run/checkpoint.pt': trained, 'run/model.safetensors': weights, 'own.npz': arrays, 'own.png': read_picture,
           'own.jpg': read_picture, 'own.gif': read_picture, 'own.bmp': read_picture, 'own.webp': read_picture,
           'faces/list_attr_celeba.txt': attributes, 'faces/list_eval_partition.txt': partition, 'lists/labels.npz': domains,
           'lists/trainA.txt': domains, 'lists/preprocess.json': domains, 'lists/trainA-8.npy': domains}


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', READERS)
@many
@given(data=st.data())
def test_spoilt_files(made, name, data):
    path = Path(made, name)
    good = path.read_bytes()
    before = sorted(made.rglob('*'))
    try:
        path.write_bytes(spoilt(data, good))
        answered(READERS[name], path)
    finally: path.write_bytes(good)
    assert sorted(made.rglob('*')) == before                        # nothing appears, nothing goes


@many
@given(about=NESTED)
def test_headers_of_weights(tmp_path, about):
    from safetensors.torch import save_file
    try: header = json.dumps(about)
    except ValueError: return
    save_file({'x': torch.zeros(2)}, tmp_path/'own.safetensors', {'nonvae': header})
    assert answered(load, tmp_path/'own.safetensors') is None
