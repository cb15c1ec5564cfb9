"""The same behaviour for every method of the package: one list of expectations, one case a method."""
import numpy as np
import pytest
import torch

from nonvae.acai import ACAI, ACAIConfig
from nonvae.autoencoder import Autoencoder, AutoencoderConfig
from nonvae.crosschange import CrossChange
from nonvae.datasets import Domains, ImageSet, digits
from nonvae.interpolation import interpolate
from nonvae.ltae import LTAE, VAE, ConvLTAE, ConvLTAEConfig, LTAEConfig, VAEConfig
from nonvae.networks import ConvNet, MLPNet, TransferNet
from nonvae.training import Method, Trainer, Training
from nonvae.transfer import ContentTransfer, TransferConfig, transfer_strips

CONV, MLP = ConvNet(1, 32, 8, 4, 8), MLPNet(hidden=128, latent_size=8)
TRAINING = Training(batch_size=8, lr=3e-3, precision='float32', device='cpu')
MAKE = {                # each as its own configuration, for `training` to be replaced
    'plain': lambda training: Autoencoder(AutoencoderConfig(network=CONV, training=training)),
    'plain, batch norm': lambda training: Autoencoder(AutoencoderConfig(network=ConvNet(1, 32, 8, 4, 8, True),
                                                                        training=training)),
    'dropout': lambda training: Autoencoder(AutoencoderConfig(network=CONV, training=training, latent_dropout=.5)),
    'denoising': lambda training: Autoencoder(AutoencoderConfig(network=CONV, training=training, input_noise=1.)),
    'acai': lambda training: ACAI(ACAIConfig(network=CONV, training=training)),
    'transfer': lambda training: ContentTransfer(TransferConfig(network=TransferNet(32, 8, 4, 4), training=training)),
    'ltae-s': lambda training: LTAE(LTAEConfig(network=MLP, training=training)),
    'ltae-m': lambda training: LTAE(LTAEConfig(network=MLP, training=training, transform='min-max')),
    'ltae-plain': lambda training: LTAE(LTAEConfig(network=MLP, training=training, transform='none')),
    'ltae-conv': lambda training: ConvLTAE(ConvLTAEConfig(network=CONV, training=training)),
    'vae': lambda training: VAE(VAEConfig(network=MLPNet(hidden=128, layers=1, latent_size=8), training=training)),
    'crosschange': lambda training: CrossChange(MAKE['plain, batch norm'](training), ['flip-width'], steps=3,
                                                training=training),
    'crosschange, decoder': lambda training: CrossChange(MAKE['ltae-s'](training), ['flip-width'], steps=3,
                                                         train_decoder=True, training=training),
    'crosschange, own loss': lambda training: CrossChange(MAKE['acai'](training), ['flip-width'], own_loss=True,
                                                          training=training),
    'crosschange, transfer': lambda training: CrossChange(MAKE['transfer'](training), ['reverse-channels'], steps=3,
                                                          training=training)}
LEARNS = {              # the parts that training moves; of all others not a bit may change
    'acai': {'encoder', 'decoder', 'critic'}, 'transfer': {'shared', 'specific', 'decoder', 'discriminator'},
    'crosschange': {'autoencoder.encoder'}, 'crosschange, decoder': {'autoencoder.encoder', 'autoencoder.decoder'},
    'crosschange, own loss': {'autoencoder.encoder', 'autoencoder.decoder', 'autoencoder.critic'},
    'crosschange, transfer': {'autoencoder.shared', 'autoencoder.specific'}}
each = pytest.mark.parametrize('name', MAKE)


def data_for(name):
    "Eight images: digits, or two domains of four."
    if 'transfer' not in name: return digits()[0].subset([10, 500, 900, 1300, 1700, 2100, 2500, 3500])
    images = np.repeat(digits()[0].images[[10, 500, 900, 1300, 1700, 2100, 2500, 3500]], 3, 1)
    images[:4, 0] = 255 - images[:4, 0]
    a, b = (ImageSet(part, np.zeros(4, np.int64), ['']) for part in (images[:4], images[4:]))
    return Domains(a, b)


def images_of(data): return torch.cat([data.a[:], data.b[:]]) if isinstance(data, Domains) else data[:]


def codes_of(method, x):
    codes = method.encode(x)
    return codes if isinstance(codes, tuple) else (codes,)


@pytest.fixture(autouse=True)
def one_thread(): torch.set_num_threads(1)


@each
def test_builds_the_same_from_the_same_seed(name):
    one, again, other = (MAKE[name](Training(seed=seed)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@each
def test_shapes_and_repeatable_use(name):
    method, x = MAKE[name](TRAINING).eval(), images_of(data_for(name))
    for count in (1, 5):
        codes = codes_of(method, x[:count])
        assert all(len(code) == count for code in codes)
        assert method.decode(*codes).shape == x[:count].shape == method.reconstruct(x[:count]).shape
    assert torch.equal(method.reconstruct(x), method.reconstruct(x))
    # no image depends on its neighbours
    assert torch.allclose(method.reconstruct(x)[2:3], method.reconstruct(x[2:3]), atol=1e-5)


@each
def test_one_step_moves_what_learns_and_nothing_else(name):
    method = MAKE[name](TRAINING)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    terms = Trainer(method, data_for(name)).step()
    assert terms and all(np.isfinite(value) for value in terms.values())
    moved = {key for key, value in method.state_dict().items() if not torch.equal(value.cpu(), before[key])}
    wanted = LEARNS.get(name, {'encoder', 'decoder'})
    assert all(key.startswith(tuple(f'{part}.' for part in wanted)) for key in moved), moved
    assert all(any(key.startswith(f'{part}.') for key in moved) for part in wanted), moved
    players = [p for group in method.players().values() for p in group]
    assert len(players) == len(set(players)) and set(players) == {p for p in method.parameters() if p.requires_grad}


@each
def test_overfits_eight_images(name):
    method, data = MAKE[name](TRAINING), data_for(name)
    x = images_of(data)
    trainer = Trainer(method, data)
    first = [trainer.step() for _ in range(3)]
    last = [trainer.step() for _ in range(250)][-3:]
    key = ('cross' if name.startswith('crosschange') else 'cross_entropy' if name == 'vae' else 'reconstruction_a'
           if name == 'transfer' else 'reconstruction')
    ratio = sum(terms[key] for terms in last) / sum(terms[key] for terms in first)
    bound = {'crosschange': .9, 'crosschange, transfer': .9, 'crosschange, own loss': .9, 'vae': .5, 'denoising': .5,
             'dropout': .5}.get(name, .35)
    assert ratio < bound, f'{key}: {ratio:.3f} of the start'
    assert torch.isfinite(method.eval().reconstruct(x)).all()


@each
def test_saved_and_loaded_is_the_same(name, tmp_path):
    method, x = MAKE[name](TRAINING).eval(), images_of(data_for(name))
    method.save(tmp_path/'whole.safetensors')
    method.save(tmp_path/'half.safetensors', half=True)
    loaded, half = (Method.load(tmp_path/f'{kind}.safetensors') for kind in ('whole', 'half'))
    assert type(loaded) is type(method) and loaded.config == method.config and not loaded.training
    assert torch.equal(loaded.reconstruct(x), method.reconstruct(x))
    assert torch.allclose(half.reconstruct(x), method.reconstruct(x),
                          atol=.05) and half.reconstruct(x).dtype == torch.float32
    assert (tmp_path/'half.safetensors').stat().st_size < .6 * (tmp_path/'whole.safetensors').stat().st_size


@each
def test_interpolation_ends_in_reconstructions(name):
    method, x = MAKE[name](TRAINING).eval(), images_of(data_for(name))
    if 'transfer' in name:
        inner = getattr(method, 'autoencoder', method)
        strip = transfer_strips(inner, x[:2], x[4:6], frames=4)[1]
        assert torch.allclose(strip[[0, -1]], inner.reconstruct(x[:2]), atol=1e-5)
    else:
        frames = interpolate(method, x[:3], x[3:6], frames=4)
        for place, ends in ((0, x[:3]), (-1, x[3:6])):
            assert torch.allclose(frames[:, place], method.reconstruct(ends), atol=1e-5)


@each
def test_stopping_and_going_on_gives_the_same_bits(name, tmp_path):
    data = data_for(name)
    once = Trainer(MAKE[name](TRAINING), data, out=tmp_path/'once').fit(until=7, progress=False)
    # 4 is no multiple of 3 cross-changed steps
    Trainer(MAKE[name](TRAINING), data, out=tmp_path/'twice').fit(until=4, progress=False)
    twice = Trainer(MAKE[name](TRAINING), data, out=tmp_path/'twice').fit(until=7, progress=False)
    assert twice.steps_done == 7
    a, b = once.method.state_dict(), twice.method.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)
