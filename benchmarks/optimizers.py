"""What Muon adds to a training step: the same trainer takes a step with Adam, then one with Muon, in turn.

    python benchmarks/optimizers.py [--threads 1] [--repeats 41] [--presets acai-digits ...]

Batches of 16 (LTAE 100), the precision that the machine chooses. Printed: medians, and median and quartiles of the ratio.
"""
import argparse
import time

import numpy as np
import torch

from nonvae.fast import keep_freed_memory
from nonvae.presets import find_preset
from nonvae.training import Trainer, make_optimizer

PRESETS = 'plain-digits', 'acai-digits', 'acai-lines-cpu', 'transfer-faces', 'masked-faces', 'ltae-s-2'


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--repeats', type=int, default=41)
    parser.add_argument('--presets', nargs='+', default=PRESETS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    for name in arguments.presets:
        preset = find_preset(name)
        size = 100 if preset.model.method == 'ltae' else 16
        settings = preset.training.but(batch_size=size, lr=1e-9, device='cpu')
        trainer = Trainer(preset.build(), preset.load_held_out(), settings)
        optimizers = {kind: make_optimizer(trainer.model, settings.but(optimizer=kind)) for kind in ('adam', 'muon')}
        times = {kind: [] for kind in optimizers}
        for _ in range(arguments.repeats + 3):
            for kind, trainer.optimizer in optimizers.items():
                start = time.perf_counter()
                trainer.step()
                times[kind].append(time.perf_counter() - start)
        adam, muon = (np.array(times[kind][3:]) for kind in optimizers)
        low, median, high = np.percentile(muon / adam, [25, 50, 75])
        print(f'{name:16s} {str(trainer.dtype)[6:]:9s} adam {1e3 * np.median(adam):6.1f} ms  muon {1e3 * np.median(muon):6.1f} ms  '
              f'ratio {median:.2f} ({low:.2f}-{high:.2f})', flush=True)


if __name__ == '__main__': main()
