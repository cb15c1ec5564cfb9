"""Images per second of packing CelebA-sized JPEGs into one array, and of reading batches from it.

    python benchmarks/packing.py [--images 20000] [--size 64] [--repeats 5]

Draws 500 faces as JPEGs of 178x218 pixels and links them until there are as many files as asked for, so they
are read from the page cache. Packing is what `nonvae preprocess --pack` does: decode, crop, resize, write. Its
rate is per second of processor time, so per core; "wall" is with all cores. Memory is the peak of the whole
process, torch included. Batches of 64 are read from the packed array and, for comparison, decoded from the
files each time. Medians of several repeats in turn.
"""
import argparse
import contextlib
import io
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from steps import processor

from nonvae.celeba import load_domains, preprocess
from nonvae.faces import write_celeba
from nonvae.packing import decode_pictures


def timed(work):
    "Wall and processor seconds of `work()`."
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--images', type=int, default=20_000)
    parser.add_argument('--size', type=int, default=64)
    parser.add_argument('--repeats', type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        os.chdir(folder)
        write_celeba('faces', 500)
        drawn = sorted(Path('faces/img_align_celeba').iterdir())
        for name in ('trainA', 'trainB', 'testA', 'testB'):
            os.makedirs(f'root/{name}')
            for i in range(arguments.images // 4): os.link(drawn[i % 500], f'root/{name}/{i:06d}.jpg')
        kilobytes = np.mean([file.stat().st_size for file in drawn]) / 1000
        rates = {'packing, per core': [], 'packing, wall': [], 'batches, packed': [], 'batches, from JPEG': []}
        for repeat in range(arguments.repeats):
            with contextlib.redirect_stdout(io.StringIO()):
                wall, cpu = timed(lambda: preprocess('root', f'lists{repeat}', folders=True, pack=arguments.size))
            rates['packing, wall'].append(arguments.images / wall)
            rates['packing, per core'].append(arguments.images / cpu)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            batches = load_domains(f'lists{repeat}', arguments.size)[0].batches(64)
            rates['batches, packed'].append(64 * 200 / timed(lambda: [len(batches[s]) for s in range(200)])[0])
            files = [str(file) for file in drawn]
            from_jpeg = timed(lambda: list(decode_pictures(files, arguments.size, 178)))[0]
            rates['batches, from JPEG'].append(len(files) / from_jpeg)
    print(f'{processor()}; torch {torch.__version__}; {time.strftime("%Y-%m-%d")}; {arguments.images:,} JPEGs of '
          f'{kilobytes:.1f} kB to {arguments.size}x{arguments.size}; {arguments.repeats} repeats')
    for name, values in rates.items():
        low, median, high = np.percentile(values, [25, 50, 75])
        print(f'{name:20s}{median:12,.0f} images/s   quartiles {low:,.0f} to {high:,.0f}')
    print(f'peak memory until the last packing {memory:,.0f} MB')


if __name__ == '__main__': main()
