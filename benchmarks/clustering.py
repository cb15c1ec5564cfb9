"""Why does clustering not follow the probe? K-means on the codes of a run from many random starts, and from the class means.

    python benchmarks/clustering.py RUN --data mnist.npz [--starts 100] [--images 20000]

Accuracy is on held-out images, with clusters matched to classes; inertia is what K-means minimises, on so many training images.
Codes are taken as they are, and whitened (centred, rotated and scaled to variance 1 in every direction), as the ACAI paper does.
"""
import argparse

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans

from nonvae.latents import encode_all
from nonvae.presets import load_run


def accuracy(clusters, labels):
    "The share of images in the right cluster, once each cluster has the class that suits best."
    count = np.zeros((clusters.max() + 1, labels.max() + 1))
    np.add.at(count, (clusters, labels), 1)
    return count[linear_sum_assignment(-count)].sum() / len(labels)


def whitening(z):
    "A function that whitens codes like these."
    mean = z.mean(0)
    _, s, directions = np.linalg.svd(z - mean, full_matrices=False)
    return lambda codes: (codes - mean) @ directions.T / s * np.sqrt(len(z))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('run')
    parser.add_argument('--data', default=None)
    parser.add_argument('--starts', type=int, default=100)
    parser.add_argument('--images', type=int, default=20000)
    arguments = parser.parse_args()
    model, preset = load_run(arguments.run)
    train, held_out = (preset if arguments.data is None else preset.but(data=arguments.data)).load_data()
    train = train.subset(slice(arguments.images))
    codes, labels, kinds = [encode_all(model, data).flatten(1).float().numpy() for data in (train, held_out)], train.labels, len(train.classes)
    white = whitening(codes[0])
    print(f'{"codes":10s} {"accuracy of all starts":>22s} {"best inertia":>13s} {"its accuracy":>13s} {"from class means: inertia":>26s} {"accuracy":>9s}')
    for name, (here, there) in {'as they are': codes, 'whitened': [white(z) for z in codes]}.items():
        runs = [KMeans(kinds, n_init=1, random_state=k).fit(here) for k in range(arguments.starts)]
        scores = np.array([accuracy(run.predict(there), held_out.labels) for run in runs])
        best = int(np.argmin([run.inertia_ for run in runs]))
        known = KMeans(kinds, init=np.stack([here[labels == k].mean(0) for k in range(kinds)]), n_init=1).fit(here)
        print(f'{name:12s} {scores.mean():12.3f} ± {scores.std():.3f} {runs[best].inertia_:13.0f} {scores[best]:13.3f} {known.inertia_:26.0f} '
              f'{accuracy(known.predict(there), held_out.labels):9.3f}', flush=True)


if __name__ == '__main__': main()
