"""The engine against torch in Node.js, layer by layer; what it refuses; and that JavaScript is what its comments say."""
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn
from torch.nn import functional as F

from nonvae.autoencoder import Autoencoder
from nonvae.core import NonvaeError, seeded
from nonvae.fast import speed_up
from nonvae.page.program import Packed, as_bytes, pack, run_in_node, trace
from nonvae.presets import find_preset

needs_node = pytest.mark.skipif(shutil.which('node') is None, reason='Node.js is not here')


class Own(nn.Module):
    "Arithmetic of one's own."
    def __init__(self):
        super().__init__()
        self.alpha, self.beta = nn.Parameter(torch.rand(4, 1, 1)), nn.Parameter(torch.rand(4, 8, 8))
        self.first = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        y = F.relu(self.first(x)) * self.alpha + self.beta
        low, high = torch.chunk(torch.cat([x / 2, 1 - y], 1), 2, 1)
        return (low - 3) * high + torch.sigmoid(x).tanh()


def sequential(*layers): return nn.Sequential(*layers)


NETWORKS = {
    'convolution': nn.Conv2d(4, 5, 3, padding=1), 'a single output': nn.Conv2d(4, 1, 3, padding=1), 'no bias': nn.Conv2d(4, 6, 1, bias=False),
    'stride': nn.Conv2d(4, 5, 4, 2, 1), 'rectangle': nn.Conv2d(4, 5, (3, 5), padding=1), 'dilation': nn.Conv2d(4, 3, 3, padding=2, dilation=2),
    'odd width': sequential(nn.Conv2d(4, 3, 4), nn.Conv2d(3, 7, 2)), 'transposed': nn.ConvTranspose2d(4, 5, 4, 2, 1),
    'transposed, no overlap': nn.ConvTranspose2d(4, 5, 4, 4), 'transposed, odd': nn.ConvTranspose2d(4, 5, 3, 2, 1), 'transposed, stride 1': nn.ConvTranspose2d(4, 2, 3),
    'upsampling': sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 5, 3, padding=1)), 'upsampling by 3': nn.Upsample(scale_factor=3),
    'upsampling, wide kernel': sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 5, 5, padding=2)), 'average': nn.AvgPool2d(2), 'largest': nn.MaxPool2d(3, 2, 1),
    'batch norm': sequential(nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6)), 'instance norm': nn.InstanceNorm2d(4), 'instance norm, learned': nn.InstanceNorm2d(4, affine=True),
    'instance norm, remembered': nn.InstanceNorm2d(4, track_running_stats=True), 'softplus': nn.Softplus(), 'leaky': nn.LeakyReLU(.2), 'relu': nn.ReLU(), 'elu': nn.ELU(.7),
    'silu': nn.SiLU(), 'sigmoid': nn.Sigmoid(), 'tanh': nn.Tanh(), 'dropout': sequential(nn.Dropout(), nn.Dropout2d(), nn.Identity()),
    'linear': sequential(nn.Flatten(), nn.Linear(256, 7)), 'and back': sequential(nn.Flatten(), nn.Linear(256, 48), nn.Unflatten(1, (3, 4, 4)), nn.Conv2d(3, 2, 3)), 'own': Own()}


def as_packed(network, *inputs, precision='float32'):
    weights, exact = [], []
    program, _ = trace(network, *(x[None] for x in inputs), weights=weights, exact=exact)
    numbers, exactly = (torch.cat(some).numpy() if some else np.zeros(0, 'f4') for some in (weights, exact))
    return Packed({'precision': precision, 'exact': len(exactly), 'networks': {'it': program}}, as_bytes(numbers, precision) + exactly.tobytes())


@needs_node
@pytest.mark.parametrize('name', NETWORKS)
def test_layer(name):
    with seeded(0):
        network, x = NETWORKS[name], torch.randn(4, 8, 8)
        for layer in network.modules():                             # statistics that are not 0 and 1
            if getattr(layer, 'running_mean', None) is not None: layer.running_mean.normal_(), layer.running_var.uniform_(.5, 2)
    with torch.no_grad(): expected = network.eval()(x[None])[0].numpy()
    found, = run_in_node(as_packed(network, x), 'it', x)
    assert found.shape == expected.shape and np.abs(found - expected).max() < 1e-5
    half, = run_in_node(as_packed(network, x, precision='float16'), 'it', x)
    assert np.abs(half - expected).max() < 1e-2


@needs_node
@pytest.mark.parametrize('name', ['acai-lines', 'plain-cifar10-z16-bn', 'ltae-m-256', 'vae-2', 'ltae-conv-s-mnist-z16', 'transfer-celeba', 'masked-celeba'])
def test_networks_of_presets(name):
    model = find_preset(name).model.build(0).eval()
    packed, x = pack(speed_up(model), 'float32'), torch.rand(1, *model.image_shape) * 2 - 1
    with torch.no_grad(): codes = model.encode(x)
    codes = codes if isinstance(codes, tuple) else (codes,)
    pairs = [([*packed.description['networks']][i], [x], code) for i, code in enumerate(codes)]
    with torch.no_grad():
        pairs.append(('decoder', codes, model.decoder(*codes)))
        if hasattr(model, 'painter'): pairs.append(('painter', codes, model.painter(*codes)))
    for network, inputs, expected in pairs:
        found = run_in_node(packed, network, *(some[0] for some in inputs))
        for ours, torchs in zip(found, expected if isinstance(expected, tuple) else (expected,)):
            assert np.abs(ours - torchs[0].numpy()).max() < 1e-5 * max(1, float(torchs.abs().max())), network


class Of(nn.Module):
    "A function as a network."
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x): return self.function(x)


class Branch(nn.Module):
    def forward(self, x): return x if x.sum() > 0 else -x


@pytest.mark.parametrize('network, sentence', [
    (nn.GELU(), 'no layer GELU'), (nn.Conv2d(4, 4, 3, groups=2), 'without groups'), (nn.Upsample(scale_factor=2, mode='bilinear'), 'nearest upsampling'),
    (nn.AvgPool2d(2, padding=1), 'without dilation'), (nn.Softplus(beta=2), 'beta = 1'), (Branch(), 'cannot follow Branch'), (nn.BatchNorm2d(4, track_running_stats=False), 'keeps its statistics'),
    (nn.Conv2d(4, 4, 3, padding='same'), 'padding'), (nn.Conv2d(4, 4, 3, stride=(1, 2)), 'stride'), (nn.Linear(8, 3), 'flatten the image'), (nn.BatchNorm1d(4), 'cannot follow BatchNorm1d'), (nn.Flatten(0), 'nothing else')])
def test_what_the_page_does_not_know_is_a_sentence(network, sentence):
    with pytest.raises(NonvaeError, match=sentence): as_packed(network, torch.zeros(4, 8, 8))


@pytest.mark.parametrize('function', [
    lambda x: torch.add(x, x, alpha=2), lambda x: torch.cat([x, x], 2), lambda x: torch.cat([x, x]), lambda x: torch.chunk(x, 2, 2)[0], lambda x: F.softplus(x, 2), lambda x: F.dropout(x),
    lambda x: F.dropout(x, .5, True), lambda x: x.view(4, 64), lambda x: x.view(1, 2, 16, 8), lambda x: x.flatten(2), lambda x: x[:, :2], lambda x: x.mean(1), lambda x: torch.div(x, 2, rounding_mode='floor'),
    lambda x: 1 / x, lambda x: x - x.tanh(), lambda x: torch.cat([x, torch.ones(1, 4, 8, 8)], 1), lambda x: x * x[:, :1], lambda x: x.to(torch.int32).float(), lambda x: F.relu(x + 1, inplace=True) + x.relu_(), lambda x: x.clamp(0, 1), lambda x: F.interpolate(x, scale_factor=2), lambda x: F.relu(x).permute(0, 1, 3, 2)])
def test_functions_are_refused_rather_than_misunderstood(function):
    with pytest.raises(NonvaeError, match='The page'): as_packed(Of(function), torch.rand(4, 8, 8))


@needs_node
@pytest.mark.parametrize('function', [
    lambda x: x + x.tanh(), lambda x: 2 - x, lambda x: torch.cat([x, x], 1), lambda x: -x, lambda x: x.view(x.size(0), -1), lambda x: x.view(x.shape[0], -1), lambda x: torch.cat([x, 2 * x], dim=1), lambda x: torch.chunk(x, 2, dim=1)[1], lambda x: F.dropout(x, training=False), lambda x: torch.relu(x) * x,
    lambda x: x.to(torch.float32).contiguous() / 4, lambda x: x.flatten(1).view(-1, 4, 8, 8) * .5, lambda x: F.relu(x, inplace=True) - 1, lambda x: x * torch.arange(8.) + torch.arange(4.).view(4, 1, 1)])
def test_functions_mean_what_they_mean_in_torch(function):
    with seeded(0): x = torch.randn(4, 8, 8)
    expected = function(x.clone()[None])[0].numpy()
    found, = run_in_node(as_packed(Of(function), x.clone()), 'it', x)
    assert np.abs(found - expected).max() < 1e-5


class Squeezed(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool, self.mix = nn.AvgPool2d(8), nn.Conv2d(4, 4, 1)

    def forward(self, x): return x * torch.sigmoid(self.mix(self.pool(x)))


class Residual(nn.Module):
    def __init__(self, inplace):
        super().__init__()
        self.first, self.rest = nn.Conv2d(4, 4, 1), nn.Sequential(nn.ReLU(inplace=inplace), nn.Conv2d(4, 4, 1))

    def forward(self, x):
        h = self.first(x)
        return h + self.rest(h)


def hooked():
    layer = nn.Conv2d(4, 4, 1)
    layer.register_forward_hook(lambda module, given, out: 2 * out)
    return layer


@pytest.mark.parametrize('network, sentence', [(Squeezed(), 'does not stretch'), (Residual(True), 'inplace=True'), (hooked(), 'no hooks'), (nn.Softplus(threshold=1), 'threshold of 15'),
                                               (nn.AvgPool2d(2, divisor_override=3), 'other divisors'), (nn.Upsample(scale_factor=(2, 2.5)), 'whole number')])
def test_what_would_go_wrong_in_silence_is_a_sentence(network, sentence):
    with pytest.raises(NonvaeError, match=sentence): as_packed(network, torch.randn(4, 8, 8))
    if isinstance(network, Residual): as_packed(Residual(False), torch.randn(4, 8, 8))


@needs_node
def test_a_dead_channel_does_not_blind_its_neighbours():
    with seeded(0): network, x = sequential(nn.Conv2d(4, 32, 1), nn.BatchNorm2d(32)).eval(), torch.randn(4, 8, 8)
    network[1].running_var[3] = 0
    with torch.no_grad():
        network[0].weight[3] = 0
        network[0].bias[3] = 0
        expected = network(x[None])[0].numpy()
    found, = run_in_node(as_packed(network, x, precision='int8'), 'it', x)
    assert np.abs(found - expected).max() < .1 < np.abs(expected).max()


class Normed(Autoencoder):
    def encode(self, x):
        z = super().encode(x)
        return z / z.norm()


def test_a_model_that_does_more_than_its_networks_or_has_diverged_is_refused():
    with pytest.raises(NonvaeError, match='encode or decode of its own'): pack(Normed(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), nn.Sequential(nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8)))), image_shape=(1, 8, 8))
    model = Autoencoder.preset('digits')
    model.train()
    pack(model)
    assert model.training
    with torch.no_grad(): model.decoder[0].weight[0, 0, 0, 0] = float('nan')
    with pytest.raises(NonvaeError, match='not finite'): pack(model)


def test_models_without_networks_are_refused():
    with pytest.raises(NonvaeError, match='an encoder and a decoder, but got object'): pack(object())
    with pytest.raises(NonvaeError, match='image_shape'): pack(Autoencoder(nn.Flatten(), nn.Unflatten(1, (1, 8, 8))))
    assert pack(Autoencoder(nn.Flatten(), nn.Unflatten(1, (1, 8, 8))), image_shape=(1, 8, 8)).weights == b''


@needs_node
def test_eight_bits_are_off_by_half_a_step():
    numbers = np.random.default_rng(0).normal(size=100).astype('f4')
    packed = Packed({'precision': 'int8', 'exact': 0, 'networks': {'it': {'inputs': [[1, 1, 100]], 'outputs': [1], 'steps': [
        {'name': 'affine', 'from': [0], 'shape': [1, 1, 100], 'length': 100, 'weight': 0}]}}}, as_bytes(numbers, 'int8'))
    found, = run_in_node(packed, 'it', torch.ones(100))
    steps = np.abs(np.pad(numbers, (0, 28)).reshape(4, 32)).max(1).repeat(32)[:100] / 127
    assert (np.abs(found - numbers) <= .51 * steps).all()


def test_pages_from_the_command_line(run, tmp_path):
    code, out, err = run(sys.executable, '-m', 'nonvae.cli', 'page', 'acai-digits', 'plain-digits', '--lab', '--title', '<b>Digits</b>', '--out', 'new/page.html', cwd=tmp_path)
    assert code == 0 and 'MB, open it in a browser' in out, out + err
    text = (tmp_path/'new'/'page.html').read_text(encoding='utf-8')
    assert len(text) < 2e6 and '&lt;b&gt;Digits' in text and '<b>Digits' not in text and text.count('<div data-explorer="') == 2
    assert not [*tmp_path.glob('new/.*')]


def test_the_scripts_have_the_types_and_the_form_that_they_claim(tmp_path):
    if shutil.which('npm') is None: pytest.skip('npm is not here')
    done = subprocess.run(['npm', 'install', '--silent', '--no-audit', '--no-fund', '--prefix', tmp_path, 'typescript@5.9', 'prettier@3.10'],
                          capture_output=True, text=True, timeout=300)
    if done.returncode: pytest.skip(f'TypeScript and Prettier could not be installed: {done.stderr[-200:]}')
    page = ROOT/'nonvae'/'page'
    for command in ['tsc', '-p', page/'jsconfig.json'], ['prettier', '--check', *page.glob('*.js')]:
        done = subprocess.run([tmp_path/'node_modules'/'.bin'/command[0], *command[1:]], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
