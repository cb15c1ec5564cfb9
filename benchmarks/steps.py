"""Images per second of one full training step: written plainly from the paper, and as nonvae does it.

    python benchmarks/steps.py [--threads 1] [--repeats 9] [--networks lines
    mnist-z16 cifar10-z16 transfer-64 ...] [--device auto]

ACAI (lines, mnist-z16, cifar10-z16), content transfer (transfer-64, transfer-128, with -norm: instance
normalisation) and LTAE (ltae-2, ltae-256) at the papers' sizes, and the cross-changed loss on ACAI's network
for CIFAR-10 (cross-cifar10-z16) and on a small one of depth 4 (cross-small). A step is: batch of 64 images
(LTAE 100), all players' losses, gradients, optimiser. The plain step has a forward and a backward pass for each
player, for transfer also for each domain, for the cross-changed loss also for x and t(x), NCHW, float32, plain
layers and plain Adam; LTAE's reads its batches through a DataLoader of pictures. Each variant lives in a
process of its own, since how freed memory is handled is a setting of the process, and they take their steps in
turn, so that whatever else the machine does falls on all of them. On a CPU, ours keep freed memory, as the
command line does; "plain, memory kept" is the plain step with that, to tell its share of the gain. Printed: median and spread (quartiles) of the time
of a step, the ratio to the plain step, arithmetic per image, GFLOP/s, and the share of the highest rate that
this machine reached in a large convolution or matrix product of the same precision. bfloat16 is measured where
the hardware computes it natively, or with --bfloat16.
"""
import argparse
import platform
import time

import numpy as np
import torch
import torch.multiprocessing as mp
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms.functional import to_tensor

from nonvae.core import native_bfloat16, pick_device
from nonvae.crosschange import AUGMENTATIONS, CrossChange
from nonvae.data import Domains, ImageSet
from nonvae.fast import keep_freed_memory
from nonvae.interpolation import lerp
from nonvae.presets import PRESETS
from nonvae.recipes import ACAIRecipe, AutoencoderRecipe, ConvNet, LTAERecipe, MLPNet, TransferNet, TransferRecipe
from nonvae.training import Trainer

TRANSFER = {'transfer-64': TransferNet(image_size=64), 'transfer-128': TransferNet(),
            'transfer-64-norm': TransferNet(image_size=64, scales=5, norm='all'),
            'transfer-128-norm': TransferNet(norm='all')}
LINEAR = {'ltae-2': MLPNet(), 'ltae-256': MLPNet(latent_size=256)}
CROSSED = {'cross-small': ConvNet(channels=3, depth=4), 'cross-cifar10-z16': PRESETS['acai-cifar10-z16'].model.network}
PLAYED = {name: PRESETS[f'acai-{name}'].model.network for name in ('lines', 'mnist-z16', 'cifar10-z16')}


def batch_of(name): return 100 if name in LINEAR else 64


class PlainACAI:
    "The training step of Berthelot et al. 2018 as one would write it down from the paper."
    def __init__(self, network, batches, device):
        self.encoder, self.decoder, self.critic = (network.encoder().to(device), network.decoder().to(device),
                                                   network.critic().to(device))
        self.autoencoder_optimizer = torch.optim.Adam([*self.encoder.parameters(), *self.decoder.parameters()], 1e-4)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), 1e-4)
        self.batches, self.steps_done = batches, 0

    def step(self):
        x = self.batches[self.steps_done]
        alpha = .5 * torch.rand(len(x), device=x.device)
        z = self.encoder(x)
        x_mix = self.decoder(lerp(z.flip(0), z, alpha))
        loss = (self.decoder(z) - x).square().mean() + .5 * self.critic(x_mix).square().mean()
        self.autoencoder_optimizer.zero_grad()
        loss.backward()
        z = self.encoder(x)
        x_hat, x_mix = self.decoder(z).detach(), self.decoder(lerp(z.flip(0), z, alpha)).detach()
        critic_loss = (self.critic(x_mix) - alpha).square().mean() + self.critic(lerp(x_hat, x, .2)).square().mean()
        self.critic_optimizer.zero_grad()
        critic_loss.backward()
        self.autoencoder_optimizer.step()
        self.critic_optimizer.step()
        self.steps_done += 1
        return loss.item(), critic_loss.item()


class PlainTransfer:
    "The training step of Press et al. 2019 as one would write it down from the paper."
    def __init__(self, network, batches, device):
        for name, part in network.networks().items(): setattr(self, name, part.to(device))
        parameters = [p for part in (self.shared, self.specific, self.decoder) for p in part.parameters()]
        self.autoencoder_optimizer = torch.optim.Adam(parameters, 2e-4, (.5, .999))
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), 2e-4, (.5, .999))
        self.batches, self.steps_done = batches, 0

    def judge(self, shared, truth):
        logits = self.discriminator(shared)
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth))

    def step(self):
        a, b = self.batches[self.steps_done].chunk(2)
        shared_a, shared_b, specific = self.shared(a), self.shared(b), self.specific(a)
        loss = (self.decoder(shared_a, specific) - a).square().mean()
        loss = loss + (self.decoder(shared_b, torch.zeros_like(specific)) - b).square().mean()
        loss = loss + .001 * (self.judge(shared_a, 0.) + self.judge(shared_b, 0.))
        self.autoencoder_optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([p for group in self.autoencoder_optimizer.param_groups for p in group['params']], 5.)
        self.autoencoder_optimizer.step()
        verdict = self.judge(self.shared(a), 1.) + self.judge(self.shared(b), 0.)
        self.discriminator_optimizer.zero_grad()
        verdict.backward()
        nn.utils.clip_grad_norm_(self.discriminator.parameters(), 5.)
        self.discriminator_optimizer.step()
        self.steps_done += 1
        return loss.item(), verdict.item()


class PlainLTAE:
    """The training step of LTAE-S as one would write it down: Softplus layers, and a
    DataLoader of pictures that become tensors one by one."""
    def __init__(self, network, data, device):
        def layers(sizes):
            return [layer for i, o in zip(sizes, sizes[1:]) for layer in (nn.Linear(i, o), nn.Softplus())][:-1]
        h, pixels = network.latent_size, network.image_size**2
        self.encoder = nn.Sequential(nn.Flatten(), *layers([pixels, 500, 500, h])).to(device)
        self.decoder = nn.Sequential(*layers([h, 500, 500, pixels]), nn.Sigmoid()).to(device)
        self.alpha, self.beta = (nn.Parameter(torch.randn(1, h, device=device)) for _ in range(2))
        self.optimizer = torch.optim.Adam([*self.encoder.parameters(), *self.decoder.parameters(), self.alpha,
                                           self.beta], 1e-3)
        self.loader, self.device = DataLoader(Pictures(data), 100, shuffle=True, drop_last=True), device
        self.batches = iter(self.loader)

    def step(self):
        try: x = next(self.batches).to(self.device)
        except StopIteration:
            self.batches = iter(self.loader)
            x = next(self.batches).to(self.device)
        z = self.encoder(x)
        u = self.alpha * (z + self.beta)
        x_hat = self.decoder(u + .05 * torch.randn_like(u))
        loss = (x_hat - x.flatten(1)).square().mean() + ((z - z.mean(0)) / z.std(0) - u).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Pictures(Dataset):
    "An ImageSet as torchvision's data sets give it: one picture at a time, made a tensor by a transform."
    def __init__(self, data): self.data = data
    def __len__(self): return len(self.data)
    def __getitem__(self, i): return to_tensor(Image.fromarray(self.data.images[i, 0]))


class PlainCrossChange:
    "A step of the cross-changed loss as one would write it down: x and t(x) apart, only the encoder's weights move."
    def __init__(self, network, batches, device):
        self.encoder, self.decoder = network.encoder().to(device), network.decoder().to(device)
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), 1e-4)
        self.batches, self.steps_done = batches, 0

    def step(self):
        x = self.batches[self.steps_done // 7]
        x_aug = AUGMENTATIONS['flip-width'](x)
        loss = (self.decoder(self.encoder(x)) - x_aug).square().mean()
        loss = loss + (self.decoder(self.encoder(x_aug)) - x).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.steps_done += 1
        return loss.item()


def seconds(step, device):
    if device.type == 'cuda': torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    if device.type == 'cuda': torch.cuda.synchronize()
    return time.perf_counter() - start


def peak(dtype, device):
    "The highest rate in FLOP/s of a large convolution or matrix product in `dtype`."
    x = torch.randn(16, 256, 32, 32, dtype=dtype, device=device).to(memory_format=torch.channels_last)
    conv = nn.Conv2d(256, 256, 3, padding=1).to(device, dtype).to(memory_format=torch.channels_last)
    a = torch.randn(2048, 2048, dtype=dtype, device=device)
    with torch.no_grad():
        convolution = min(seconds(lambda: conv(x), device) for _ in range(5))
        product = min(seconds(lambda: a @ a, device) for _ in range(5))
    return max(2 * 16 * 32 * 32 * 256 * 256 * 9 / convolution, 2 * 2048**3 / product)


def worker(pipe, name, variant, device, threads):
    "Makes a variant, sends the arithmetic of one step, then for every True received the seconds of a step."
    torch.set_num_threads(threads)
    device = torch.device(device)
    network = {**TRANSFER, **LINEAR, **CROSSED, **PLAYED}[name]
    batch = batch_of(name)
    pixels = np.random.default_rng(0).integers(0, 256, (4 * batch, *network.shape), dtype=np.uint8)
    data = Domains(ImageSet(pixels), ImageSet(pixels)) if name in TRANSFER else ImageSet(pixels)
    if variant != 'plain' and device.type == 'cpu': keep_freed_memory()
    if variant.startswith('plain'):
        kind = (PlainTransfer if name in TRANSFER else PlainLTAE if name in LINEAR else PlainCrossChange
                if name in CROSSED else PlainACAI)
        trainer = kind(network, data if name in LINEAR else data.batches(batch, device=device), device)
    else:
        if name in TRANSFER: preset, model = PRESETS['transfer-celeba'], TransferRecipe(network=network).build()
        elif name in LINEAR: preset, model = PRESETS['ltae-s-2'], LTAERecipe(network=network).build()
        elif name in CROSSED:
            preset = PRESETS['crosschange']
            model = CrossChange(AutoencoderRecipe(network=network).build(), ['flip-width'])
        else: preset, model = PRESETS[f'acai-{name}'], ACAIRecipe(network=network).build()
        trainer = Trainer(model, data, preset.training.but(batch_size=batch, precision=variant.split()[1], device=str(device),
                                                           compile=variant.endswith('compiled')))
    with FlopCounterMode(display=False) as counter: trainer.step()
    trainer.step()
    pipe.send(counter.get_total_flops())
    while pipe.recv(): pipe.send(seconds(trainer.step, device))


def processor():
    if platform.system() == 'Linux':
        for line in open('/proc/cpuinfo', encoding='utf-8'):
            if line.startswith('model name'): return line.split(':')[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--repeats', type=int, default=9)
    parser.add_argument('--networks', nargs='+',
                        default=[*PLAYED, *TRANSFER, *LINEAR, *CROSSED])
    parser.add_argument('--device', default='auto')
    parser.add_argument('--bfloat16', action='store_true', help='measure bfloat16 also where it is emulated')
    parser.add_argument('--compile', action='store_true', help='measure each of ours with torch.compile, too')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    precisions = ['float32'] + ['bfloat16'] * (native_bfloat16(device) or arguments.bfloat16)
    peaks = {name: peak(getattr(torch, name), device) for name in precisions}
    where = (torch.cuda.get_device_name(device) if device.type == 'cuda'
             else f'{processor()}, {arguments.threads} thread(s)')
    print(f'{where}; torch {torch.__version__}; {time.strftime("%Y-%m-%d")}; {arguments.repeats} repeats, interleaved')
    print('highest rate reached: ' + ', '.join(f'{name} {rate / 1e9:.0f} GFLOP/s' for name, rate in peaks.items()))
    if 'bfloat16' not in precisions: print('bfloat16 is not measured: this processor does not compute it natively')

    variants = ['plain', *(['plain, memory kept'] if device.type == 'cpu' else []),
                *(f'nonvae {precision}' for precision in precisions),
                *(f'nonvae {precision} compiled' for precision in precisions if arguments.compile)]
    print(f'\n{"network":18s} {"step":24s} {"ms":>8s} {"quartiles":>15s} {"images/s":>9s} {"ratio":>6s} '
          f'{"MFLOP/image":>12s} {"GFLOP/s":>8s} {"of peak":>8s}')
    for name in arguments.networks:
        workers, flops = {}, {}
        for variant in variants:
            here, there = mp.Pipe()
            mp.Process(target=worker, args=(there, name, variant, str(device), arguments.threads), daemon=True).start()
            workers[variant], flops[variant] = here, here.recv() / batch_of(name)
        times = {variant: [] for variant in variants}
        for _ in range(arguments.repeats):
            for variant, pipe in workers.items():
                pipe.send(True)
                times[variant].append(pipe.recv())
        for pipe in workers.values(): pipe.send(False)
        for variant in variants:
            low, median, high = np.percentile(times[variant], [25, 50, 75])
            ratio = np.median(np.array(times['plain']) / np.array(times[variant]))
            rate = flops[variant] * batch_of(name) / median
            share = rate / peaks[variant.split()[1] if variant.startswith('nonvae') else 'float32']
            print(f'{name:18s} {variant:24s} {1e3 * median:8.1f} {1e3 * low:7.1f}-{1e3 * high:<7.1f} '
                  f'{batch_of(name) / median:9.0f} {ratio:6.2f} '
                  f'{flops[variant] / 1e6:12.0f} {rate / 1e9:8.0f} {share:8.0%}', flush=True)


if __name__ == '__main__':
    mp.set_start_method('spawn')
    main()
