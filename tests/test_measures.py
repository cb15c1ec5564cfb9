"""What measures promise beyond their lessons: refusals, invariances, and that comparisons leave runs alone."""
import json

import numpy as np
import pytest
import torch

import nonvae.compare
from nonvae.autoencoder import Autoencoder
from nonvae.compare import compare, compare_runs, comparison_table, group_runs
from nonvae.core import NonvaeError
from nonvae.data import ImageSet, digits, draw_lines
from nonvae.evaluation import evaluate, evaluate_latents, held_out_loss
from nonvae.latents import (cluster_scores, clustering_accuracy, code_distances, decode_random, encode_all, hausdorff,
                            knn_accuracy, linear_probe, random_hausdorff, reconstruction_error, whitening)
from nonvae.lines_benchmark import lines_score, nearest_lines, smoothness
from nonvae.presets import PRESETS, Preset, load, load_run
from nonvae.realism import Classifier, Judge, middle_frames
from nonvae.recipes import ACAIRecipe, AutoencoderRecipe, ConvNet
from nonvae.runs import save_weights
from nonvae.training import Trainer, Training


@pytest.fixture(autouse=True)
def one_thread(): torch.set_num_threads(1)


@pytest.fixture(scope='module')
def few():
    "200 training and 100 held-out digits of ten classes."
    train, held_out = digits()
    return train.subset(slice(0, None, 20)), held_out.subset(slice(0, None, 10))


@pytest.fixture(scope='module')
def judge(few): return Judge(few[0], steps=5)


class Pixels:
    encode = decode = reconstruct = staticmethod(lambda x: x)


class Broken(Pixels):
    "A model that has diverged."
    encode = reconstruct = staticmethod(lambda x: x * float('nan'))


class TwoCodes(Pixels):
    "Its codes are a tuple, as those of content transfer."
    def encode(self, x): return x[:, :, :16], x[:, :, 16:]
    def decode(self, top, bottom): return torch.cat([top, bottom], 2)


def clouds(n, seed=0, apart=8):
    "Four clouds at the corners of a square, and which one each point belongs to."
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    return np.stack([labels % 2, labels // 2], 1) * apart + rng.normal(size=(n, 2)), labels


GOOD = *clouds(60), *clouds(40, seed=1)
LABELLED = {'probe': linear_probe, 'clustering': clustering_accuracy, 'neighbours': knn_accuracy,
            'clusters': lambda x, y, t, u: cluster_scores(x, t, u)}
each = pytest.mark.parametrize('measure', LABELLED.values(), ids=LABELLED)


# numbers that are not finite

@each
@pytest.mark.parametrize('place', [0, 2])
@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_codes_that_are_not_finite_are_refused(measure, place, bad):
    arguments = [part.copy() for part in GOOD]
    arguments[place][3, 1] = bad
    with pytest.raises(NonvaeError, match='Some of the codes are not finite numbers'): measure(*arguments)


def test_a_model_that_diverged_is_refused(few, judge):
    for measure in (encode_all, reconstruction_error):
        with pytest.raises(NonvaeError, match='not finite'): measure(Broken, few[1])
    with pytest.raises(NonvaeError, match='not finite'): code_distances(Broken, few[1][:2], few[1][2:4])
    with pytest.raises(NonvaeError, match='not finite'): judge.realism(middle_frames(Broken, few[1]))
    with pytest.raises(NonvaeError, match='not finite'): hausdorff(few[1][:2], Broken.encode(few[1][:2]))
    with pytest.raises(NonvaeError, match='not finite'): lines_score(torch.full((1, 3, 1, 32, 32), float('nan')))
    with pytest.raises(NonvaeError, match='not finite'): evaluate(Broken, *few)


# lines

@pytest.mark.parametrize('shape', [(16, 1, 32, 32), (1, 1, 1, 32, 32), (0, 16, 1, 32, 32), (1, 16, 3, 32, 32),
                                   (1, 16, 1, 64, 64)])
def test_frames_of_another_shape_are_refused(shape):
    with pytest.raises(NonvaeError, match='Frames of lines are shaped'): lines_score(torch.zeros(shape))


def test_the_way_back_scores_as_the_way_there():
    angles = torch.tensor([[.1, .2, .5, .9], [3., 2.9, 2.5, 2.]], dtype=torch.float64)
    frames = torch.stack([draw_lines(way) for way in angles])
    there, back, swapped = lines_score(frames), lines_score(frames.flip(1)), lines_score(frames.flip(0))
    for other in (back, swapped):
        assert abs(other.distance - there.distance) < 1e-9 and abs(other.smoothness - there.smoothness) < 1e-9


def test_angles_across_zero_are_a_short_way():
    assert np.allclose(smoothness(np.array([[6.1, 6.2, .0168, .1168]])), 0, atol=.01)
    distances, angles = nearest_lines(draw_lines([0., 1., 6.]))
    assert distances.max() < 1e-6 and np.allclose(angles, [0, 1, 6], atol=1e-3)


# codes

@each
def test_labels_that_are_all_the_same_are_refused(measure):
    x, y, t, u = GOOD
    for same in (0, 3):
        with pytest.raises(NonvaeError, match='All labels are the same'): measure(x, y * 0 + same, t, u * 0 + same)


@each
def test_a_missing_label_is_refused(measure):
    x, y, t, u = GOOD
    with pytest.raises(NonvaeError, match='40 codes and 39 labels'): measure(x, y, t, u[1:])


@each
def test_codes_that_are_no_vectors_are_refused(measure):
    x, y, t, u = GOOD
    with pytest.raises(NonvaeError, match='flatten them first'): measure(x[:, :, None], y, t, u)
    with pytest.raises(NonvaeError, match='flatten them first'): measure(x[:, :0], y, t, u)


@each
def test_tensors_measure_as_arrays_do(measure):
    x, y, t, u = GOOD
    assert measure(torch.from_numpy(x), y, torch.from_numpy(t), u) == measure(*GOOD)


@pytest.mark.parametrize('measure', [linear_probe, clustering_accuracy, knn_accuracy])
def test_the_order_of_codes_does_not_matter(measure):
    (x, y), (t, u) = clouds(400, apart=3), clouds(300, seed=1, apart=3)
    x, t = np.tile(x - 1.5, 64), np.tile(t - 1.5, 64)           # many small weights are learnt in a few steps
    some, other = np.random.default_rng(0).permutation(400), np.random.default_rng(1).permutation(300)
    results = [np.atleast_1d(measure(*codes))[0] for codes in ((x, y, t, u), (x[some], y[some], t[other], u[other]))]
    assert abs(results[0] - results[1]) < .02 and results[0] > .8


def test_a_probe_with_one_fit_has_no_spread():
    assert linear_probe(*GOOD, fits=1)[1] == 0 and linear_probe(*GOOD, seed=3) == linear_probe(*GOOD, seed=3)


def test_a_standardised_probe_is_blind_to_scale_and_place():
    (x, y), (x2, y2) = clouds(400), clouds(200, 1)
    x, x2 = (np.c_[codes, np.zeros(len(codes))] for codes in (x, x2))       # a number that never changes, too
    def accuracy(scale, shift, **how): return linear_probe(scale * x + shift, y, scale * x2 + shift, y2, fits=2, epochs=200, **how)
    assert accuracy(1., 0., standardised=True) == pytest.approx(accuracy(1e-3, 5., standardised=True), abs=.01)
    assert accuracy(1., 0., standardised=True)[0] > .95 > accuracy(1e-3, 5.)[0] + .2


@pytest.mark.parametrize('kind, known', [(AutoencoderRecipe, True), (ACAIRecipe, False)])
def test_the_held_out_loss_is_the_weighted_sum_of_the_terms(few, kind, known):
    model = kind(network=TINY).build()
    loss = held_out_loss(model, few[1])
    assert loss == held_out_loss(model, few[1])                             # nothing in it is left to chance
    assert (loss == pytest.approx(reconstruction_error(model, few[1]), rel=1e-4)) == known


def test_whitening_makes_clustering_blind_to_scale_and_rotation():
    (x, y), (t, u) = clouds(400), clouds(300, seed=1)
    turn = np.array([[np.cos(.7), -np.sin(.7)], [np.sin(.7), np.cos(.7)]])
    for change in (np.eye(2), 1e-4 * np.eye(2), np.diag([1, 1e4]), np.diag([1, 1e4]) @ turn):
        assert clustering_accuracy(x @ change + 5, y, t @ change + 5, u) > .99
    constant = np.ones((400, 3)), np.ones((300, 3))
    assert clustering_accuracy(np.hstack([x, constant[0]]), y, np.hstack([t, constant[1]]), u) > .99


def test_whitened_codes_are_white():
    x = clouds(500)[0] @ [[3, 1, 0], [0, 2, 0]]                     # a plane in three dimensions
    centre, matrix = whitening(x)
    assert matrix.shape == (3, 2) and np.allclose(np.cov(((x - centre) @ matrix).T, bias=True), np.eye(2))


def test_what_cannot_be_clustered_is_refused():
    x, y, t, u = GOOD
    for measure in (clustering_accuracy, LABELLED['clusters']):
        with pytest.raises(NonvaeError, match='All codes are the same'): measure(np.ones_like(x), y, np.ones_like(t), u)
        with pytest.raises(NonvaeError, match='4 clusters need'): measure(x[:3], np.arange(3), t, u)
    with pytest.raises(NonvaeError, match='a silhouette needs more'): cluster_scores(x, t[:1].repeat(40, 0), u)
    with pytest.raises(NonvaeError, match='7 nearest neighbours'): knn_accuracy(x[:6], np.arange(6) % 2, t, u, k=7)


def test_a_silhouette_does_not_see_labels():
    x, _, t, u = GOOD
    right, wrong = cluster_scores(x, t, u), cluster_scores(x, t, np.random.default_rng(0).permutation(u))
    assert right['silhouette'] == wrong['silhouette'] and right['mutual_information'] > 5 * wrong['mutual_information']


# images

def test_hausdorff_of_a_set_with_itself_is_0(few):
    x = few[1][:20]
    assert hausdorff(x, x) == hausdorff(x[:5], x) == hausdorff(x, x.flip(0)) == 0 < hausdorff(x, x[:5])
    assert hausdorff(x, x + .5) <= .5 * 32


def test_random_codes_are_repeatable_and_keep_the_shape_of_a_tuple(few):
    codes = encode_all(TwoCodes(), few[0])
    assert codes.shape == (200, 1024)
    one, again, other = (decode_random(TwoCodes(), codes, few[0][:1], 7, seed) for seed in (0, 0, 1))
    assert one.shape == (7, 1, 32, 32) and torch.equal(one, again) and not torch.equal(one, other)
    mean, spread = random_hausdorff(TwoCodes(), codes, few[1], count=10, repeats=1)
    assert mean > 0 and spread == 0
    scores = evaluate(TwoCodes(), *few)
    assert scores['reconstruction_error'] == 0 and scores['knn_accuracy'] == knn_accuracy(
        encode_all(Pixels, few[0]), few[0].labels, encode_all(Pixels, few[1]), few[1].labels)


def test_middles_pair_each_image_once(few):
    assert middle_frames(Pixels, few[1], pairs=1000).shape == (50, 1, 32, 32)
    numbered = ImageSet(np.arange(240, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 8, 8), np.uint8))
    middles = (middle_frames(Pixels, numbered, pairs=120).mean((1, 2, 3)) + 1) * 127.5
    assert len(middles) == 120 and abs(2 * middles.sum() - sum(range(240))) < .1            # more than one batch
    with pytest.raises(NonvaeError, match='at least two held-out images'): middle_frames(Pixels, few[1].subset([0]))


def test_measures_put_a_model_into_eval_mode(few):
    same = torch.nn.Conv2d(1, 1, 1, bias=False)
    torch.nn.init.ones_(same.weight)
    model = Autoencoder(torch.nn.Sequential(same, torch.nn.Dropout(.5)), torch.nn.Identity())
    for measure in (encode_all, reconstruction_error, middle_frames):
        model.train()
        measure(model, few[1])
        assert not model.training
    assert reconstruction_error(model, few[1]) == 0


def test_judges(few, judge):
    again, other = Judge(few[0], steps=5), Judge(few[0], steps=5, seed=1)
    assert torch.equal(judge.real, again.real) and not torch.equal(judge.real, other.real)
    assert judge.realism(few[0][:])[0] < 1e-5
    assert judge.realism(5 * few[0][:20]) == judge.realism((5 * few[0][:20]).clamp(-1, 1))
    assert judge.classify(few[1][:]).shape == (100,) and 0 <= judge.accuracy(few[1]) <= 1
    with pytest.raises(NonvaeError, match='at least two classes'): Judge(ImageSet(few[0].images, few[0].labels * 0 + 3))
    with pytest.raises(NonvaeError, match='no multiple of 8'):
        Classifier(ImageSet(few[0].images[:, :, :30, :30], few[0].labels))


def test_what_does_not_fit_is_said_and_left_out(few, judge, capsys):
    five, one = few[0].subset([0, 50, 100]), few[1].subset([0])
    scores = evaluate(Pixels, five, one, judge)
    said = capsys.readouterr().out
    assert {'reconstruction_error', 'probe_accuracy', 'hausdorff'} <= scores.keys()
    for name in ('knn_accuracy', 'silhouette', 'middle_distance'):
        assert f'{name} is not computed.' in said and name not in scores
    unlabelled = ImageSet(few[0].images), ImageSet(few[1].images)
    assert set(evaluate_latents(Pixels, *unlabelled)) == {'hausdorff', 'hausdorff_std'}


# comparisons

TINY = ConvNet(depth=2, latent_channels=2)


@pytest.fixture
def tiny(monkeypatch):
    "Contenders that train in no time."
    training = Training(steps=3, batch_size=8, lr=1e-3, device='cpu')
    for name, recipe in (('tiny', AutoencoderRecipe(network=TINY)), ('small', ACAIRecipe(network=TINY))):
        monkeypatch.setitem(PRESETS, name, Preset(model=recipe, training=training))
    monkeypatch.setitem(nonvae.compare.CONTENDERS, 'tiny-crossed', 'crosschange')


def weights(path, seed=0, data='digits', **changes):
    "Untrained weights that say they are a run with these settings."
    model = AutoencoderRecipe(network=TINY).build(seed)
    save_weights(path, model, {'data': data, 'training': Training(seed=seed, **changes).to_dict()})
    return path


def test_contenders_are_trained_compared_and_kept(tiny, tmp_path, capsys):
    out = tmp_path/'c'
    rows = compare(out=out, quick=True, seeds=2, contenders=['tiny', 'small', 'tiny-crossed'])
    assert list(rows) == ['real images', 'cross-fades', 'tiny', 'small', 'tiny-crossed']
    assert all(set(rows[name]) == set(nonvae.compare.MEASURES) for name in ('tiny', 'small', 'tiny-crossed'))
    assert {path.name for path in out.iterdir()} == {'quick', 'scores', 'scores.json', 'table.md', 'bars.png', 'interpolation.png',
                                                     'interpolation.gif', 'planes.png'}
    assert sorted(path.name for path in (out/'quick').iterdir()) == [
        'small-0', 'small-1', 'tiny-0', 'tiny-1', 'tiny-crossed-0', 'tiny-crossed-1']
    written = json.loads((out/'scores.json').read_text())
    mean, spread = rows['tiny']['probe_accuracy']
    assert written['tiny']['probe_accuracy'] == {'mean': mean, 'std': spread} and spread is not None
    assert (out/'table.md').read_text() == comparison_table(rows) + '\n'
    crossed, start = load(out/'quick'/'tiny-crossed-1'), load(out/'quick'/'tiny-1')
    moved = {name.split('.')[0] for name, value in start.state_dict().items()
             if not torch.equal(value, crossed.autoencoder.state_dict()[name])}
    assert moved == {'encoder'}                                             # it began where tiny-1 ended
    runs = [out/'quick'/f'{name}-{seed}' for name in ('small', 'tiny') for seed in (0, 1)]
    assert {name: len(some) for name, some in group_runs(runs).items()} == {'small': 2, 'tiny': 2}


def test_a_comparison_goes_on_and_writes_only_into_its_folder(tmp_path, few, monkeypatch):
    folder = tmp_path/'runs'
    folder.mkdir()
    groups = {'a': [weights(folder/'a.safetensors')]}
    kept = tmp_path/'kept'
    rows = compare_runs(groups, *few, kept, quick=True)
    assert [path.name for path in folder.iterdir()] == ['a.safetensors'] and len(list(kept.iterdir())) == 1
    monkeypatch.setattr(nonvae.compare, 'evaluate', lambda *rest: {'silhouette': .77})
    assert compare_runs(groups, *few, kept, quick=True) == rows             # read, not measured again
    assert compare_runs(groups, few[0], few[1].subset(range(50)), kept, quick=True)['a'] == {'silhouette': (.77, None)}
    for path in kept.iterdir(): path.write_text('damaged')
    assert compare_runs(groups, *few, kept, quick=True)['a'] == {'silhouette': (.77, None)}
    weights(folder/'a.safetensors', seed=1)                                 # other weights are measured, too
    assert compare_runs(groups, *few, kept, quick=True)['a'] == {'silhouette': (.77, None)}
    assert len(list(kept.iterdir())) == 3


def test_an_interrupted_comparison_returns_none(tiny, tmp_path, monkeypatch):
    fit = Trainer.fit
    def stopped(self, *arguments, **options):
        fit(self, until=1)
        self.interrupted = True
        return self
    monkeypatch.setattr(Trainer, 'fit', stopped)
    assert compare(out=tmp_path/'c', seeds=1, contenders=['tiny']) is None
    assert load_run(tmp_path/'c'/'tiny-0')[1].training.steps == 3 and not (tmp_path/'c'/'table.md').exists()


def test_runs_that_differ_in_more_than_the_seed_are_apart(tmp_path):
    paths = [weights(tmp_path/f'r-{i}.safetensors', **settings) for i, settings in enumerate(
        (dict(seed=0), dict(seed=1, device='cpu', log_every=7), dict(seed=2, steps=5), dict(seed=3, lr=.5)))]
    assert list(group_runs(paths).values()) == [paths[:2], paths[2:3], paths[3:]]
    assert list(group_runs(paths)) == ['r', 'r-2', 'r-3'] and list(group_runs(paths[:1] * 2)) == ['r-0']
    other = tmp_path/'other'
    other.mkdir()
    same_name = weights(other/'r-2.safetensors')
    assert list(group_runs([paths[2], same_name])) == ['r-2', 'r-2 (2)']


def test_what_cannot_be_compared_is_refused(tiny, tmp_path):
    good, other = weights(tmp_path/'good.safetensors'), weights(tmp_path/'other.safetensors', data='lines')
    own = weights(tmp_path/'own.safetensors', data='')
    by_hand = tmp_path/'hand.safetensors'
    save_weights(by_hand, Autoencoder(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)))
    for options, sentence in (
            (dict(runs=[good, other]), 'all must have the same data'), (dict(runs=[own]), 'images that have no name'),
            (dict(runs=['transfer-faces']), 'two codes for each image'), (dict(runs=[by_hand]), 'built by hand'),
            (dict(runs=[tmp_path/'nothing']), 'There is no'), (dict(seeds=0), 'seeds must be at least 1'),
            (dict(contenders=['plian']), 'did you mean'),
            (dict(contenders=['tiny-crossed']), 'starts from another contender'),
            (dict(contenders=['crosschange']), 'starts from another contender'),
            (dict(contenders=['tiny', 'plain-lines']), 'all must have the same data'),
            (dict(contenders=['transfer-faces']), 'two codes for each image'), (dict(out=''), 'out is empty')):
        with pytest.raises(NonvaeError, match=sentence): compare(**{'out': tmp_path/'c', **options})
    assert not (tmp_path/'c').exists()


def test_images_without_labels_have_no_controls(tmp_path, few):
    unlabelled = [ImageSet(part.images) for part in few]
    rows = compare_runs({'a': [weights(tmp_path/'a.safetensors')]}, *unlabelled, tmp_path/'kept')
    assert list(rows) == ['a'] and set(rows['a']) == {'reconstruction_error', 'held_out_loss', 'hausdorff'}
    firsts = [line.split('|')[1].strip() for line in comparison_table(rows).split('\n')]
    assert firsts[2:] == ['reconstruction (less)', 'own loss (less)', 'Hausdorff (less)']
