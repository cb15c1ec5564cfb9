"""Content transfer on drawn faces, three seeds: error of moved and removed glasses as a share of doing nothing.

    python benchmarks/faces.py masked-faces [--seeds 0 1 2] [--threads 1] [--runs runs/faces]
    python benchmarks/faces.py masked-faces --weights      # those that ship

Trains the preset once for each seed (resumable), then measures on the held-out faces that the package reports (seed 1) and
on others that nothing was ever chosen by (seed 3), 200 pairs each. Rows go to benchmarks/results/faces.csv.
"""
import argparse
import csv
import time
from pathlib import Path

import numpy as np
import torch

from nonvae.core import NonvaeError
from nonvae.fast import keep_freed_memory
from nonvae.masked import MaskedTransfer, mask_overlap
from nonvae.presets import find_preset, load
from nonvae.training import Trainer
from nonvae.transfer import counterfactual_scores

RESULTS = Path(__file__).parent/'results'/'faces.csv'


def measured(model, seed):
    "Shares of the error of doing nothing on 200 pairs of one seed, and the overlap of the masks."
    scores = counterfactual_scores(model, 200, seed, model.recipe.shape[1])
    shares = {'eyes': scores['moved_error_eyes'] / scores['moved_error_eyes_if_none'],
              'whole': scores['moved_error'] / scores['moved_error_if_none'],
              'removed_eyes': scores['removed_error_eyes'] / scores['removed_error_eyes_if_kept'],
              'removed_whole': scores['removed_error'] / scores['removed_error_if_kept']}
    if isinstance(model, MaskedTransfer): shares['mask_overlap'] = mask_overlap(model, 200, seed)
    return shares


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('preset')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--runs', default='runs/faces')
    parser.add_argument('--weights', action='store_true', help='measure the weights that ship, and train nothing')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    preset, rows = find_preset(arguments.preset), []
    for seed in ['ships'] if arguments.weights else arguments.seeds:
        start = time.process_time()
        if seed == 'ships': model = load(arguments.preset)
        else:
            chosen = preset.but(training=preset.training.but(seed=seed))
            trainer = Trainer(chosen.build(), chosen.load_data()[0], chosen.training, out=Path(arguments.runs)/f'{arguments.preset}-{seed}')
            model = trainer.fit(progress=False).model
        used = round(time.process_time() - start)
        for faces in (1, 3):
            shares = {name: f'{value:.4f}' for name, value in measured(model, faces).items()}
            rows.append({'preset': arguments.preset, 'seed': seed, 'faces': faces, 'cpu_seconds': used, **shares})
            print(' '.join(f'{name} {value}' for name, value in rows[-1].items()), flush=True)
    names = 'preset', 'seed', 'faces', 'cpu_seconds', 'eyes', 'whole', 'removed_eyes', 'removed_whole', 'mask_overlap'
    with RESULTS.open('a', encoding='utf-8', newline='') as file:
        table = csv.DictWriter(file, names, lineterminator='\n')
        if file.tell() == 0: table.writeheader()
        table.writerows(rows)
    for faces in (1, 3):
        for name in names[4:]:
            values = [float(row[name]) for row in rows if row['faces'] == faces and name in row]
            if values[1:]: print(f'faces {faces}: {name} {np.mean(values):.3f} +- {np.std(values, ddof=1):.3f}')


if __name__ == '__main__':
    try: main()
    except NonvaeError as error: raise SystemExit(f'faces.py: {error}')
