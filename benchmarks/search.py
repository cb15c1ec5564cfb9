"""A small random search for the recipe of a preset: the same draws of rate, batch, schedule, optimiser for every method.

    python benchmarks/search.py acai-digits [--trials 24] [--share 1] [--refine 4] [--confirm 7 13]

A trial trains on four fifths of the training data and is scored on the fifth that is left (content transfer: on faces of
a third seed, where the truth is drawn). The held-out images that the package reports are not looked at. Every trial sees
as many images as the preset (times --share). Trial 0 is the preset as it is; the others are drawn, each from its own
number, so the search may be stopped and called again, also with more trials, or for some of them on another machine.
`--refine N` adds N trials that change rate, weight and pace of the best one so far a little (numbers from 1000 on).
`--by-hand NUMBER NAME=VALUE...` adds one trial of the preset with these settings changed (numbers from 2000 on).
`--confirm TRIAL...` trains these settings again from two other seeds. Rows go to benchmarks/results/search-NAME.csv.

The best is the one whose first score is smallest; with ACAI, which plays two games at once, the one that comes nearest to
what we want of it (AIMS), counted by the score that is farthest from it.

Tried: optimizer (adam, muon), lr, batch_size, schedule (linear or cosine, to a fiftieth), warmup_steps, betas, clip_norm,
`average` (decay of an average over the weights, which is what is scored; 0: none), and what each method has of its own:
the weight of its game, and `pace`, the other player's rate over the autoencoder's (`opponent_lr`).
"""
import argparse
import csv
import math
import time
from pathlib import Path

import numpy as np
import torch
from faces import measured

from nonvae.core import NonvaeError, seeded
from nonvae.data import Domains
from nonvae.fast import keep_freed_memory
from nonvae.latents import encode_all, linear_probe, random_hausdorff, reconstruction_error
from nonvae.lines_benchmark import lines_benchmark
from nonvae.presets import find_preset, load
from nonvae.realism import Judge, middle_frames
from nonvae.training import Trainer, Training

RESULTS = Path(__file__).parent/'results'
FIRST = 'eyes', 'cross', 'times_the_paper', 'reconstruction_error'             # what a search ranks by, smaller is better
AIMS = {'reconstruction_error': .024, 'middle_distance': .0275, 'middle_confidence': .87}
WEIGHTS = {'acai': ('lambda_', .25, 8.), 'transfer': ('confusion', .0003, .01)}


class Cosine(Training):
    "The rate falls as half a cosine, not as a line."
    def schedule(self, step):
        return Training(warmup_steps=self.warmup_steps).schedule(step) * max(.5 + .5 * math.cos(math.pi * min(1, step / self.decay_steps)), .02)


class Average:
    "A callback that keeps an average of the weights, and at the end puts it in their place."
    def __init__(self, decay): self.decay, self.kept = decay, {}

    def after_step(self, trainer, terms):
        for name, p in trainer.model.named_parameters():
            if name not in self.kept: self.kept[name] = p.detach().clone()
            self.kept[name].lerp_(p.detach(), 1 - min(self.decay, trainer.steps_done / (trainer.steps_done + 10)))

    @torch.no_grad()
    def after_fit(self, trainer):
        for name, p in trainer.model.named_parameters(): p.copy_(self.kept[name])


def drawn(preset, number):
    "The settings of trial `number`, a function of the number alone."
    training, method = preset.training, preset.model.method
    weight = WEIGHTS.get(method)
    ours = getattr(preset.model, weight[0]) if weight else 0.
    if number == 0:
        return {'optimizer': training.optimizer, 'lr': training.lr, 'batch_size': training.batch_size, 'schedule': 'linear',
                'warmup_steps': training.warmup_steps, 'beta1': training.betas[0], 'beta2': training.betas[1], 'average': 0.,
                'weight': ours, 'pace': training.opponent_lr, 'clip_norm': training.clip_norm}
    random = np.random.default_rng([14, number])
    def either(*values): return values[random.integers(len(values))]
    def between(low, high): return float(f'{math.exp(random.uniform(math.log(low), math.log(high))):.2g}')
    optimizer = either('adam', 'muon')
    largest = 64 if method in ('ltae', 'crosschange') else 32
    return {'optimizer': optimizer, 'lr': between(1e-3, 2e-2) if optimizer == 'muon' else between(5e-4, 1e-2),
            'batch_size': either(largest // 4, largest // 2, largest), 'schedule': either('linear', 'cosine'),
            'warmup_steps': either(0, 50, 200), 'beta1': either(.5, .9), 'beta2': either(.99, .999),
            'average': either(0., .99, .998), 'weight': between(*weight[1:]) if weight else 0., 'pace': either(.5, 1., 2.),
            'clip_norm': either(0., .3, 1.)}


def apart(images):
    "Four fifths of an ImageSet, and the fifth that the trials are scored on."
    order = np.random.default_rng(14).permutation(len(images))
    cut = len(images) // 5
    return images.subset(np.sort(order[cut:])), images.subset(np.sort(order[:cut]))


def built(preset, chosen, seed):
    "The model of a trial, with fresh weights."
    changes = {WEIGHTS[preset.model.method][0]: chosen['weight']} if preset.model.method in WEIGHTS else {}
    model = preset.model.but(**changes).build(seed)
    if preset.model.method == 'crosschange': model.autoencoder.load_state_dict(load('acai-digits').state_dict())
    return model


def trained(preset, chosen, seed, share, train):
    "A trial's model, and the seconds of processor time that its training took."
    steps = round(share * preset.training.steps * preset.training.batch_size / chosen['batch_size'])
    kind = Cosine if chosen['schedule'] == 'cosine' else Training
    names = 'optimizer', 'lr', 'batch_size', 'warmup_steps', 'clip_norm'
    settings = kind.from_dict(preset.training.to_dict() | {name: chosen[name] for name in names} | {
        'steps': steps, 'decay_steps': steps, 'betas': (chosen['beta1'], chosen['beta2']), 'opponent_lr': chosen['pace'], 'seed': seed, 'device': 'cpu'})
    model, callbacks = built(preset, chosen, seed), [Average(chosen['average'])] if chosen['average'] else []
    start = time.process_time()
    if Trainer(model, train, settings, callbacks=callbacks).fit(progress=False).interrupted: raise SystemExit(1)
    return model.eval(), time.process_time() - start


def order(rows, method):
    "The rows of seed 0 that ended well, the best first."
    first = next(name for name in rows[0] if name in FIRST)
    def worst(row):
        if method != 'acai' or first != 'reconstruction_error': return float(row[first])
        return max((1 - float(row[name])) / (1 - aim) if 'confidence' in name else float(row[name]) / aim for name, aim in AIMS.items())
    return sorted((row for row in rows if row['seed'] == '0' and row.get(first)), key=worst)


def near(row, number):
    "The settings of a row, or with a number settings with rate, weight and pace a little different."
    names = drawn(find_preset('plain-digits'), 0)
    chosen = {name: type(value)(row[name]) for name, value in names.items()}
    if number is None: return chosen
    random = np.random.default_rng([15, number])
    for name in ('lr', 'weight', 'pace'): chosen[name] = float(f'{chosen[name] * math.exp(.4 * random.normal()):.2g}')
    return chosen


def scored(model, preset, fit, rest, judges={}):
    "Scores by name."
    method = preset.model.method
    if method == 'transfer': return measured(model, 2)
    if method == 'crosschange':
        with seeded(0), torch.no_grad(): cross = np.mean([model(rest[:])['cross'].item() for _ in range(20)])
        return {'cross': cross, 'reconstruction_error': reconstruction_error(model, rest)}
    if preset.data == 'lines':
        score = lines_benchmark(model, seed=2)
        times = score.distance / .24e-3 * max(score.smoothness, .1) / .1            # the paper's ACAI: .24e-3 / .10
        return {'times_the_paper': times if score.undefined < 3 else float('inf'), 'distance': score.distance,
                'smoothness': score.smoothness, 'undefined': score.undefined}
    error = reconstruction_error(model, rest)
    codes = encode_all(model, fit), fit.labels, encode_all(model, rest), rest.labels
    probe = {'probe_accuracy': linear_probe(*codes, fits=1)[0]}
    if method == 'ltae':
        return {'reconstruction_error': error, **probe, 'hausdorff': random_hausdorff(model, codes[0], rest, 300, 3)[0]}
    if not judges: judges['digits'] = Judge(fit)
    distance, confidence = judges['digits'].realism(middle_frames(model, rest))
    return {'reconstruction_error': error, 'middle_distance': distance, 'middle_confidence': confidence, **probe}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('preset')
    parser.add_argument('--trials', type=int, default=24, help='how many settings, the preset among them')
    parser.add_argument('--only', type=int, nargs='*', help='these trials, and no others')
    parser.add_argument('--share', type=float, default=1., help="of the preset's images")
    parser.add_argument('--refine', type=int, default=0, help='how many trials near the best so far')
    parser.add_argument('--by-hand', nargs='+', help='the number of a trial, and how it differs from the preset')
    parser.add_argument('--confirm', type=int, nargs='+', default=[], help='trials to train again from two other seeds')
    parser.add_argument('--threads', type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    preset, path = find_preset(arguments.preset), RESULTS/f'search-{arguments.preset}.csv'
    if preset.model.method == 'crosschange':                    # it improves a trained autoencoder: the shipped one
        preset = preset.but(model=preset.model.but(autoencoder=load('acai-digits').recipe))
    rows = list(csv.DictReader(path.open(encoding='utf-8'))) if path.exists() else []
    data, _ = preset.load_data()
    fit, rest = (data, None) if isinstance(data, Domains) else apart(data)

    def run(number, seed, chosen=None):
        key = {'trial': number, 'seed': seed, 'share': arguments.share}
        if any(all(float(row[name]) == value for name, value in key.items()) for row in rows): return
        chosen = chosen or drawn(preset, number)
        try: model, seconds = trained(preset, chosen, seed, arguments.share, fit)
        except NonvaeError as error: scores, seconds = {'said': str(error).split(':')[0]}, 0.       # it diverged
        else: scores = scored(model, preset, fit, rest)
        row = {**key, **chosen, 'cpu_seconds': round(seconds), **{name: value if isinstance(value, str) else f'{value:.5f}'
                                                                 for name, value in scores.items()}}
        print(' '.join(f'{name} {value}' for name, value in row.items()), flush=True)
        rows.append({name: str(value) for name, value in row.items()})
        names = list(dict.fromkeys(name for row in rows for name in row))
        with path.open('w', encoding='utf-8', newline='') as file:
            table = csv.DictWriter(file, names, lineterminator='\n')
            table.writeheader()
            table.writerows(rows)

    for number in range(arguments.trials) if arguments.only is None else arguments.only: run(number, 0)
    method = preset.model.method
    if arguments.by_hand:
        number, *changes = arguments.by_hand
        chosen = drawn(preset, 0)
        run(int(number), 0, chosen | {name: type(chosen[name])(value) for name, value in (change.split('=') for change in changes)})
    for number in range(1000, 1000 + arguments.refine): run(number, 0, near(order(rows, method)[0], number))
    for row in order(rows, method):
        for seed in (1, 2) if int(row['trial']) in arguments.confirm else (): run(int(row['trial']), seed, near(row, None))


if __name__ == '__main__':
    try: main()
    except NonvaeError as error: raise SystemExit(f'search.py: {error}')
