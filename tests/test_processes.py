"""Two processes train what one trains. torchrun starts small programs that stand here, on the CPU, one thread each."""
import json
import os
import subprocess
import sys

import pytest
from safetensors.torch import load_file

SHARED = '''
import json, os, signal, sys
from pathlib import Path
import numpy as np
import torch
from torch import nn
from nonvae.acai import ACAI
from nonvae.autoencoder import Autoencoder
from nonvae.callbacks import TrainingDiverged
from nonvae.core import NonvaeError, rank_and_world
from nonvae.crosschange import CrossChange
from nonvae.data import Domains, ImageSet
from nonvae.ltae import LTAE
from nonvae.masked import MaskedTransfer, Painter
from nonvae.networks import Critic, Decoder, Encoder, MLPDecoder, MLPEncoder
from nonvae.processes import process_group
from nonvae.training import Trainer, Training
from nonvae.transfer import ContentTransfer, Discriminator, SharedEncoder, SpecificEncoder, TransferDecoder

torch.set_num_threads(1)
folder = Path(sys.argv[1])
# plain descent: Adam would enlarge the rounding in gradients that are zero, such as those of a bias before batch norm
SETTINGS = Training(steps=10, batch_size=8, optimizer='sgd', lr=.02, clip_norm=1., log_every=5, precision='float32',
                    device='cpu')

def images(channels=1, size=8, seed=0):
    return ImageSet(np.random.default_rng(seed).integers(0, 256, (40, channels, size, size), np.uint8))

def conv(channels=1, size=8, depth=2, **options):
    size = dict(channels=channels, image_size=size, depth=depth, latent_width=2, latent_channels=4)
    return [Encoder(**size, **options), Decoder(**size, **options), Critic(**size)]

def ltae(transform):
    size = dict(image_size=8, hidden=16)
    encoder = MLPEncoder(**size, outputs=4)
    for layer in encoder.layers[::2]: nn.init.normal_(layer.weight, std=.5)     # dividing by a small spread enlarges rounding
    return LTAE(encoder, MLPDecoder(**size, latent_size=4), (4,), transform)

def flat_norm():
    "Batch norm between the fully connected layers."
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Softplus(), nn.Linear(16, 4))
    return Autoencoder(encoder, MLPDecoder(image_size=8, hidden=16, latent_size=4))

def transfer_networks():
    size = dict(depth=2, sep=2, scales=2)
    return (SharedEncoder(**size), SpecificEncoder(**size), TransferDecoder(depth=2, scales=2),
            Discriminator(**size, image_size=8))

MODELS = {'acai': lambda: ACAI(*conv()), 'acai-norm': lambda: ACAI(*conv(batch_norm=True)),
          'ltae-s': lambda: ltae('standardise'), 'ltae-m': lambda: ltae('min-max'),
          'norm': lambda: Autoencoder(*conv(batch_norm=True)[:2]), 'flat-norm': flat_norm,
          'dropout': lambda: Autoencoder(*conv()[:2], latent_dropout=.5),
          'crosschange': lambda: CrossChange(Autoencoder(*conv()[:2]), steps=2, per_sample=True),
          'transfer': lambda: ContentTransfer(*transfer_networks()),
          'masked': lambda: MaskedTransfer(*transfer_networks(), Painter(depth=2, sep=2, scales=2)), 'muon': lambda: ACAI(*conv(depth=8))}

def trainer(name, out, settings=SETTINGS, **options):
    torch.manual_seed(0)
    data, held_out = (images(seed=seed) for seed in (0, 1))
    if name in ('transfer', 'masked'): data, held_out = (Domains(images(3, seed=s), images(3, seed=s + 1)) for s in (0, 2))
    return Trainer(MODELS[name](), data, settings, held_out, out, **options)

def flat(model): return torch.cat([p.detach().flatten() for p in model.parameters()])

def say(**what):
    with (folder/f'said-{rank_and_world()[0]}.txt').open('a') as file: file.write(json.dumps(what) + '\\n')
'''


def run(folder, program, processes=2, timeout=240):
    "Runs a program, in one process or several: (exit code, what each process said, error output)."
    file = folder/'program.py'
    file.write_text(SHARED + program)
    several = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', str(processes)]
    command = [sys.executable, *(several if processes > 1 else []), file, folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, 'OMP_NUM_THREADS': '1'})
    said = [[json.loads(line) for line in path.read_text().splitlines()] for path in sorted(folder.glob('said-*.txt'))]
    return done.returncode, said, done.stderr


def weights(folder): return load_file(folder/'model.safetensors')


def furthest(a, b): return max((a[name].double() - b[name].double()).abs().max().item() for name in a)


# ---------------------------------------------------------------- the same run

NAMES = ['acai', 'acai-norm', 'ltae-s', 'ltae-m', 'norm', 'flat-norm', 'dropout', 'crosschange', 'transfer', 'masked', 'muon']
EVERYTHING = '''
with process_group():
    for name in MODELS:
        settings = SETTINGS.but(optimizer='muon', lr=.002) if name == 'muon' else SETTINGS
        run = trainer(name, folder/name, settings)
        before = flat(run.model)
        run.fit(progress=False)
        say(moved=(flat(run.model) - before).abs().max().item())
'''


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    "The folders in which one process and two have trained everything."
    folders = []
    for processes in (1, 2):
        folder = tmp_path_factory.mktemp(f'{processes}-processes')
        code, said, errors = run(folder, EVERYTHING, processes)
        assert code == 0, errors
        assert all(model['moved'] > 5e-4 for process in said for model in process)
        folders.append(folder)
    return folders


@pytest.mark.parametrize('name', NAMES)
def test_two_processes_give_the_weights_of_one(trained, name):
    one, two = (weights(folder/name) for folder in trained)
    assert one.keys() == two.keys() and furthest(one, two) < 1e-5


@pytest.mark.parametrize('name', NAMES)
def test_two_processes_write_the_history_of_one(trained, name):
    one, two = ((folder/name/'history.csv').read_text().splitlines() for folder in trained)
    assert one[0] == two[0] and 'held_out_' in one[0] and len(one) == len(two) == 3
    for a, b in zip(one[1:], two[1:]):
        a, b = ([float(value) for place, value in enumerate(row.split(',')) if place != 2] for row in (a, b))
        assert a == pytest.approx(b, abs=2e-4)                      # all but the seconds
    assert (trained[1]/name/'pictures'/'0000010.png').exists()


# ---------------------------------------------------------------- one reads, all go on, all stop

GO_ON = '''
with process_group():
    rank, world = rank_and_world()
    mine = folder/('run' if rank == 0 else 'a folder of another machine')
    trainer('acai', mine).fit(until=4, progress=False)
    again = trainer('acai', mine)
    say(steps=again.steps_done, saved=again.saved_step)
    again.fit(progress=False)

    class Stop:
        "The second process wants to end."
        def after_step(self, trainer, terms):
            if rank == 1 and trainer.steps_done == 3: trainer.stop()

    class Signal:
        def after_step(self, trainer, terms):
            if rank == 1 and trainer.steps_done == 5: signal.raise_signal(signal.SIGTERM)

    stopped = trainer('acai', None, callbacks=[Stop(), Signal()])
    for _ in range(2):
        stopped.fit(progress=False)
        say(stopped=stopped.steps_done, interrupted=stopped.interrupted)
'''


def test_the_first_process_reads_for_all_and_one_that_stops_stops_all(trained, tmp_path):
    code, said, errors = run(tmp_path, GO_ON)
    assert code == 0, errors
    assert said == 2 * [[{'steps': 4, 'saved': 4}, {'stopped': 3, 'interrupted': True},
                         {'stopped': 5, 'interrupted': True}]]
    assert not (tmp_path/'a folder of another machine').exists()
    assert furthest(weights(tmp_path/'run'), weights(trained[1]/'acai')) == 0


# ---------------------------------------------------------------- errors

REFUSALS = '''
def attempt(act):
    try: act()
    except NonvaeError as error: say(refused=type(error).__name__, sentence=str(error))

class Wild:
    "From the third step on the rate is absurd."
    def after_step(self, trainer, terms):
        if trainer.steps_done == 2: trainer.lr_factor = 1e9

with process_group():
    run = trainer('acai', folder/'run').fit(until=2, progress=False)
    attempt(lambda: trainer('acai', folder/'run', SETTINGS.but(lr=.1)))
    if run.rank == 0: (folder/'run'/'checkpoint.pt').write_bytes(b'of somebody else')
    attempt(lambda: run.fit(progress=False))
    attempt(lambda: trainer('acai', folder/'run'))
    attempt(lambda: trainer('acai', None, SETTINGS.but(batch_size=6)))
    attempt(lambda: trainer('acai', None, SETTINGS, callbacks=[Wild()]).fit(progress=False))
'''


def test_what_is_refused_is_refused_in_every_process(tmp_path):
    code, said, errors = run(tmp_path, REFUSALS)
    assert code == 0, errors
    words = ('training.lr = 0.02', 'by somebody else', 'checkpoint.pt is damaged', 'multiple of 4', 'Training stopped')
    assert len(said) == 2
    for process in said:
        assert len(process) == len(words) and process[-1]['refused'] == 'TrainingDiverged'
        for what, word in zip(process, words): assert word in what['sentence'], what


FAILURE = '''
class Fail:
    def after_step(self, trainer, terms):
        if trainer.rank == int(sys.argv[2]) and trainer.steps_done == 3: raise ValueError('a mistake of mine')

sys.argv.append(os.environ['FAILING'])
with process_group():
    trainer('acai', folder/'run', callbacks=[Fail()]).fit(progress=False)
'''


@pytest.mark.parametrize('failing', ['0', '1'])
def test_an_error_in_one_process_is_seen_and_ends_all(tmp_path, monkeypatch, failing):
    monkeypatch.setenv('FAILING', failing)
    code, said, errors = run(tmp_path, FAILURE, timeout=120)
    assert code != 0 and 'ValueError: a mistake of mine' in errors
    if failing == '0': assert (tmp_path/'run'/'checkpoint.pt').exists()      # what it had trained is saved


@pytest.mark.parametrize('world', ['2', 'two'])
def test_a_world_that_torchrun_did_not_make_is_refused(monkeypatch, world):
    from nonvae.core import NonvaeError
    from nonvae.processes import process_group
    for name in ('RANK', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'): monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('WORLD_SIZE', world)
    with pytest.raises(NonvaeError, match='not by torchrun'), process_group(): pass
