"""Images per second of one full ACAI training step: written plainly from the paper, and as nonvae does it.

    python benchmarks/steps.py [--threads 1] [--repeats 9] [--networks lines mnist-z16 cifar10-z16] [--device auto]

A step is: batch, both players' losses, gradients, optimiser. The plain step has a separate forward pass for each player,
NCHW, float32, plain layers and plain Adam. All variants run in one process, in turn, so that whatever else the machine does
falls on all of them. Printed: median and spread (quartiles) of the time of a step, the ratio to the plain step, arithmetic per
image, GFLOP/s, and the share of the highest rate that this machine reached in a large convolution or matrix product of the
same precision. bfloat16 is measured where the hardware computes it natively, or with --bfloat16.
"""
import argparse
import platform
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import nonvae.training
from nonvae.acai import ACAI
from nonvae.core import native_bfloat16, pick_device
from nonvae.datasets import ImageSet
from nonvae.interpolation import lerp
from nonvae.networks import Critic, Decoder, Encoder
from nonvae.training import EXPERIMENTS, Trainer

BATCH = 64


class PlainACAI:
    "The training step of Berthelot et al. 2018 as one would write it down from the paper."
    def __init__(self, network, batches, device):
        self.encoder, self.decoder, self.critic = (kind(network, fast=False).to(device) for kind in (Encoder, Decoder, Critic))
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
        rates = {'convolution': 2 * 16 * 32 * 32 * 256 * 256 * 9 / min(seconds(lambda: conv(x), device) for _ in range(5)),
                 'matrix product': 2 * 2048**3 / min(seconds(lambda: a @ a, device) for _ in range(5))}
    return max(rates.values())


def processor():
    if platform.system() == 'Linux':
        for line in open('/proc/cpuinfo', encoding='utf-8'):
            if line.startswith('model name'): return line.split(':')[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--repeats', type=int, default=9)
    parser.add_argument('--networks', nargs='+', default=['lines', 'mnist-z16', 'cifar10-z16'])
    parser.add_argument('--device', default='auto')
    parser.add_argument('--bfloat16', action='store_true', help='measure bfloat16 also where it is emulated')
    parser.add_argument('--release-memory', action='store_true', help='let the C library give freed memory back, as it does by default')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    if arguments.release_memory: nonvae.training.keep_freed_memory = lambda: False
    precisions = ['float32'] + ['bfloat16'] * (native_bfloat16(device) or arguments.bfloat16)
    peaks = {name: peak(getattr(torch, name), device) for name in precisions}
    where = torch.cuda.get_device_name(device) if device.type == 'cuda' else f'{processor()}, {arguments.threads} thread(s)'
    print(f'{where}; torch {torch.__version__}; {time.strftime("%Y-%m-%d")}; batch {BATCH}; {arguments.repeats} repeats, interleaved; '
          f'freed memory is {"released" if arguments.release_memory or device.type != "cpu" else "kept"}')
    print('highest rate reached: ' + ', '.join(f'{name} {rate / 1e9:.0f} GFLOP/s' for name, rate in peaks.items()))
    if 'bfloat16' not in precisions: print('bfloat16 is not measured: this processor does not compute it natively')

    print(f'\n{"network":12s} {"step":17s} {"ms":>8s} {"quartiles":>15s} {"images/s":>9s} {"ratio":>6s} {"MFLOP/image":>12s} {"GFLOP/s":>8s} {"of peak":>8s}')
    for name in arguments.networks:
        _, network, _ = EXPERIMENTS[name]
        shape = (4 * BATCH, network.colours, network.width, network.width)
        data = ImageSet(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), np.zeros(4 * BATCH, int), [''])
        steps = {'plain': PlainACAI(network, data.batches(BATCH, device=device), device)}
        for precision in precisions:
            steps[f'nonvae {precision}'] = Trainer(ACAI.preset(name, batch_size=BATCH, precision=precision, device=str(device)), data)
        flops = {}
        for variant, trainer in steps.items():
            with FlopCounterMode(display=False) as counter: trainer.step()
            flops[variant] = counter.get_total_flops() / BATCH
        times = {variant: [] for variant in steps}
        for _ in range(arguments.repeats):
            for variant, trainer in steps.items(): times[variant].append(seconds(trainer.step, device))
        for variant in steps:
            low, median, high = np.percentile(times[variant], [25, 50, 75])
            ratio = np.median(np.array(times['plain']) / np.array(times[variant]))
            rate = flops[variant] * BATCH / median
            share = rate / peaks[variant.split()[-1] if ' ' in variant else 'float32']
            print(f'{name:12s} {variant:17s} {1e3 * median:8.1f} {1e3 * low:7.1f}-{1e3 * high:<7.1f} {BATCH / median:9.0f} {ratio:6.2f} '
                  f'{flops[variant] / 1e6:12.0f} {rate / 1e9:8.0f} {share:8.0%}', flush=True)


if __name__ == '__main__': main()
