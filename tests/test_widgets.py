"""Panels without a browser: what they refuse, that nothing of them stays, and that two programs do not train into
one folder."""
import gc
import weakref

import numpy as np
import pytest
import torch
import traitlets
from ipywidgets.widgets.widget import _instances
from matplotlib import pyplot as plt
from torch import nn
from nonvae.acai import ACAI
from nonvae.autoencoder import Autoencoder
from nonvae.core import NonvaeError
from nonvae.crosschange import CrossChange
from nonvae.data import digits
from nonvae.faces import drawn_domains
from nonvae.recipes import ConvNet
from nonvae.training import Trainer, Training
from nonvae.transfer import ContentTransfer
from nonvae.widgets import (AugmentationExplorer, InterpolationExplorer, LatentExplorer, TrainingPanel,
                            TransferExplorer)
from nonvae.widgets.augmentation import Experiment
from nonvae.widgets.explorer import refresh_explorers
from nonvae.page.states import images_to_show
from nonvae.widgets.training import loss_curves

SMALL = ConvNet(depth=4, latent_channels=4)
train, held_out = digits()
DEVICES = ['cpu', pytest.param('cuda', marks=pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device'))]


@pytest.fixture(scope='module')
def acai(): return ACAI.pretrained('digits')


@pytest.fixture(scope='module')
def transfer(): return ContentTransfer.pretrained('faces')


def trainer_of(kind=Autoencoder, out=None, **settings):
    settings = {'steps': 500, 'batch_size': 8, 'log_every': 5, 'device': 'cpu', **settings}
    return Trainer(kind.preset('digits', network=SMALL), train, Training(**settings), held_out, out=out)


def refused(what, *arguments, **options):
    "The sentence of the NonvaeError; nothing half-made may be left behind."
    count = len(_instances)
    with pytest.raises(NonvaeError) as error: what(*arguments, **options)
    assert len(_instances) == count
    return str(error.value)


class Halves:
    "No model: what it decodes is half as large as what it encodes."
    def encode(self, x): return x[:, :, ::2, ::2]
    def decode(self, z): return z


def test_what_does_not_fit_is_a_sentence(acai, transfer):
    look, faces = InterpolationExplorer, torch.zeros(4, 3, 64, 64)
    assert 'no model' in refused(look, {}, held_out)
    assert 'at least one image' in refused(look, acai, torch.zeros(0, 1, 32, 32))
    assert 'images of its own size' in refused(look, acai, faces)
    assert 'B cannot encode and decode' in refused(look, {'A': acai, 'B': object()}, held_out)
    assert 'came back as (1, 16, 16)' in refused(look, Halves(), held_out)
    assert 'no layer GELU' in refused(look, Autoencoder(nn.Sequential(nn.Conv2d(1, 1, 1), nn.GELU()), nn.Identity()), held_out)
    assert 'look at it with TransferExplorer' in refused(look, transfer, faces)
    assert 'Give at least 2 images' in refused(look, acai, held_out[:1])
    assert 'from -1 to 1' in refused(look, acai, 255 * held_out[:5])
    assert 'one set of images' in refused(look, transfer, drawn_domains(2))
    assert 'a single code' in refused(TransferExplorer, acai, held_out, held_out)
    assert 'images of its own size' in refused(TransferExplorer, transfer, held_out, held_out)
    assert 'two codes' in refused(LatentExplorer, transfer, faces)
    assert 'give it CrossChange(model)' in refused(AugmentationExplorer, acai, train, held_out)
    assert 'make one with Trainer(model, images)' in refused(TrainingPanel, acai)


def test_images_come_in_many_forms():
    for images in (held_out, held_out[:5], held_out.images, torch.from_numpy(held_out.images)):
        assert np.array_equal(images_to_show(images, 3).images, held_out.images[:3])


def test_nothing_stays_of_closed_panels(acai):
    plt.close('all')
    faces, count = drawn_domains(2), len(_instances)
    panels = [InterpolationExplorer(acai, held_out, thumbnails=5) for _ in range(10)]
    panels += [LatentExplorer(acai, held_out, count=50), TrainingPanel(trainer_of(ACAI)),
               TransferExplorer(ContentTransfer.pretrained('faces'), faces.a, faces.b),
               AugmentationExplorer(CrossChange(acai), train, held_out)]
    panels[11].buttons['One step'].click()
    trainer = weakref.ref(panels[11].trainer)
    for panel in panels: panel.close()
    assert len(_instances) == count and plt.get_fignums() == []
    del panels, panel
    gc.collect()
    assert trainer() is None


def test_playing_leaves_nothing():
    panel = TrainingPanel(trainer_of(ACAI))
    explorer = InterpolationExplorer(panel.trainer.model, held_out)
    panel.clock.toggle.value = True
    for tick in range(6):
        panel.clock.play.value += 1
        explorer.across, explorer.next, panel.drawn = tick / 10, 0, 0
        if tick == 2: count, before = len(_instances), explorer.weights     # by now, what is made once is there
    assert len(_instances) == count and plt.get_fignums() == [] and explorer.weights != before
    panel.close()
    assert panel.trainer.saved_step == panel.trainer.steps_done > 0         # closing is a pause
    explorer.close()


def test_what_cannot_be_chosen_is_refused(acai):
    explorer = InterpolationExplorer(acai, held_out)
    for name, value in {'across': 1.5, 'corners': 3, 'path': 'detour', 'chosen': [0, 1]}.items():
        with pytest.raises(traitlets.TraitError): setattr(explorer, name, value)
    explorer.chosen, explorer.corners = [99, 1, 2, 3], 4                    # a picture that only the page knows
    explorer.still()
    plt.close('all')
    explorer.close()


def test_a_model_that_diverges_is_a_sentence_and_stops_nobody_else(acai):
    trainer = trainer_of(ACAI)
    explorers = [LatentExplorer(trainer.model, held_out, count=40), InterpolationExplorer(trainer.model, held_out), InterpolationExplorer(acai, held_out)]
    with torch.no_grad(): next(trainer.model.encoder.parameters()).fill_(float('nan'))
    refresh_explorers(at_once=True)
    assert ['not finite' in explorer.problem for explorer in explorers] == [True, True, False]
    for explorer in explorers:
        explorer.close()
        assert 'is closed' in refused(explorer.still) and explorer.weights == []


def test_looking_leaves_a_model_in_training():
    model = Autoencoder.preset('digits', network=SMALL).train()
    for explorer in InterpolationExplorer(model, held_out), LatentExplorer(model, held_out, count=20):
        assert model.training
        explorer.close()


def test_steering():
    panel, single = TrainingPanel(trainer_of(ACAI)), TrainingPanel(trainer_of())
    for one in (panel, single): one.buttons['One step'].click()
    assert list(panel.steering.weights) == ['reconstruction', 'regulariser', 'critic'] and not single.steering.weights
    panel.steering.weights['critic'].value = -1
    assert panel.trainer.model.term_weights['critic'] == 0
    panel.trainer.lr_factor = 1e-4                              # by a line of Python, beyond the slider's end
    panel.refresh()
    assert panel.steering.lr.value == panel.trainer.lr_factor == 1e-4
    panel.close(), single.close()


def test_curves_of_long_runs():
    trainer = trainer_of()
    trainer.step()
    row = trainer.record.row(trainer)
    trainer.history.extend({**row, 'step': step} for step in range(5000))
    steps, _ = loss_curves(trainer)['reconstruction']
    assert 300 < len(steps) <= 402 and steps[-2:] == [4999, 1]


def test_two_programs_do_not_train_into_one_folder(tmp_path):
    panel = TrainingPanel(trainer_of(out=tmp_path/'run'))
    panel.buttons['One step'].click()
    panel.buttons['Save'].click()
    trainer_of(out=tmp_path/'run').fit(until=4, progress=False)
    with pytest.raises(NonvaeError, match='was trained on by somebody else since step 1'):
        panel.buttons['One step'].click()
    assert 'nonvae-wrong' in panel.message.value
    panel.buttons['Back to checkpoint'].click()                             # reads what the other one left
    assert panel.trainer.steps_done == 4 and 'Back at step 4' in panel.message.value
    panel.step()
    panel.close()


@pytest.mark.parametrize('device', DEVICES)
def test_an_augmentation_is_the_same_at_every_call(acai, device):
    training = Training(steps=1, batch_size=8, device=device)
    experiment = Experiment(CrossChange(acai), 'colour-noise', train, held_out[:8], training)
    x = held_out[:8].to(device)
    assert torch.equal(experiment.changed(x), experiment.changed(x)) and not torch.equal(experiment.changed(x), x)
