"""The same behaviour for every method of the package: one list of expectations, one case a method."""
import numpy as np
import pytest
import torch

from nonvae.acai import ACAI
from nonvae.data import Domains, ImageSet, digits
from nonvae.fast import speed_up
from nonvae.interpolation import interpolate
from nonvae.presets import PRESETS, load
from nonvae.recipes import (ACAIRecipe, AutoencoderRecipe, ConvNet, CrossChangeRecipe, LTAERecipe, MaskedRecipe, MLPNet, TransferNet,
                            TransferRecipe, VAERecipe)
from nonvae.runs import save_weights
from nonvae.training import Trainer, Training
from nonvae.transfer import transfer_strips

CONV = ConvNet(depth=8, latent_channels=8)
NORMED, MLP = CONV.but(batch_norm=True), MLPNet(hidden=128, latent_size=8)
TRAINING = Training(batch_size=8, lr=3e-3, precision='float32', device='cpu')
PLAIN, GAME = AutoencoderRecipe(network=NORMED), ACAIRecipe(network=CONV)
TRANSFER = TransferRecipe(network=TransferNet(image_size=32, depth=8, sep=4, scales=4))
RECIPES = {
    'plain': AutoencoderRecipe(network=CONV), 'plain, batch norm': PLAIN,
    'dropout': AutoencoderRecipe(network=CONV, latent_dropout=.5),
    'denoising': AutoencoderRecipe(network=CONV, input_noise=1.), 'acai': GAME,
    'acai, batch norm': ACAIRecipe(network=NORMED), 'transfer': TRANSFER, 'masked transfer': MaskedRecipe(network=TRANSFER.network), 'ltae-s': LTAERecipe(network=MLP),
    'ltae-m': LTAERecipe(network=MLP, transform='min-max'), 'ltae-plain': LTAERecipe(network=MLP, transform='none'),
    'ltae-conv': LTAERecipe(network=CONV), 'vae': VAERecipe(network=MLP.but(layers=1)),
    'crosschange': CrossChangeRecipe(autoencoder=PLAIN, augmentations=('flip-width',), steps=3),
    'crosschange, decoder': CrossChangeRecipe(autoencoder=LTAERecipe(network=MLP), augmentations=('flip-width',), steps=3,
                                              train_decoder=True),
    'crosschange, own loss': CrossChangeRecipe(autoencoder=GAME, augmentations=('flip-width',), own_loss=True),
    'crosschange, transfer': CrossChangeRecipe(autoencoder=TRANSFER, augmentations=('reverse-channels',), steps=3)}
LEARNS = {              # the parts that training moves; of all others not a bit may change
    'acai': {'encoder', 'decoder', 'critic'}, 'acai, batch norm': {'encoder', 'decoder', 'critic'},
    'transfer': {'shared', 'specific', 'decoder', 'discriminator'},
    'masked transfer': {'shared', 'specific', 'decoder', 'discriminator', 'painter'},
    'crosschange': {'autoencoder.encoder'}, 'crosschange, decoder': {'autoencoder.encoder', 'autoencoder.decoder'},
    'crosschange, own loss': {'autoencoder.encoder', 'autoencoder.decoder', 'autoencoder.critic'},
    'crosschange, transfer': {'autoencoder.shared', 'autoencoder.specific'}}
DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device'))]
each = pytest.mark.parametrize('name', RECIPES)
everywhere = pytest.mark.parametrize('device', DEVICES)


def images_of(data): return torch.cat([data.a[:], data.b[:]]) if isinstance(data, Domains) else data[:]


def data_for(name):
    "Eight images: digits, or two domains of four."
    few = digits()[0].subset([10, 500, 900, 1300, 1700, 2100, 2500, 3500])
    if 'transfer' not in name: return few
    images = np.repeat(few.images, 3, 1)
    images[:4, 0] = 255 - images[:4, 0]
    return Domains(ImageSet(images[:4]), ImageSet(images[4:]))


def codes_of(model, x):
    codes = model.encode(x)
    return codes if isinstance(codes, tuple) else (codes,)


@pytest.fixture(autouse=True)
def one_thread(): torch.set_num_threads(1)


@each
def test_builds_the_same_from_the_same_seed(name):
    one, again, other = (RECIPES[name].build(seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], again[key]) for key in one)
    if 'crosschange' in name: return                            # whose weights come from a trained autoencoder
    assert any(not torch.equal(one[key], other[key]) for key in one)


@each
@everywhere
def test_shapes_and_repeatable_use(name, device):
    model, x = RECIPES[name].build().eval().to(device), images_of(data_for(name))
    for count in (1, 5):
        codes = codes_of(model, x[:count])
        assert all(len(code) == count for code in codes)
        assert model.decode(*codes).shape == x[:count].shape == model.reconstruct(x[:count]).shape
    assert torch.equal(model.reconstruct(x), model.reconstruct(x))
    # no image depends on its neighbours
    assert torch.allclose(model.reconstruct(x)[2:3], model.reconstruct(x[2:3]), atol=1e-5)


@each
@everywhere
def test_one_step_moves_what_learns_and_nothing_else(name, device):
    model = RECIPES[name].build()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    terms = Trainer(model, data_for(name), TRAINING.but(device=device)).step()
    assert terms and all(term.isfinite() and not term.requires_grad for term in terms.values())
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value.cpu(), before[key])}
    wanted = LEARNS.get(name, {'encoder', 'decoder'})
    assert all(key.startswith(tuple(f'{part}.' for part in wanted)) for key in moved), moved
    assert all(any(key.startswith(f'{part}.') for key in moved) for part in wanted), moved
    players = [p for group in model.players().values() for p in group]
    assert len(players) == len(set(players)) and set(players) == {p for p in model.parameters() if p.requires_grad}


@each
@everywhere
def test_overfits_eight_images(name, device):
    model, data = RECIPES[name].build(), data_for(name)
    trainer = Trainer(model, data, TRAINING.but(device=device))
    first = [trainer.step() for _ in range(3)]
    last = [trainer.step() for _ in range(250)][-3:]
    key = ('cross' if name.startswith('crosschange') else 'cross_entropy' if name == 'vae' else 'reconstruction_a'
           if name.endswith('transfer') else 'reconstruction')
    ratio = sum(terms[key] for terms in last) / sum(terms[key] for terms in first)
    bound = {'crosschange': .9, 'crosschange, transfer': .9, 'crosschange, own loss': .9, 'vae': .5, 'denoising': .5,
             'dropout': .5}.get(name, .35)
    assert ratio < bound, f'{key}: {ratio:.3f} of the start'
    assert torch.isfinite(model.eval().reconstruct(images_of(data))).all()


@each
def test_saved_and_loaded_is_the_same(name, tmp_path):
    model, x = speed_up(RECIPES[name].build(seed=3).eval()), images_of(data_for(name))     # in the forms that `load` gives it
    save_weights(tmp_path/'whole.safetensors', model)
    save_weights(tmp_path/'half.safetensors', model, half=True)
    loaded, half = (load(tmp_path/f'{kind}.safetensors') for kind in ('whole', 'half'))
    assert type(loaded) is type(model) and loaded.recipe == model.recipe and not loaded.training
    assert torch.equal(loaded.reconstruct(x), model.reconstruct(x))
    assert torch.allclose(half.reconstruct(x), model.reconstruct(x), atol=.05)
    assert half.reconstruct(x).dtype == torch.float32
    assert (tmp_path/'half.safetensors').stat().st_size < .6 * (tmp_path/'whole.safetensors').stat().st_size


@each
def test_interpolation_ends_in_reconstructions(name):
    model, x = RECIPES[name].build().eval(), images_of(data_for(name))
    if 'transfer' in name:
        inner = getattr(model, 'autoencoder', model)
        strip = transfer_strips(inner, x[:2], x[4:6], frames=4)[1]
        masked = 'masked' in name                                # paints on the image itself, without what it wears
        ends = inner.paint(inner.remove(x[:2]), *inner.encode(x[:2]))[0] if masked else inner.reconstruct(x[:2])
        assert torch.allclose(strip[[0, -1]], ends, atol=1e-5)
    else:
        frames = interpolate(model, x[:3], x[3:6], frames=4)
        for place, ends in ((0, x[:3]), (-1, x[3:6])):
            assert torch.allclose(frames[:, place], model.reconstruct(ends), atol=1e-5)


@each
@everywhere
def test_stopping_and_going_on_gives_the_same_bits(name, device, tmp_path):
    data, training, build = data_for(name), TRAINING.but(log_every=3, device=device), RECIPES[name].build
    once = Trainer(build(), data, training, data, tmp_path/'once').fit(until=7, progress=False)
    # 4 is no multiple of 3 cross-changed steps
    Trainer(build(), data, training, data, tmp_path/'twice').fit(until=4, progress=False)
    twice = Trainer(build(), data, training, data, tmp_path/'twice').fit(until=7, progress=False)
    assert twice.steps_done == 7
    a, b = once.model.state_dict(), twice.model.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)
    without_time = lambda rows: [{key: value for key, value in row.items() if key != 'seconds'} for row in rows]
    assert len(once.history) == 2 and without_time(once.history) == without_time(twice.history)


@each
def test_compiled_is_the_same(name):
    data, terms = data_for(name), []
    for compiled in (False, True):
        model = RECIPES[name].build()
        trainer = Trainer(model, data, TRAINING)
        if compiled:
            torch._dynamo.reset()
            trainer.module = torch.compile(model, backend='aot_eager')
        terms.append([trainer.step() for _ in range(2)])
    for plain, other in zip(*terms):
        assert all(torch.allclose(plain[key], other[key], rtol=1e-3, atol=1e-5) for key in plain), terms


def distinct_recipes():
    "One preset for each recipe that differs in more than an amount of noise; the cross-changed ones get an autoencoder."
    found = {}
    for name, preset in PRESETS.items():
        recipe = preset.model.but(sigma=.05) if isinstance(preset.model, LTAERecipe) else preset.model
        if isinstance(recipe, CrossChangeRecipe):
            recipe = recipe.but(autoencoder=PRESETS['acai-cifar10-z16' if preset.data == 'cifar10' else 'acai-digits'].model)
        if recipe not in found.values(): found[name] = recipe
    return found


DISTINCT = distinct_recipes()


@pytest.mark.parametrize('name', DISTINCT)
def test_forward_keeps_to_its_device(name, monkeypatch):
    """Every tensor pretends to be on a GPU: one that was left on the CPU, or a number that the loop would
    have to wait for, fails. (Backward needs a driver.)"""
    from torch._subclasses.fake_tensor import FakeTensorMode
    # which augmentation is drawn on the CPU, where numbers are to be had
    monkeypatch.setattr('nonvae.crosschange._draw', lambda count, per_sample: [.3] * (count if per_sample else 1))
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device('cuda:0'):
        model = DISTINCT[name].build().train()
        terms = model(torch.empty(4, *DISTINCT[name].shape, device='cuda:0'))
        wandering = [key for key, tensor in model.state_dict().items() if tensor.device.type != 'cuda']
    assert terms and not wandering
    assert all(term.device.type == 'cuda' and term.ndim == 0 for term in terms.values())


def test_a_tensor_left_on_the_cpu_is_noticed():
    from torch._subclasses.fake_tensor import FakeTensorMode

    class Careless(ACAI):
        def forward(self, x): return {'reconstruction': (self.reconstruct(x) - torch.zeros(len(x), 1, 32, 32, device='cpu')).mean()}

    class Impatient(ACAI):
        def forward(self, x): return {'reconstruction': self.reconstruct(x).mean() * self.reconstruct(x).mean().item()}

    for kind in (Careless, Impatient):
        with FakeTensorMode(allow_non_fake_inputs=True), torch.device('cuda:0'), pytest.raises(Exception):
            GAME.build(kind=kind)(torch.empty(4, 1, 32, 32, device='cuda:0'))
