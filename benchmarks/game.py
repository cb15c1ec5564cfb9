"""A whole game, from the first step to the last: trains ACAI on digits and records,
as it goes, both players' losses on held-out digits and what the critic answers.

    python benchmarks/game.py [--seed 0] [--lambda_ 0.5] [--record results.csv]

A row holds the means over 200 held-out pairs: the reconstruction error; the critic's loss and the
regulariser, for weights from 0 to 1/2; the critic's answers to reconstructions (`unmixed`), to even
mixtures (`mixed`) and to even cross-fades of the same pairs (`fades`); and the share of the middles
that are ghosts. The correlation is that of the critic's answers with the true weights. With --lambda_ 0
the autoencoder does not play, and the critic looks on. About two minutes of one core."""
import argparse
import csv
from pathlib import Path

import numpy as np
import torch

from nonvae.core import NonvaeError
from nonvae.fast import keep_freed_memory
from nonvae.interpolation import lerp
from nonvae.presets import find_preset
from nonvae.training import Trainer

STEPS = [0, 10, 25, *range(50, 1801, 50)]
PAIRS = 200


def grey(x):
    "The share of each image's ink that is grey."
    ink = x.flatten(1) > -.5
    return (ink & (x.flatten(1) < .5)).sum(1) / ink.sum(1).clamp(min=1)


@torch.no_grad()
def answers(model, x, others):
    "What the critic makes of pairs of held-out images."
    model.eval()
    alpha = (torch.arange(PAIRS) + .5) / (2 * PAIRS)
    z, z_others = model.encode(x), model.encode(others)
    a, b = model.decode(z), model.decode(z_others)
    middle = model.decode(lerp(z_others, z, .5))
    guess = model.critic(model.decode(lerp(z_others, z, alpha)))
    unmixed = model.critic(lerp(a, x, model.gamma))
    found = {
        'reconstruction': (a - x).square().mean(), 'critic': (guess - alpha).square().mean() + unmixed.square().mean(),
        'regulariser': guess.square().mean(), 'unmixed': model.critic(a).mean(), 'mixed': model.critic(middle).mean(),
        'fades': model.critic((a + b) / 2).mean(), 'correlation': torch.corrcoef(torch.stack([guess, alpha]))[0, 1],
        'ghosts': (grey(middle) > (grey(a) + grey(b)) / 2 + .1).float().mean()}
    return {name: f'{value.item():.5f}' for name, value in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--lambda_', type=float, default=.5, help='how much the game counts')
    parser.add_argument('--record', default=None, help='a CSV file to append the rows to')
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    preset = find_preset('acai-digits')
    recipe, training = preset.model.but(lambda_=arguments.lambda_), preset.training.but(seed=arguments.seed)
    train, held_out = preset.load_data()
    order = np.random.default_rng(0).permutation(len(held_out))
    x, others = held_out[order[:PAIRS]], held_out[order[500:500 + PAIRS]]
    trainer = Trainer(recipe.build(arguments.seed), train, training)
    for step in STEPS:
        if step: trainer.fit(until=step, progress=False)
        row = {'lambda': arguments.lambda_, 'seed': arguments.seed, 'step': step,
               **answers(trainer.model, x, others)}
        print(*row.values(), flush=True)
        if not arguments.record: continue
        with open(Path(arguments.record), 'a', encoding='utf-8', newline='') as file:
            table = csv.DictWriter(file, row.keys(), lineterminator='\n')
            if file.tell() == 0: table.writeheader()
            table.writerow(row)


if __name__ == '__main__':
    try: main()
    except NonvaeError as error: raise SystemExit(f'game.py: {error}')
