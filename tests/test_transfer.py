"""Content transfer: heaps of unequal size, mirrored pictures, all scores, and what is refused."""
import pytest
import torch

from nonvae.core import NonvaeError, seeded
from nonvae.data import Domains
from nonvae.faces import drawn_domains
from nonvae.recipes import MaskedRecipe, TransferNet, TransferRecipe
from nonvae.training import Trainer, Training
from nonvae.transfer import _mirrored, evaluate_transfer, transfer_matrix, transfer_strips

SMALL = TransferRecipe(network=TransferNet(image_size=16, depth=4, sep=3, scales=3))
MASKED = MaskedRecipe(network=SMALL.network)


@pytest.mark.parametrize('count_a, count_b', [(20, 2), (3, 20), (1, 1)])
def test_every_batch_is_half_of_each_heap(count_a, count_b):
    faces = drawn_domains(20, size=16)
    heaps = Domains(faces.a.subset(slice(0, count_a)), faces.b.subset(slice(0, count_b)))
    trainer = Trainer(SMALL.build(), heaps, Training(batch_size=8, device='cpu')).fit(until=3, progress=False)
    assert trainer.steps_done == 3
    for half, heap in zip(trainer.batches[2].split(4), (heaps.a, heaps.b)):
        assert len(half) == 4 and all((heap[:] == image).flatten(1).all(1).any() for image in half)


def test_about_half_of_the_images_are_mirrored_and_only_in_training():
    many = torch.rand(64, 3, 4, 4)
    with seeded(0): found = _mirrored(many)
    kept, mirrored = ((found == some).flatten(1).all(1) for some in (many, many.flip(3)))
    assert (kept ^ mirrored).all() and 10 < mirrored.sum() < 54
    model, x = SMALL.build(), torch.rand(8, 3, 16, 16)
    with torch.no_grad(), seeded(1):
        trained, used = (model.train(mode)(x)['reconstruction_a'] for mode in (True, False))
    assert trained != used


@pytest.mark.parametrize('recipe', [SMALL, MASKED])
def test_scores_are_finite_and_complete(monkeypatch, recipe):
    model, train, held_out = recipe.build(), drawn_domains(20, 0, 16), drawn_domains(10, 1, 16)
    scores = evaluate_transfer(model, train, held_out)
    assert {'reconstruction_error_a', 'reconstruction_error_b', 'added', 'removed', 'added_Male', 'kept_when_removed',
            'moved_error_eyes_if_swapped', 'removed_error_if_kept'} <= scores.keys()
    assert all(isinstance(value, float) and value == value for value in scores.values())
    monkeypatch.setattr('nonvae.transfer.attribute_scores', lambda *_: {})
    held_out.source = 'glasses_train'                           # photographs have no truth
    assert evaluate_transfer(model, train, held_out).keys() == {'reconstruction_error_a', 'reconstruction_error_b'}


def test_a_masked_transfer_keeps_every_pixel_where_its_mask_is_zero():
    model, x = MASKED.build().eval(), 2 * torch.rand(3, 3, 16, 16) - 1
    mask = model.painter.mask.layers[-2]
    with torch.no_grad():
        assert not torch.equal(model.transfer(x, x.flip(0)), x)
        mask.bias.fill_(-100.)                                  # the mask is 0 everywhere
        for made in (model.transfer(x, x.flip(0)), model.remove(x), model.morph(x[:2])(0., model.encode(x[:1])[1])):
            assert torch.allclose(made, x[:len(made)], atol=1e-6)
        assert torch.equal(model.transfer(x, x.flip(0)), x)
        mask.bias.fill_(100.)                                   # and 1 everywhere: no pixel is kept, nobody's face matters
        moved = model.transfer(x, x[:1])
        assert torch.allclose(moved, moved[:1].expand_as(moved), atol=1e-5)


@pytest.mark.parametrize('recipe', [SMALL, MASKED])
def test_a_morph_goes_from_one_image_to_the_other(recipe):
    model, x = recipe.build().eval(), 2 * torch.rand(2, 3, 16, 16) - 1
    with torch.no_grad():
        code = model.encode(x[1:])[1]
        frames = model.morph(x)(torch.tensor([0., .3, 1.]), code)
        assert frames.shape == (3, 3, 16, 16) and torch.allclose(frames[[0, 2]], model.wear(x, code), atol=1e-5)
        assert torch.allclose(frames[1:2], model.morph(x)(.3, code), atol=1e-5)


@pytest.mark.parametrize('recipe', [SMALL, MASKED])
def test_faces_are_encoded_once(recipe):
    model, x, calls = recipe.build().eval(), 2 * torch.rand(4, 3, 16, 16) - 1, []
    model.shared.register_forward_hook(lambda *_: calls.append(1))
    transfer_matrix(model, x, x)
    of_matrix = len(calls)                                      # one for the givers, one for the faces
    morph = model.morph(x[:2])
    of_morph = len(calls)
    for t in (0., .5, 1.): morph(t, model.specific(x[:1]))
    assert of_matrix <= 2 and len(calls) == of_morph


@pytest.mark.parametrize('recipe', [SMALL, MASKED])
def test_refusals(recipe):
    model, x = recipe.build(), torch.zeros(3, 3, 16, 16)
    with pytest.raises(NonvaeError, match='3 images need as many attributes'): model.transfer(x, x[:2])
    with pytest.raises(NonvaeError, match='2 to 1000 frames'): transfer_strips(model, x, x, frames=1)
    with pytest.raises(NonvaeError, match='two images of each kind'): transfer_strips(model, x[:1], x)
    with pytest.raises(NonvaeError, match='trains on Domains'): Trainer(model, drawn_domains(2, size=16).a)
