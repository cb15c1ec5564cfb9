"""Checkpoints of the authors' code of content transfer, and of the student project: networks written as theirs, saved
as theirs, read as ours."""
import pytest
import torch
from torch import nn

from nonvae.core import NonvaeError
from nonvae.presets import from_reference
from nonvae.recipes import TransferNet

PREFIX = {'e1': 'full', 'e2': 'full', 'decoder': 'main', 'disc': 'classify'}


def encoder(channels, norm):
    layers = []
    for inputs, outputs in zip(channels, channels[1:]):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), *[nn.InstanceNorm2d(outputs)] * norm, nn.LeakyReLU(.2)]
    return nn.Sequential(*layers)


def decoder(channels, norm):
    layers = []
    for inputs, outputs in zip(channels, channels[1:-1]):
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), *[nn.InstanceNorm2d(outputs)] * norm, nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(*channels[-2:], 4, 2, 1), nn.Tanh())


def save_as_theirs(path, size, sep, norm):
    "Their networks, with weights of their own, after they were saved."
    torch.manual_seed(0)
    shared, numbers = 512 - sep, (512 - sep) * (size // 64)**2
    nets = {'e1': encoder([3, 32, 64, 128, 256, shared, shared], norm),
            'e2': encoder([3, 32, 64, 128, 128, 128, sep], norm),
            'decoder': decoder([512, 512, 256, 128, 64, 32, 3], norm),
            'disc': nn.Sequential(nn.Linear(numbers, 512), nn.LeakyReLU(.2), nn.Linear(512, 1), nn.Sigmoid())}
    optimizer = torch.optim.Adam(nets['disc'].parameters()).state_dict()
    saved = {name: {f'{PREFIX[name]}.{key}': value for key, value in net.state_dict().items()}
             for name, net in nets.items()}
    torch.save(saved | {'ae_opt': optimizer, 'disc_opt': optimizer, 'iters': 346_100}, path)
    return nets


@pytest.mark.parametrize('size, sep, norm', [(64, 25, False), (128, 50, False), (128, 25, True)])
@torch.no_grad()
def test_computes_what_their_code_computes(tmp_path, size, sep, norm):
    theirs = save_as_theirs(tmp_path/'checkpoint', size, sep, norm)
    ours = from_reference(tmp_path/'checkpoint')
    assert ours.recipe.network == TransferNet(image_size=size, sep=sep, norm='all' if norm else 'none')
    content, attribute = torch.rand(2, 2, 3, size, size) * 2 - 1
    shared, specific = theirs['e1'](content), theirs['e2'](attribute)
    # they flatten codes, and set one behind the other
    code = torch.cat([shared.flatten(1), specific.flatten(1)], 1).view(2, 512, size // 64, size // 64)
    assert torch.allclose(ours.transfer(content, attribute), theirs['decoder'](code), atol=1e-6)
    verdict = ours.discriminator(ours.encode(content)[0]).sigmoid()
    assert torch.allclose(verdict, theirs['disc'](shared.flatten(1))[:, 0], atol=1e-6)


def test_another_file_is_refused(tmp_path):
    path = tmp_path/'checkpoint'
    with pytest.raises(NonvaeError, match='There is no file'): from_reference(path)
    save_as_theirs(path, 64, 25, False)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(NonvaeError, match='is damaged, or no checkpoint'): from_reference(path)
    torch.save({'weights': torch.zeros(3)}, path)
    with pytest.raises(NonvaeError, match='is damaged, or no checkpoint'): from_reference(path)
