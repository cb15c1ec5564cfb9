"""What a notebook's user gets wrong: each call is refused in a sentence that names what was expected, or simply does
the right thing. Nothing is answered with a traceback of somebody else's library, or with a wrong number."""
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from torch import nn

from nonvae import (ACAI, LTAE, Autoencoder, ContentTransfer, CrossChange, Domains, ImageSet, NonvaeError, Trainer, Training, digits,
                    draw_face, draw_lines, interpolate, lerp, lines, lines_score, load, save_image, show, slerp)
from nonvae.core import as_images, in_range, to_uint8
from nonvae.data import as_data, pairs_of_classes
from nonvae.evaluation import evaluate
from nonvae.attributes import read_attributes
from nonvae.interpolation import corner_grid
from nonvae.latents import (clustering_accuracy, code_distances, encode_all, hausdorff, knn_accuracy, linear_probe,
                            random_hausdorff, reconstruction_error)
from nonvae.realism import Judge, middle_frames
from nonvae.transfer import evaluate_transfer, transfer_matrix

torch.set_num_threads(1)
TRAIN, HELD_OUT = digits()
MODEL, TRANSFER = ACAI.pretrained('digits'), ContentTransfer.pretrained('faces')
PIXELS, X = HELD_OUT.images[:4], HELD_OUT[:4]
FACES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
LARGE = np.zeros((20, 1, 48, 48), np.uint8)
NAN = torch.where(torch.arange(32) == 3, torch.nan, X)
CODES, LABELS = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)), np.arange(60) % 3


def trainer(*arguments, **options): return Trainer(ACAI.preset('digits'), *(arguments or (TRAIN,)), **options)


REFUSED = {
    # images
    'a list': (lambda: interpolate(MODEL, [], []), 'a must be of the type Tensor or ndarray'),
    'one image': (lambda: interpolate(MODEL, X[0], X[0]), r'image\[None\]'),
    'another size': (lambda: interpolate(MODEL, LARGE, LARGE), 'takes images of 1x32x32, but these are 1x48x48'),
    'colours': (lambda: interpolate(MODEL, FACES, FACES), 'these are 3x64x64'),
    'not finite': (lambda: interpolate(MODEL, NAN, NAN), 'from nan'),
    'infinite': (lambda: in_range(X / 0), 'go from -1 to 1'),
    'floats up to 255': (lambda: interpolate(MODEL, PIXELS.astype(float), PIXELS.astype(float)), 'divide 0..255'),
    'whole numbers': (lambda: MODEL.encode(torch.tensor(PIXELS).long()), 'these are torch.int64'),
    'an ImageSet': (lambda: interpolate(MODEL, HELD_OUT, HELD_OUT), 'but it is a ImageSet'),
    'to_uint8 of numbers': (lambda: to_uint8(torch.arange(3)), 'torch.int64'),
    # interpolation
    'half a frame': (lambda: interpolate(MODEL, X, X, frames=2.5), 'frames must be a whole number'),
    'no frame': (lambda: interpolate(MODEL, X, X, frames=0), 'frames must be at least 1'),
    'mix by name': (lambda: interpolate(MODEL, X, X, mix='slerp'), "mix must be a function, but it is 'slerp'"),
    'no model': (lambda: interpolate('acai-digits', X, X), 'methods encode and decode'),
    'two codes': (lambda: interpolate(TRANSFER, FACES, FACES), 'two codes'),
    'lerp of numbers': (lambda: lerp(torch.tensor([0]), torch.tensor([10]), .5), 'must be floats'),
    'lerp of shapes': (lambda: lerp(torch.zeros(2, 3), torch.zeros(3, 3), .5), 'same shape'),
    'slerp of numbers': (lambda: slerp(torch.tensor([[1, 0]]), torch.tensor([[0, 1]]), .5), 'must be floats'),
    # transfer
    'digits with glasses': (lambda: TRANSFER.transfer(X, X), 'takes images of 3x64x64'),
    'small faces': (lambda: TRANSFER.remove(torch.zeros(2, 3, 32, 32)), 'these are 3x32x32'),
    'nobody': (lambda: transfer_matrix(TRANSFER, FACES[:0], FACES), 'at least one image'),
    # measures
    'distance of nan': (lambda: hausdorff(NAN, X), 'not finite'),
    'distance to nothing': (lambda: hausdorff(X[:0], X), 'two sets of images'),
    'distance of shapes': (lambda: hausdorff(X, LARGE), 'of one shape'),
    'codes of nan': (lambda: code_distances(MODEL, NAN, X), 'go from -1 to 1'),
    'one label for all': (lambda: linear_probe(CODES, np.array([1]), CODES, LABELS), 'needs its label'),
    'a label of 2^40': (lambda: linear_probe(CODES, LABELS + 2**40, CODES, LABELS), '0 to 65535'),
    'half a label': (lambda: linear_probe(CODES, LABELS / 2, CODES, LABELS), 'whole numbers'),
    'labels of words': (lambda: knn_accuracy(CODES, np.array(['a', 'b', 'c'] * 20), CODES, LABELS), 'whole numbers'),
    'no neighbour': (lambda: knn_accuracy(CODES, LABELS, CODES, LABELS, k=0), 'k must be at least 1'),
    'codes of two models': (lambda: knn_accuracy(CODES[:, :3], LABELS, CODES, LABELS), 'codes of one model'),
    'a model on large images': (lambda: reconstruction_error(MODEL, ImageSet(LARGE)), 'these are 1x48x48'),
    'evaluation on tensors': (lambda: evaluate(MODEL, X, X), 'train must be of the type ImageSet, but it is a Tensor'),
    'evaluation on large images': (lambda: evaluate(MODEL, HELD_OUT, ImageSet(LARGE, np.arange(20) % 3)), '1x48x48'),
    'batches of none': (lambda: encode_all(MODEL, HELD_OUT, 0), 'batch_size must be at least 1'),
    'a judge without classes': (lambda: Judge(ImageSet(PIXELS)), 'at least two classes'),
    'scores of still images': (lambda: lines_score(X), 'at least 2 frames'),
    # data sets
    'lists': (lambda: ImageSet([[1, 2]]), 'uint8 .N, C, H, W.'),
    'colours last': (lambda: ImageSet(np.zeros((4, 32, 32, 3), np.uint8)), r'\(4, 32, 32, 3\)'),
    'floats': (lambda: ImageSet(np.zeros((4, 1, 32, 32))), 'float64'),
    'no pixels': (lambda: ImageSet(np.zeros((4, 1, 0, 0), np.uint8)), r'\(4, 1, 0, 0\)'),
    'labels below 0': (lambda: ImageSet(PIXELS, [-1, 0, 0, 0]), 'from -1 to 0'),
    'large labels': (lambda: ImageSet(PIXELS, [2**40, 0, 0, 0]), '0 to 65535'),
    'float labels': (lambda: ImageSet(PIXELS, [.5, 0, 0, 0]), 'whole numbers'),
    'a table of labels': (lambda: ImageSet(PIXELS, np.zeros((4, 2), int)), r'int64 \(4, 2\)'),
    'a label without a name': (lambda: ImageSet(PIXELS, [5, 0, 0, 0], ['a', 'b']), 'a label is 5'),
    'lists as data': (lambda: as_data([[1, 2]]), 'Item 0 of the Dataset is no image'),
    'a name as data': (lambda: as_data('digits'), 'but got str'),
    'nothing as data': (lambda: trainer(None), 'but got NoneType'),
    'floats as data': (lambda: as_data(X), 'float32'),
    'domains of arrays': (lambda: Domains(PIXELS, PIXELS), 'two ImageSets'),
    'half a batch': (lambda: TRAIN.batches(2.5), 'batch_size must be a whole number'),
    'fewer lines than none': (lambda: lines(-1), 'at least 1'),
    'half a line': (lambda: lines(2.5), 'a whole number'),
    'a line to nowhere': (lambda: draw_lines([float('nan')]), 'not finite'),
    'a face by name': (lambda: draw_face('x'), 'a whole number'),
    # training
    'a name for a model': (lambda: Trainer('acai', TRAIN), 'trains a Model'),
    'a layer for a model': (lambda: Trainer(nn.Linear(2, 2), TRAIN), 'trains a Model'),
    'a dict of settings': (lambda: trainer(TRAIN, {'steps': 3}), r'training is Training\('),
    'a function as callbacks': (lambda: trainer(TRAIN, callbacks=print), 'callbacks is a list'),
    'images of another size': (lambda: trainer(LARGE), 'built for images of 1x32x32'),
    'until -3': (lambda: trainer().fit(until=-3), 'a count of steps'),
    "until '3'": (lambda: trainer().fit(until='3'), 'a count of steps'),
    'until 2.5': (lambda: trainer().fit(until=2.5), 'a count of steps'),
    'many steps': (lambda: Training(steps='many'), 'steps must be a whole number'),
    'a batch of 10^12': (lambda: Training(batch_size=10**12), 'batch_size must be at most'),
    'a batch of one': (lambda: Trainer(LTAE.preset('s-2'), TRAIN, Training(batch_size=1)).fit(), 'at least 2'),
    # models
    'no name': (lambda: load(''), 'name of the run is empty'),
    'a number for a name': (lambda: load(3), 'named by text or a path, but got int'),
    'a misspelled preset': (lambda: ACAI.preset('digit'), 'did you mean acai-digits'),
    'a misspelled setting': (lambda: ACAI.preset('digits', latent=3), "no setting 'latent'"),
    'a seed of letters': (lambda: ACAI.preset('digits', seed='x'), 'A seed is a whole number'),
    'a seed below 0': (lambda: ACAI.preset('digits', seed=-1), 'A seed is a whole number'),
    'no modules': (lambda: ACAI(1, 2, 3), 'encoder must be of the type Module, but it is 1'),
    'a weight below 0': (lambda: ACAI(nn.Identity(), nn.Identity(), nn.Identity(), lambda_=-1), 'at least 0'),
    'a gamma of 3': (lambda: ACAI(nn.Identity(), nn.Identity(), nn.Identity(), gamma=3), 'from 0 to 1'),
    'an unknown change': (lambda: CrossChange(MODEL, ['spin']), "no augmentation called 'spin'"),
    'a change as text': (lambda: CrossChange(MODEL, 'flip-width'), 'augmentations must be a list of names'),
    'no change': (lambda: CrossChange(MODEL, []), 'augmentations is empty'),
    'bad odds': (lambda: CrossChange(MODEL, ['flip-width'], probabilities=[.5, .7]), 'for each of the 1'),
    'odds below 0': (lambda: CrossChange(MODEL, ['flip-width', 'rotate'], probabilities=[-1, 2]), '0 or greater'),
    'no step': (lambda: CrossChange(MODEL, ['flip-width'], steps=0), 'steps must be at least 1'),
    # pictures
    'no image to show': (lambda: show(X[:0]), 'no image to show'),
    'one image to show': (lambda: show(X[0]), r'image\[None\]'),
    'text to show': (lambda: show('x'), 'of the type Tensor or ndarray'),
    'no column': (lambda: show(X, columns=0), 'columns must be at least 1'),
    'half a column': (lambda: show(X, columns=2.5), 'columns must be a whole number'),
    'a gap below 0': (lambda: show(X, gap=-1), 'gap must be at least 0'),
    'no zoom': (lambda: save_image('x.png', X, zoom=0), 'zoom must be at least 1'),
    'nowhere to save': (lambda: save_image(None, X), 'path must be'),
    'nobody to read': (lambda: read_attributes(None), 'path must be'),
    # counts, seeds and what is no model
    'no fit': (lambda: linear_probe(CODES, LABELS, CODES, LABELS, fits=0), 'fits must be at least 1'),
    'no epoch': (lambda: linear_probe(CODES, LABELS, CODES, LABELS, epochs=0), 'epochs must be at least 1'),
    'no start': (lambda: clustering_accuracy(CODES, LABELS, CODES, LABELS, inits=0), 'inits must be at least 1'),
    'a start of -1': (lambda: clustering_accuracy(CODES, LABELS, CODES, LABELS, seed=-1), 'seed must be at least 0'),
    'a true neighbour': (lambda: knn_accuracy(CODES, LABELS, CODES, LABELS, k=True), 'k must be a whole number'),
    'no repeat': (lambda: random_hausdorff(MODEL, CODES, HELD_OUT, 20, 0), 'repeats must be at least 1'),
    'half a pair': (lambda: middle_frames(MODEL, HELD_OUT, 2.5), 'pairs must be a whole number'),
    'a model by name': (lambda: encode_all('acai', HELD_OUT), 'A model is measured, but got str'),
    'none for a model': (lambda: evaluate(None, TRAIN, HELD_OUT), 'A model is measured, but got NoneType'),
    'half a corner': (lambda: corner_grid(MODEL, X, 2.5), 'size must be a whole number'),
    'lines from -1': (lambda: lines(3, -1), 'seed must be at least 0'),
    'a share of nobody': (lambda: TRAIN.batches(4, 0, 3, 2), 'rank'),
    'a loud dropout': (lambda: Autoencoder(nn.Identity(), nn.Identity(), 'x'), 'latent_dropout must be a number'),
    'a true rate': (lambda: Training(lr=True), 'lr must be a number'),
    'a place that is a number': (lambda: trainer(out=3), 'out is the path of a run folder'),
    'lerp to a name': (lambda: lerp(X, X, 'x'), 't is a number'),
    'codes of 255': (lambda: MODEL.encode(X * 127.5 + 127.5), 'divide 0..255'),
    'transfer by name': (lambda: transfer_matrix('x', FACES, FACES), 'a model with two codes'),
    'glasses measured on nothing': (lambda: evaluate_transfer(TRANSFER, None, None), 'measured on Domains'),
    'a code that is none': (lambda: MODEL.decode(None), 'Codes are a tensor'),
    'two codes that are none': (lambda: TRANSFER.decode(None, None), 'Codes are a tensor'),
    'a judge of nothing': (lambda: Judge('x'), 'train must be of the type ImageSet'),
    'a class that is not there': (lambda: pairs_of_classes(TRAIN, [(0, 99)]), 'too few images of the class 99'),
    'angles that are none': (lambda: draw_lines('x'), 'angles are numbers'),
    'to_uint8 of a list': (lambda: to_uint8([1, 2]), 'got list'),
    'a sigma below 0': (lambda: LTAE(nn.Identity(), nn.Identity(), (2,), sigma=-1), 'sigma must be at least 0'),
    'a weight by name': (lambda: CrossChange(MODEL, weight='x'), 'weight must be a number'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_refused_in_a_sentence(case):
    call, words = REFUSED[case]
    with pytest.raises(NonvaeError, match=words) as refusal: call()
    said = str(refusal.value)
    assert len(said) < 400 and '\n' not in said and said.endswith(('.', '?')), said


@pytest.mark.parametrize('form', [
    lambda: PIXELS, lambda: torch.tensor(PIXELS), lambda: X.numpy(), lambda: X.double(), lambda: X[::1].numpy()[:, :, ::1]],
    ids=['uint8 array', 'uint8 tensor', 'float array', 'float64', 'a view'])
def test_whatever_holds_images_is_images(form):
    images = form()
    with torch.no_grad():
        assert torch.equal(MODEL.encode(images), MODEL.encode(X))
        assert torch.allclose(interpolate(MODEL, images, images, 3).float(), interpolate(MODEL, X, X, 3))
        assert torch.equal(MODEL.reconstruct(images).float(), MODEL.reconstruct(X))
    assert hausdorff(images, X) == 0 and torch.allclose(as_images(images).float(), X)
    assert torch.equal(to_uint8(as_images(images)), torch.tensor(PIXELS)) and show(images) is not None
    plt.close('all')


def test_labels_in_a_list_and_images_in_a_tensor_make_the_same_set():
    plain, other = ImageSet(PIXELS, np.array([1, 0, 2, 0])), ImageSet(torch.tensor(PIXELS), [1, 0, 2, 0])
    assert plain.fingerprint == other.fingerprint and (plain.labels == other.labels).all()
    assert other.labels.dtype == np.int64 and other.classes == ['0', '1', '2']
    assert (to_uint8(torch.tensor(PIXELS)) == torch.tensor(PIXELS)).all()
