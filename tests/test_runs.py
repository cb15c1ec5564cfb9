"""Run folders survive everything: stops, kills, full disks, several processes. Each training is a process of its
own."""
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

SMALL = ['--model.network.depth', '4', '--training.batch_size', '8', '--training.precision', 'float32',
         '--training.device', 'cpu']
# a small rate, no norm: both enlarge rounding
FACES = ['--data', 'faces:12', '--training.lr', '3e-4', '--model.network.norm', 'none']
MORE = {'transfer-faces': FACES, 'masked-faces': FACES,
        'ltae-s-2': ['--training.precision', 'float32'],
        'crosschange': ['--from', 'plain-digits', '--training.precision', 'float32', '--training.batch_size', '8']}


def options(preset):
    return [*(SMALL if preset not in ('ltae-s-2', 'crosschange') else ['--training.device', 'cpu']),
            *MORE.get(preset, [])]


def weights(folder): return (folder/'model.safetensors').read_bytes()


@pytest.mark.parametrize('preset', ['plain-digits', 'denoising-digits', 'acai-digits', 'transfer-faces', 'masked-faces',
                                    'ltae-s-2', 'crosschange'])
def test_stopping_and_going_on_gives_the_same_bits(nonvae, tmp_path, preset):
    for folder, steps in (('once', 40), ('twice', 20), ('twice', 40)):
        code, out, err = nonvae('train', preset, '--out', folder, '--training.steps', steps, *options(preset))
        assert code == 0, err
    assert 'going on from there' in out
    assert weights(tmp_path/'once') == weights(tmp_path/'twice')


@pytest.mark.parametrize('preset', ['acai-digits', 'transfer-faces'])     # more methods: test_processes.py
def test_two_processes_give_the_weights_of_one(run, nonvae, tmp_path, preset):
    chosen = ['--training.steps', '6', *options(preset)]
    assert nonvae('train', preset, '--out', 'one', *chosen)[0] == 0
    code, out, err = run(sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', 2, '-m',
                         'nonvae.cli', 'train', preset, '--out', 'two', *chosen)
    assert code == 0, err
    one, two = load_file(tmp_path/'one'/'model.safetensors'), load_file(tmp_path/'two'/'model.safetensors')
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5


def start(tmp_path, *options):
    return subprocess.Popen([sys.executable, '-m', 'nonvae.cli', 'train', 'plain-digits', '--out', 'run',
                             '--training.steps', '100000', '--training.save_seconds', '0',
                             *SMALL, *options], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, 'OMP_NUM_THREADS': '1'})


def wait_for(path, seconds=60):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f'{path} did not appear'
        time.sleep(.05)


def test_kill_at_any_moment_leaves_a_run_that_goes_on(nonvae, tmp_path):
    # it saves after every step, so a kill often falls into a save
    for pause in (.05, .31, .77):
        process = start(tmp_path)
        wait_for(tmp_path/'run'/'checkpoint.pt')
        time.sleep(1 + pause)
        process.kill()
        process.communicate()
        saved = torch.load(tmp_path/'run'/'checkpoint.pt', weights_only=True)
        steps = saved['step'] + 3
        code, out, err = nonvae('train', 'plain-digits', '--out', 'run', '--training.steps', steps, *SMALL)
        assert code == 0 and f'at step {saved["step"]}: going on' in out, err
    assert not list((tmp_path/'run').glob('.*.partial'))


def test_interrupt_saves_and_ends_cleanly(tmp_path):
    process = start(tmp_path)
    wait_for(tmp_path/'run'/'checkpoint.pt')
    time.sleep(.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and 'everything is saved' in out and 'Traceback' not in err
    said = int(out.split('Stopped after step ')[1].split(',')[0])
    assert torch.load(tmp_path/'run'/'checkpoint.pt', weights_only=True)['step'] == said


def test_a_panel_that_trains_when_python_ends_is_saved(run, tmp_path):
    code, out, err = run(sys.executable, '-c', '''
from nonvae import Autoencoder, Trainer, digits
from nonvae.recipes import ConvNet
from nonvae.widgets import TrainingPanel
panel = TrainingPanel(Trainer(Autoencoder.preset('digits', network=ConvNet(depth=4)), digits()[0], out='run'))
panel.clock.toggle.value = True
panel.clock.play.value += 1
print(panel.trainer.steps_done)''')
    assert code == 0 and err == ''
    assert torch.load(tmp_path/'run'/'checkpoint.pt', weights_only=True)['step'] == int(out) > 0


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(nonvae, run, tmp_path):
    assert nonvae('train', 'plain-digits', '--out', 'run', '--training.steps', '3', *SMALL)[0] == 0
    before = (tmp_path/'run'/'checkpoint.pt').read_bytes()
    # no file may grow beyond 8 KB: writing fails as on a full disk
    limited = ('import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); '
               'resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)); '
               'from nonvae.cli import main; sys.exit(main(sys.argv[1:]))')
    code, out, err = run(sys.executable, '-c', limited, 'train', 'plain-digits', '--out', 'run', '--training.steps',
                         '6', *SMALL)
    assert code == 2 and 'could not be written' in err and 'Traceback' not in err
    assert (tmp_path/'run'/'checkpoint.pt').read_bytes() == before
    assert not list((tmp_path/'run').glob('.*.partial'))


def test_a_folder_that_cannot_be_written(nonvae):
    for place in ('/proc/nonvae-run', '/dev/null/run'):
        code, out, err = nonvae('train', 'plain-digits', '--out', place, '--training.steps', '2', *SMALL)
        sentences = [line for line in err.splitlines() if line.startswith('nonvae:')]
        assert code == 2 and 'Traceback' not in err and len(sentences) == 1, err


def test_a_foreign_or_damaged_checkpoint_is_refused(nonvae, tmp_path):
    assert nonvae('train', 'plain-digits', '--out', 'run', '--training.steps', '2', *SMALL)[0] == 0
    for name, content in {'foreign': None, 'damaged': (tmp_path/'run'/'checkpoint.pt').read_bytes()[:5000],
                          'empty': b''}.items():
        shutil.copytree(tmp_path/'run', tmp_path/name)
        if content is None: torch.save({'state_dict': {}, 'epoch': 3}, tmp_path/name/'checkpoint.pt')
        else: (tmp_path/name/'checkpoint.pt').write_bytes(content)
        code, out, err = nonvae('train', 'plain-digits', '--out', name, '--training.steps', '4', *SMALL)
        assert code == 2 and 'checkpoint' in err and 'Traceback' not in err, err
    code, out, err = nonvae('train', 'acai-digits', '--out', 'run', '--training.steps', '4', *SMALL)
    assert code == 2 and 'holds a run of Autoencoder' in err, err


def test_divergence_stops_the_run_with_advice(nonvae, tmp_path):
    code, out, err = nonvae('train', 'acai-digits', '--out', 'run', '--training.steps', '300', '--training.lr', '1e8',
                            *SMALL)
    assert code == 1 and 'Traceback' not in err and 'Try a smaller --training.lr' in err, err
    if (tmp_path/'run'/'model.safetensors').exists():
        assert all(t.isfinite().all() for t in load_file(tmp_path/'run'/'model.safetensors').values())


def test_quick_comparison_of_every_method_and_the_second_call_goes_on(nonvae, tmp_path):
    code, out, err = nonvae('compare', '--quick', '--seeds', 1, timeout=900)
    assert code == 0, err
    names = ('plain', 'dropout', 'denoising', 'acai', 'ltae-s', 'ltae-m', 'plain-crossed', 'acai-crossed')
    table = lambda text: [line for line in text.split('\n') if line.startswith('|')]
    assert [cell.strip() for cell in table(out)[0].split('|')[2:-1]] == ['real images', 'cross-fades', *names]
    made = tmp_path/'comparison'
    assert {'table.md', 'scores.json', 'bars.png', 'interpolation.png', 'interpolation.gif', 'planes.png'} <= {
        path.name for path in made.iterdir()}
    before = {name: weights(made/'quick'/f'{name}-0') for name in names}
    code, again, err = nonvae('compare', '--quick', '--seeds', 1, timeout=900)
    assert code == 0 and {name: weights(made/'quick'/f'{name}-0') for name in names} == before
    assert table(again) == table(out)
