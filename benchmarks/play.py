"""Plays: a training panel trains ACAI on digits while an explorer of the same model
is dragged, for minutes. Does anything pile up?

    python benchmarks/play.py --minutes 10

Prints, minute by minute, the memory of the process and how many widgets and pyplot figures exist, and
how far the memory moved after the first minute. (The browser's clock is replaced by a loop; what the
browser itself keeps is not measured.) Linux only."""
import argparse
import time
from pathlib import Path

import torch
from ipywidgets.widgets.widget import _instances
from matplotlib import pyplot as plt

from nonvae import ACAI, Trainer, Training, digits
from nonvae.widgets import InterpolationExplorer, TrainingPanel

parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
parser.add_argument('--minutes', type=int, default=10)
minutes = parser.parse_args().minutes


def megabytes(): return int(Path('/proc/self/statm').read_text().split()[1]) * 4096 / 1e6


train, held_out = digits()
panel = TrainingPanel(Trainer(ACAI.preset('digits'), train, Training(steps=10**6), held_out))
explorer = InterpolationExplorer(panel.trainer.model, held_out)
panel.clock.toggle.value = True
print(f'{time.strftime("%Y-%m-%d")}; torch {torch.__version__}, {torch.get_num_threads()} thread(s)')
print('minute    steps  memory MB  widgets  figures')
memory, start = [], time.monotonic()
for minute in range(1, minutes + 1):
    while time.monotonic() - start < 60 * minute:
        panel.clock.play.value += 1
        explorer.across.value = (explorer.across.value + 7) % 101
    memory.append(megabytes())
    print(f'{minute:6d} {panel.trainer.steps_done:8,d} {memory[-1]:10.0f} {len(_instances):8d} '
          f'{len(plt.get_fignums()):8d}', flush=True)
print(f'after the first minute the memory moved by {100 * (max(memory) / memory[0] - 1):+.1f} % at most')
