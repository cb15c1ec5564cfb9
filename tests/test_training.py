"""The Trainer: going on gives the same bits, what does not fit is refused with a sentence, and nothing ends a run that
need not. Small networks, one thread."""
import ctypes
import io
import os
import pickle
import re
import signal
import sys
import threading
from collections import Counter

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from nonvae.acai import ACAI
from nonvae.autoencoder import Autoencoder
from nonvae.callbacks import TrainingDiverged
from nonvae.core import NonvaeError
from nonvae.data import Domains, ImageSet
from nonvae.fast import keep_freed_memory
from nonvae.networks import Critic, Decoder, Encoder, MLPDecoder, MLPEncoder
from nonvae.training import Model, Trainer, Training

torch.set_num_threads(1)
CONV = dict(image_size=8, depth=2, latent_width=2, latent_channels=4)
SETTINGS = Training(steps=12, batch_size=8, lr=1e-2, warmup_steps=3, decay_steps=20, log_every=5, precision='float32',
                    device='cpu')


def images(count=40, shape=(1, 8, 8), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


TRAIN, HELD_OUT = ImageSet(images(), source='noise'), ImageSet(images(seed=1))


class Noisy(Model):
    "A small model with noise, and two terms."
    def __init__(self, size=.1, image_size=8):
        super().__init__(MLPEncoder(image_size=image_size, hidden=16, outputs=4),
                         MLPDecoder(image_size=image_size, hidden=16, latent_size=4), size=size)

    def forward(self, x):
        z = self.encode(x)
        reconstruction = self.decode(z + .1 * torch.randn_like(z)).to(x.dtype)
        return {'reconstruction': (reconstruction - x).square().mean(), 'size': z.square().mean()}


class Pair(Noisy):
    "A model that trains on two domains."
    domains = 2


class Game(Noisy):
    "A model with two players."
    def players(self): return {'encoder': list(self.encoder.parameters()), 'decoder': list(self.decoder.parameters())}


def acai(): return ACAI(Encoder(**CONV), Decoder(**CONV), Critic(**CONV))
def wide():
    "ACAI with layers wide enough for Muon to call their weights matrices."
    size = CONV | {'depth': 8}
    return ACAI(Encoder(**size), Decoder(**size), Critic(**size))


def normed(): return Autoencoder(Encoder(**CONV, batch_norm=True), Decoder(**CONV, batch_norm=True), latent_dropout=.3)


def trainer(make=Noisy, settings=SETTINGS, data=TRAIN, **options):
    torch.manual_seed(0)
    return Trainer(make(), data, settings, **options)


def weights(trained): return {name: t.clone() for name, t in trained.model.state_dict().items()}


def same(a, b): return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def losses(trained): return [{n: v for n, v in row.items() if n != 'seconds'} for row in trained.history]


def refused(make, *words):
    "The sentence with which `make()` is refused."
    with pytest.raises(NonvaeError) as caught: make()
    sentence = str(caught.value)
    assert all(word in sentence for word in words) and sentence.endswith('.') and '\n' not in sentence, sentence
    return sentence


# ---------------------------------------------------------------- going on

@pytest.mark.parametrize('make, optimizer', [(Noisy, 'adam'), (Noisy, 'muon'), (acai, 'adam'), (wide, 'muon'), (normed, 'adam')])
@pytest.mark.parametrize('pause', [3, 5, 7])
def test_going_on_gives_the_same_bits(tmp_path, make, optimizer, pause):
    settings = SETTINGS.but(optimizer=optimizer)
    once = trainer(make, settings, held_out=HELD_OUT, out=tmp_path/'once').fit(progress=False)
    trainer(make, settings, held_out=HELD_OUT, out=tmp_path/'twice').fit(until=pause, progress=False)
    torch.rand(3)                                                   # somebody else draws random numbers
    twice = trainer(make, settings, held_out=HELD_OUT, out=tmp_path/'twice')
    assert twice.steps_done == twice.saved_step == pause
    twice.fit(progress=False)
    assert same(weights(once), weights(twice)) and losses(once) == losses(twice)
    assert 'held_out_reconstruction' in once.history[0]
    names = 'model.safetensors', 'config.yaml'
    assert all((tmp_path/'once'/name).read_bytes() == (tmp_path/'twice'/name).read_bytes() for name in names)


def test_steps_by_hand_and_saving_all_the_time_change_nothing(tmp_path):
    once = trainer().fit(progress=False)
    eager = trainer(settings=SETTINGS.but(save_seconds=0.), out=tmp_path/'run', held_out=HELD_OUT)
    for step in range(12): eager.step()
    assert same(weights(once), weights(eager)) and eager.saved_step == 12


def test_going_back_in_memory_gives_the_same_bits():
    once = trainer().fit(progress=False)
    twice = trainer().fit(until=7, progress=False)
    for step in range(3): twice.step()
    twice.back()
    assert twice.steps_done == 7
    assert same(weights(once), weights(twice.fit(progress=False))) and losses(once) == losses(twice)
    refused(lambda: trainer().back(), 'no checkpoint to go back to')


def test_a_run_that_was_steered_goes_on_as_it_was_steered(tmp_path):
    first = trainer(out=tmp_path)
    first.lr_factor, first.model.term_weights['size'] = .5, .7
    first.fit(until=6, progress=False)
    second = trainer(out=tmp_path)
    assert (second.lr_factor, second.model.term_weights) == (.5, {'size': .7})
    assert second.steered() == 'learning rate x 0.5, weight of size 0.7'
    second.step()
    assert second.optimizer.param_groups[0]['lr'] == .5 * SETTINGS.rate(6)


def test_another_layout_in_memory_is_no_other_run(tmp_path):
    trainer(acai, SETTINGS.but(fast=False), out=tmp_path/'run').fit(until=6, progress=False)
    saved = torch.load(tmp_path/'run'/'checkpoint.pt', weights_only=True)
    for state in saved['optimizer']['state'].values():              # as a device with other preferences would leave it
        for name in ('exp_avg', 'exp_avg_sq'): state[name] = state[name].contiguous()
    torch.save(saved, tmp_path/'run'/'checkpoint.pt')
    once = trainer(acai, SETTINGS.but(fast=False)).fit(progress=False)
    twice = trainer(acai, SETTINGS.but(fast=False), out=tmp_path/'run').fit(progress=False)
    assert same(weights(once), weights(twice))


def test_auto_precision_is_stored_as_resolved_and_taken_from_the_checkpoint(tmp_path, monkeypatch):
    auto, now = SETTINGS.but(precision='auto'), {'auto': torch.bfloat16}
    monkeypatch.setattr('nonvae.training.pick_precision', lambda name, device: now.get(name) or getattr(torch, name))
    once = trainer(settings=auto).fit(progress=False)
    trainer(settings=auto, out=tmp_path).fit(until=6, progress=False)
    assert yaml.safe_load((tmp_path/'config.yaml').read_text())['training']['precision'] == 'bfloat16'
    now['auto'] = torch.float32                                     # on other hardware
    twice = trainer(settings=auto, out=tmp_path)
    assert twice.dtype == torch.bfloat16
    assert same(weights(once), weights(twice.fit(progress=False)))
    refused(lambda: trainer(settings=SETTINGS, out=tmp_path), 'training.precision = bfloat16', 'float32')


# ---------------------------------------------------------------- what must not end a run, and what does

class Broken(io.StringIO):
    "A pipe that nobody reads."
    def write(self, text): raise BrokenPipeError(32, 'Broken pipe')
    def flush(self): raise BrokenPipeError(32, 'Broken pipe')


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize('make', [closed, Broken, lambda: None])
def test_a_progress_bar_that_cannot_write_ends_no_run(monkeypatch, make):
    expected = trainer().fit(progress=False)
    monkeypatch.setattr(sys, 'stderr', make())
    assert same(weights(trainer().fit()), weights(expected))


def test_a_progress_bar_whose_window_closes_meanwhile_ends_no_run(monkeypatch):
    monkeypatch.setattr(sys, 'stderr', io.StringIO())

    class Close:
        def after_step(self, trainer, terms): sys.stderr.close()

    assert trainer(callbacks=[Close()]).fit().steps_done == 12


class Fail:
    "Raises an error after step 7."
    def __init__(self, hook): setattr(self, hook, self.fail)
    def fail(self, trainer, *arguments):
        if trainer.steps_done >= 5: raise ZeroDivisionError('my own mistake')


@pytest.mark.parametrize('hook', ['after_step', 'after_row', 'after_fit'])
def test_what_was_trained_until_a_callback_failed_is_saved(tmp_path, hook):
    usual = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError, match='my own mistake'):
        trainer(normed, out=tmp_path, callbacks=[Fail(hook)]).fit(progress=False)
    assert signal.getsignal(signal.SIGINT) is usual                 # whatever fails, the other callbacks end properly
    again = trainer(normed, out=tmp_path)
    assert again.steps_done == (12 if hook == 'after_fit' else 5)
    assert same(weights(again.fit(progress=False)), weights(trainer(normed).fit(progress=False)))


def test_a_step_that_was_cut_off_is_not_saved(tmp_path):
    "It has already moved the statistics of batch norm."
    cut = trainer(normed, SETTINGS.but(save_seconds=0.), out=tmp_path)

    def fail(*arguments):
        if cut.steps_done == 6: raise KeyboardInterrupt

    cut.model.decoder.register_forward_hook(fail)
    with pytest.raises(KeyboardInterrupt): cut.fit(progress=False)
    again = trainer(normed, SETTINGS.but(save_seconds=0.), out=tmp_path)
    assert again.steps_done == 6
    assert same(weights(again.fit(progress=False)), weights(trainer(normed).fit(progress=False)))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_fit_after_the_step(tmp_path, number):
    class Press:
        def after_step(self, trainer, terms):
            if trainer.steps_done == 4: signal.raise_signal(number)

    usual = signal.getsignal(number)
    ended = trainer(out=tmp_path, callbacks=[Press()]).fit(progress=False)
    assert ended.interrupted and ended.steps_done == ended.saved_step == 4 and not ended.model.training
    assert signal.getsignal(number) is usual
    assert not ended.fit(until=5, progress=False).interrupted


def test_a_callback_may_stop_the_run():
    class Stop:
        def after_row(self, trainer, row):
            row['mine'] = 1.
            trainer.stop()

    ended = trainer(callbacks=[Stop()]).fit(progress=False)
    assert ended.steps_done == ended.saved_step == 5 and ended.history[0]['mine'] == 1


def test_a_diverged_run_keeps_the_good_checkpoint(tmp_path):
    run = trainer(acai, SETTINGS.but(optimizer='sgd'), held_out=HELD_OUT, out=tmp_path).fit(until=6, progress=False)
    before = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
    run.lr_factor = 1e6
    with pytest.raises(TrainingDiverged, match='after step 10.*became (nan|inf).*is kept.*smaller training.lr'):
        run.fit(progress=False)
    for act in (run.save, run.fit):
        with pytest.raises(TrainingDiverged): act()
    assert {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()} == before
    run.back()
    assert run.fit(progress=False).steps_done == 12


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    run = trainer(out=tmp_path).fit(until=3, progress=False)
    good = (tmp_path/'checkpoint.pt').read_bytes()
    with torch.no_grad(): next(run.model.parameters())[0, 0] = float('nan')
    with pytest.raises(TrainingDiverged, match='encoder.layers.0.weight.*not finite'): run.save()
    assert (tmp_path/'checkpoint.pt').read_bytes() == good


# ---------------------------------------------------------------- what does not fit

def test_data_that_does_not_fit_is_refused_when_the_trainer_is_made():
    small = ImageSet(images(shape=(1, 4, 4)))
    refused(lambda: trainer(held_out=small), 'held-out images are 1x4x4', '1x8x8')
    refused(lambda: trainer(data=small), 'cannot take images of 1x4x4')
    refused(lambda: trainer(acai, data=ImageSet(images(shape=(1, 10, 10)))), 'makes images of 1x8x8', '1x10x10')
    refused(lambda: trainer(acai, data=ImageSet(images(shape=(3, 8, 8)))), 'cannot take images of 3x8x8')
    recipe = lambda: ACAI.preset('digits', seed=0)
    refused(lambda: trainer(recipe, data=ImageSet(images(shape=(1, 64, 64)))), 'built for images of 1x32x32', '1x64x64')


def test_data_of_the_wrong_kind_is_refused():
    refused(lambda: trainer(acai, data=Domains(TRAIN, TRAIN)), 'ACAI trains on one set of images', 'data is Domains')
    refused(lambda: trainer(acai, held_out=Domains(TRAIN, TRAIN)), 'held_out is Domains')
    refused(lambda: trainer(Pair), 'Pair trains on Domains', 'data is ImageSet')
    refused(lambda: trainer(data=7), 'Data is an ImageSet')
    refused(lambda: trainer(data=images().astype(np.float32)), 'uint8')
    refused(lambda: trainer(settings=SETTINGS.but(device='abacus')), 'abacus')


def test_another_run_is_refused(tmp_path):
    trainer(out=tmp_path).fit(until=6, progress=False)
    refused(lambda: trainer(settings=SETTINGS.but(lr=.1), out=tmp_path), 'training.lr = 0.01', '0.1')
    refused(lambda: trainer(Game, out=tmp_path), 'holds a run of Noisy, not of Game')
    refused(lambda: trainer(lambda: Noisy(size=.5), out=tmp_path), 'term_weights.size = 0.1', '0.5')
    refused(lambda: trainer(data=HELD_OUT, out=tmp_path), 'other data')
    refused(lambda: trainer(out=tmp_path/'config.yaml'), 'is a file')
    assert trainer(settings=SETTINGS.but(steps=20, log_every=2, fast=False), out=tmp_path).steps_done == 6
    (tmp_path/'checkpoint.pt').unlink()
    refused(lambda: trainer(out=tmp_path), 'but no checkpoint.pt')


class Evil:
    def __reduce__(self): return os.mkdir, ('the-code-ran',)


def test_a_damaged_foreign_or_evil_checkpoint_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer(out='run').fit(until=6, progress=False)
    file = tmp_path/'run'/'checkpoint.pt'
    good, foreign = file.read_bytes(), io.BytesIO()
    torch.save({'state_dict': {}, 'epoch': 3}, foreign)
    for content in (good[:3000], b'', foreign.getvalue(), pickle.dumps(Evil(), protocol=2)):
        file.write_bytes(content)
        refused(lambda: trainer(out='run'), 'checkpoint.pt is damaged')
    assert not (tmp_path/'the-code-ran').exists()


def tamper(place, change):
    saved = torch.load(place/'checkpoint.pt', weights_only=True)
    change(saved)
    torch.save(saved, place/'checkpoint.pt')


def first(saved): return saved['optimizer']['state'][0]


@pytest.mark.parametrize('change', [
    lambda saved: first(saved).update(exp_avg=torch.tensor(0.)),
    lambda saved: first(saved).update(exp_avg_sq=first(saved)['exp_avg_sq'].T),
    lambda saved: first(saved).update(step=torch.zeros(0)),
    lambda saved: saved['optimizer']['param_groups'][0]['params'].pop(),
    lambda saved: saved['optimizer']['state'].update({99: first(saved)}),
    lambda saved: saved['weights'].update({'encoder.layers.0.bias': torch.zeros(3)}),
    lambda saved: saved.update(step=-1),
    lambda saved: saved['history'].pop('rows'),
    lambda saved: saved['about']['training'].pop('precision')])
def test_a_checkpoint_of_other_shapes_is_refused_and_nothing_changes(tmp_path, change):
    run = trainer(settings=SETTINGS.but(precision='auto'), out=tmp_path).fit(until=6, progress=False)
    run.step()
    before, state = weights(run), run.optimizer.state_dict()
    tamper(tmp_path, change)
    refused(run.back, 'checkpoint.pt is damaged', 'choose another folder')
    assert same(weights(run), before) and run.steps_done == 7 and len(run.history) == 1
    assert all(run.optimizer.state_dict()['state'][0][name] is state['state'][0][name] for name in ('exp_avg', 'step'))
    refused(lambda: trainer(settings=SETTINGS.but(precision='auto'), out=tmp_path), 'checkpoint.pt is damaged')


def test_an_optimiser_state_that_lies_strangely_in_memory_is_laid_out_again(tmp_path):
    trainer(out=tmp_path).fit(until=6, progress=False)
    tamper(tmp_path, lambda saved: first(saved).update(exp_avg=torch.zeros(1).expand(16, 64)))
    run = trainer(out=tmp_path)
    parameter = run.optimizer.param_groups[0]['params'][0]
    assert run.optimizer.state[parameter]['exp_avg'].stride() == parameter.stride()
    assert run.fit(progress=False).steps_done == 12


# ---------------------------------------------------------------- the folder

def test_files_that_are_older_than_the_checkpoint_are_written_again(tmp_path):
    trainer(out=tmp_path).fit(until=6, progress=False)
    for name in ('model.safetensors', 'config.yaml', 'history.csv'):
        good = (tmp_path/name).read_bytes()
        (tmp_path/name).write_bytes(b'old')
        os.utime(tmp_path/name, (0, 0))
        trainer(out=tmp_path)
        assert (tmp_path/name).read_bytes() == good
        (tmp_path/name).unlink()
        trainer(out=tmp_path)
        assert (tmp_path/name).read_bytes() == good


def test_a_second_trainer_in_the_same_folder_is_refused(tmp_path):
    one, other = trainer(out=tmp_path), trainer(out=tmp_path)
    with one.alone(): refused(lambda: other.fit(progress=False), 'Another process is training in')
    one.fit(until=5, progress=False)
    for act in (other.fit, other.save): refused(act, 'trained on by somebody else since step 0')    # one after the other
    other.back()
    assert other.fit(until=6, progress=False).steps_done == 6
    assert trainer(out=tmp_path).steps_done == 6


def test_what_a_killed_run_was_writing_is_removed_and_nothing_else(tmp_path):
    trainer(out=tmp_path, held_out=HELD_OUT).fit(until=2, progress=False)
    mine = [tmp_path/'.config.yaml.12ab.partial', tmp_path/'pictures'/'.0000002.png.12ab.partial']
    others = tmp_path/'.scores.json.12ab.partial'
    for path in (*mine, others): path.touch()
    trainer(out=tmp_path).fit(until=3, progress=False)
    assert others.exists() and not any(path.exists() for path in mine)


def test_saving_from_several_threads_at_once(tmp_path):
    run = trainer(out=tmp_path).fit(until=6, progress=False)
    failed = []

    def save():
        try:
            for _ in range(5): run.save()
        except Exception as error: failed.append(error)

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not failed and trainer(out=tmp_path).steps_done == 6


def test_pictures_are_not_written_through_a_link(tmp_path):
    (tmp_path/'elsewhere').mkdir()
    (tmp_path/'run').mkdir()
    (tmp_path/'run'/'pictures').symlink_to(tmp_path/'elsewhere')
    refused(lambda: trainer(out=tmp_path/'run', held_out=HELD_OUT), 'pictures is a symbolic link')
    assert not [*(tmp_path/'elsewhere').iterdir()]


def test_a_trainer_never_changes_how_memory_is_allocated(monkeypatch):
    def load(name, *arguments, usual=ctypes.CDLL, **options):
        assert name and 'libc' not in str(name), 'the C library was asked for'
        return usual(name, *arguments, **options)

    monkeypatch.setattr(ctypes, 'CDLL', load)
    with pytest.raises(AssertionError): keep_freed_memory()         # this is how it would do so
    trainer(acai, held_out=HELD_OUT).fit(until=2, progress=False)


# ---------------------------------------------------------------- data and optimisers of one's own

class Pixels(torch.utils.data.Dataset):
    def __len__(self): return len(TRAIN)
    def __getitem__(self, place): return torch.from_numpy(TRAIN.images[place]), 7


class Floats(Pixels):
    def __getitem__(self, place): return torch.from_numpy(TRAIN.images[place] / np.float32(255))


@pytest.mark.parametrize('data', [TRAIN.images, torch.from_numpy(TRAIN.images), Pixels(), Floats()])
def test_whatever_holds_images_trains_to_the_same_bits(tmp_path, data):
    expected = trainer(held_out=HELD_OUT).fit(progress=False)
    trainer(data=data, held_out=HELD_OUT.images, out=tmp_path).fit(until=6, progress=False)
    other = trainer(held_out=HELD_OUT, out=tmp_path).fit(progress=False)            # goes on with the ImageSet
    assert same(weights(other), weights(expected)) and losses(other) == losses(expected)


def own(kind, **options):
    "A model and an optimiser for it, with two rates."
    torch.manual_seed(0)
    model = Game()
    groups = [{'params': model.encoder.parameters(), 'lr': 1e-2}, {'params': model.decoder.parameters()}]
    return model, kind(groups, lr=3e-3, **options)


@pytest.mark.parametrize('kind', [torch.optim.RMSprop, torch.optim.Adafactor, torch.optim.NAdam])
def test_an_own_optimiser_trains_at_its_own_rates_and_goes_on(tmp_path, kind):
    def run(**options):
        model, optimizer = own(kind)
        return Trainer(model, TRAIN, SETTINGS, optimizer=optimizer, **options)

    before = weights(run())
    once, half = run().fit(progress=False), run(out=tmp_path).fit(until=7, progress=False)
    twice = run(out=tmp_path).fit(progress=False)
    assert same(weights(once), weights(twice)) and not same(weights(once), before)
    rates = [group['lr'] for group in once.optimizer.param_groups]
    assert rates == [rate * SETTINGS.schedule(11) for rate in (1e-2, 3e-3)]


def test_a_run_with_another_optimiser_is_refused(tmp_path):
    model, optimizer = own(torch.optim.RMSprop)
    Trainer(model, TRAIN, SETTINGS, out=tmp_path, optimizer=optimizer).fit(until=3, progress=False)
    model, optimizer = own(torch.optim.NAdam)
    refused(lambda: Trainer(model, TRAIN, SETTINGS, out=tmp_path, optimizer=optimizer), 'optimizer.kind = RMSprop', 'NAdam')
    model, optimizer = own(torch.optim.RMSprop)
    optimizer.param_groups[0]['lr'] = .5
    refused(lambda: Trainer(model, TRAIN, SETTINGS, out=tmp_path, optimizer=optimizer), 'optimizer.lr', '0.5')


@pytest.mark.parametrize('name', ['adam', 'adamw', 'muon', 'sgd'])
def test_each_optimiser_of_the_settings_learns(name):
    run = trainer(settings=Training(optimizer=name, steps=60, batch_size=8, lr=1e-2, log_every=20, device='cpu'))
    history = run.fit(progress=False).history
    assert history[-1]['reconstruction'] < history[0]['reconstruction']


def test_each_player_is_clipped_by_itself():
    def lengths(clip_norm):
        run = trainer(Game, SETTINGS.but(clip_norm=clip_norm))
        run.step()
        return [torch.cat([p.grad.flatten() for p in group['params']]).norm().item() for group in run.optimizer.param_groups]

    free = lengths(0.)
    limit = .9 * min(free)
    assert lengths(limit) == pytest.approx([limit, limit], rel=1e-3) and lengths(2 * max(free)) == free


def test_the_second_player_can_learn_at_a_rate_of_its_own():
    def moved(**changes):
        run = trainer(Game, SETTINGS.but(optimizer='sgd', betas=(0., .999), **changes))
        before = [torch.cat([p.detach().flatten() for p in group['params']]) for group in run.optimizer.param_groups]
        run.step()
        return [(torch.cat([p.detach().flatten() for p in group['params']]) - old).norm().item()
                for group, old in zip(run.optimizer.param_groups, before)]

    first, second = moved()
    assert moved(opponent_lr=.5) == pytest.approx([first, .5 * second], rel=1e-3) and second > 0


# ---------------------------------------------------------------- the device is asked once a row

def test_numbers_leave_the_device_only_when_a_row_is_due(monkeypatch, tmp_path):
    asked = Counter()
    for name in ('item', 'tolist', 'numpy', 'cpu', '__float__', '__int__', '__bool__', '__index__', '__array__'):
        def ask(tensor, *arguments, name=name, usual=getattr(torch.Tensor, name), **options):
            asked[name] += 1
            return usual(tensor, *arguments, **options)
        monkeypatch.setattr(torch.Tensor, name, ask)
    run = trainer(acai, SETTINGS.but(clip_norm=1., log_every=10), held_out=HELD_OUT, out=tmp_path)
    run.call('before_fit')                                          # with a progress bar, too
    asked.clear()
    for step in range(9): run.step()
    assert not asked
    run.step()
    assert len(run.history) == 1 and asked == {'tolist': 3}         # the terms, those of held-out images, and their range
    run.call('after_fit')


def test_a_device_that_is_asked_by_other_means_is_noticed():
    "The same, one level deeper: no operation of a step reads a value."
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):
        seen = Counter()
        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            self.seen[re.sub(r'\..*', '', str(function).removeprefix('aten.'))] += 1
            return function(*arguments, **(options or {}))

    run = trainer(acai, SETTINGS.but(log_every=4), held_out=HELD_OUT)
    with Watch():
        for step in range(3): run.step()
    assert Watch.seen['convolution'] and not Watch.seen['_local_scalar_dense']
