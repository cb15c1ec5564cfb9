"""Trains the weights that ship with the package, and writes them (in half precision) to nonvae/weights. Resumable.

    python benchmarks/weights.py NAME... [--threads 1] [--runs runs/weights]

A name is that of a preset, which is trained as it is, but for the changes below.
"""
import argparse
from pathlib import Path

import torch

from nonvae.core import NonvaeError
from nonvae.fast import keep_freed_memory
from nonvae.presets import find_preset
from nonvae.runs import save_weights
from nonvae.training import Trainer

CHANGES = {'transfer-faces': {'steps': 15_000, 'decay_steps': 15_000}, 'masked-faces': {'steps': 15_000, 'decay_steps': 15_000}}
DATA = {'transfer-faces': 'faces:4000', 'masked-faces': 'faces:4000'}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('names', nargs='+')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--runs', default='runs/weights', help='the folder of the run folders')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    for name in arguments.names:
        preset = find_preset(name)
        preset = preset.but(data=DATA.get(name, preset.data), training=preset.training.but(**CHANGES.get(name, {})))
        train, _ = preset.load_data()
        trainer = Trainer(preset.build(), train, preset.training, out=Path(arguments.runs)/name).fit(progress=False)
        if trainer.interrupted: return
        path = Path(__file__).parents[1]/'nonvae'/'weights'/f'{name}.safetensors'
        save_weights(path, trainer.model, trainer.about(), half=True)
        print(f'{path}: {path.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    try: main()
    except NonvaeError as error: raise SystemExit(f'weights.py: {error}')
