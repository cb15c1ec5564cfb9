"""The lines benchmark of Berthelot et al. 2018: trains the official network,
prints both scores against images seen. Resumable.

    python benchmarks/lines.py [--preset acai-lines-cpu] [--steps 16000]
    [--threads 1] [--out runs/lines] [--record results.csv]

The scores follow the paper's protocol (512 test lines, 256 interpolations of 16 frames) and are
appended to --record. A decaying learning rate falls over --steps. The same command goes on where it
stopped; with more --steps, at the rate's floor.
"""
import argparse
import csv
import time
from pathlib import Path

import torch

from nonvae.core import NonvaeError
from nonvae.fast import keep_freed_memory
from nonvae.lines_benchmark import lines_benchmark
from nonvae.presets import find_preset, load_run
from nonvae.training import Trainer


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--preset', default='acai-lines-cpu')
    parser.add_argument('--steps', type=int, default=None, help="default: the preset's")
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--lr', type=float, default=None, help="default: the preset's")
    parser.add_argument('--every', type=int, default=1000, help='steps between two scores')
    parser.add_argument('--out', default='runs/lines')
    parser.add_argument('--device', default='cpu', help='auto, cpu, cuda ...')
    parser.add_argument('--seconds', type=float, default=float('inf'), help='stop after so many')
    parser.add_argument('--record', default=None, help='a CSV file to append the scores to')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    preset = find_preset(arguments.preset)
    steps = arguments.steps or preset.training.steps
    decay = steps if preset.training.decay_steps else 0
    if (Path(arguments.out)/'model.safetensors').exists(): decay = load_run(arguments.out)[1].training.decay_steps
    training = preset.training.but(steps=steps, decay_steps=decay, seed=arguments.seed, device=arguments.device,
                                   lr=arguments.lr or preset.training.lr)
    if training.device == 'cpu': keep_freed_memory()
    trainer = Trainer(preset.model.build(arguments.seed), preset.load_data()[0], training, out=arguments.out)
    print(f'{arguments.preset}, seed {training.seed}, rate {training.lr:g}, {arguments.threads} thread(s), from step '
          f'{trainer.steps_done} to {steps}')
    record = Path(arguments.record) if arguments.record else None
    earlier = list(csv.DictReader(record.open(encoding='utf-8'))) if record and record.exists() else []
    used = float(earlier[-1]['cpu_seconds']) if earlier and trainer.steps_done else 0.
    end = time.monotonic() + arguments.seconds
    while trainer.steps_done < steps and not trainer.interrupted and time.monotonic() < end:
        start = time.process_time()
        trainer.fit(until=min(trainer.steps_done + arguments.every, steps), progress=False)
        used += time.process_time() - start
        score = lines_benchmark(trainer.model)
        row = {'preset': arguments.preset, 'seed': training.seed, 'lr': training.lr, 'threads': arguments.threads,
               'images': trainer.steps_done * training.batch_size, 'cpu_seconds': round(used),
               'distance': f'{score.distance:.6f}', 'smoothness': f'{score.smoothness:.4f}',
               'undefined': score.undefined}
        print(f'{row["images"]:9,d} images {used:6.0f} s of processor time   distance {1e3 * score.distance:6.3f}e-3   '
              f'smoothness {score.smoothness:.3f}   '
              f'undefined {score.undefined}', flush=True)
        if record:
            record.parent.mkdir(parents=True, exist_ok=True)
            with open(record, 'a', encoding='utf-8', newline='') as file:
                table = csv.DictWriter(file, row.keys(), lineterminator='\n')
                if file.tell() == 0: table.writeheader()
                table.writerow(row)


if __name__ == '__main__':
    try: main()
    except NonvaeError as error: raise SystemExit(f'lines.py: {error}')
