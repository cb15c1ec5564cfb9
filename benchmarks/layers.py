"""Processor time of the 3x3 convolutions with few channels, forward and backward, written in other ways.

    python benchmarks/layers.py [--repeats 40]

ACAI's first layer reads 2 channels (an image and the ones that the folded 1x1 convolution adds) or 4, its last writes 1 or 3;
vectors of 16 or 32 numbers hold more. Tried: channels filled up with zeros to 8 and to 16; and the layer as one matrix
product, before which the nine neighbours are gathered (first layer) or after which nine shifted results are added (last
layer). All in turn, one thread; printed: median in ms, and the ratio to the plain layer.
"""
import argparse
import time

import numpy as np
import torch
from torch.nn import functional as F

from nonvae.core import native_bfloat16
from nonvae.fast import keep_freed_memory


def plain(x, w, b): return F.conv2d(x, w, b, padding=1)


def filled(channels):
    def layer(x, w, b):
        outputs, inputs = w.shape[:2]
        if outputs < channels: w, b = F.pad(w, (0, 0, 0, 0, 0, 0, 0, channels - outputs)), F.pad(b, (0, channels - outputs))
        if inputs < channels: x, w = (F.pad(part, (0, 0, 0, 0, 0, channels - inputs)) for part in (x, w))
        return F.conv2d(x, w, b, padding=1)[:, :outputs]
    return layer


def gathered(x, w, b):
    n, inputs, height, width = x.shape
    padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    near = torch.cat([padded[:, i:i + height, j:j + width] for i in range(3) for j in range(3)], -1)
    return (near.reshape(-1, 9 * inputs) @ w.permute(2, 3, 1, 0).reshape(9 * inputs, -1) + b).view(n, height, width, -1).permute(0, 3, 1, 2)


def added(x, w, b):
    n, inputs, height, width = x.shape
    parts = x.permute(0, 2, 3, 1).reshape(-1, inputs) @ w.permute(1, 2, 3, 0).reshape(inputs, -1)
    parts = F.pad(parts.view(n, height, width, 9 * len(w)), (0, 0, 1, 1, 1, 1)).unflatten(3, (3, 3, len(w)))
    moved = [parts[:, i:i + height, j:j + width, i, j] for i in range(3) for j in range(3)]
    return (sum(moved) + b).permute(0, 3, 1, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--repeats', type=int, default=40)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    keep_freed_memory()
    torch.manual_seed(0)
    for dtype in [torch.float32] + [torch.bfloat16] * native_bfloat16(torch.device('cpu')):
        for images, inputs, outputs in ((16, 2, 16), (16, 4, 16), (32, 16, 1), (32, 16, 3)):
            def random(*shape): return torch.randn(shape).to(dtype)
            x, w = (t.to(memory_format=torch.channels_last).requires_grad_() for t in (random(images, inputs, 32, 32),
                                                                                         random(outputs, inputs, 3, 3)))
            b, gradient = random(outputs).requires_grad_(), random(images, outputs, 32, 32).to(memory_format=torch.channels_last)
            ways = {'plain': plain, 'filled to 8': filled(8), 'filled to 16': filled(16),
                    'matrix product': gathered if inputs < outputs else added}
            times = {name: [] for name in ways}
            for name, way in ways.items():
                assert (way(x, w, b) - plain(x, w, b)).abs().max() < (1e-3 if dtype == torch.float32 else 1), name
            for _ in range(repeats + 3):
                for name, way in ways.items():
                    start = time.process_time()
                    torch.autograd.grad(way(x, w, b), (x, w, b), gradient)
                    times[name].append(time.process_time() - start)
            medians = {name: np.median(some[3:]) for name, some in times.items()}
            print(f'{str(dtype)[6:]:9s} {inputs:2d} to {outputs:2d} channels: ' + ', '.join(
                f'{name} {1e3 * median:.2f} ms ({median / medians["plain"]:.2f})' for name, median in medians.items()))


if __name__ == '__main__': main()
