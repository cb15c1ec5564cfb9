"The command line in unfriendly surroundings: a sentence and an exit code, or simply the work done; never a traceback."
import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

QUICK = ('train', 'plain-digits', '--out', 'run', '--training.steps', '2', '--training.batch_size', '8', '--training.device', 'cpu',
         '--model.network.depth', '4')


@pytest.mark.parametrize('environment, code, words', [
    ({'WORLD_SIZE': 'abc'}, 2, 'unset WORLD_SIZE'), ({'WORLD_SIZE': '2', 'RANK': '5'}, 2, 'unset WORLD_SIZE'),
    ({'WORLD_SIZE': '-1'}, 2, 'unset WORLD_SIZE'), ({'RANK': '1'}, 0, ''), ({'NONVAE_CACHE': '/dev/null/no'}, 0, ''),
    ({'HOME': '/nowhere', 'NONVAE_CACHE': ''}, 0, '')])
def test_environments(nonvae, environment, code, words):
    ended, out, err = nonvae(*QUICK, **environment)
    assert ended == code and words in err and 'Traceback' not in err, err


def test_an_error_of_a_process_that_inherited_a_rank_is_said(nonvae):
    code, out, err = nonvae('train', 'plain-digit', '--out', 'run', RANK='1')
    assert code == 2 and 'did you mean plain-digits' in err


def test_a_name_that_is_no_text_can_be_said_in_ascii_and_gone_on_with(run, tmp_path):
    name = os.fsdecode(b'r\xff\xc3\xa4')
    for steps in ('2', '4'):
        code, out, err = run(sys.executable, '-m', 'nonvae.cli', *QUICK[:3], name, QUICK[4], steps, *QUICK[6:],
                             PYTHONIOENCODING='ascii', LC_ALL='C', PYTHONUTF8='0')
        assert code == 0 and 'Traceback' not in err, err
    assert (tmp_path/name/'model.safetensors').exists()


@pytest.mark.parametrize('arguments', [('--help',), ('train', 'acai-digits', '--help')])
def test_a_reader_that_has_gone(tmp_path, arguments):
    program = subprocess.Popen([sys.executable, '-m', 'nonvae.cli', *arguments], cwd=tmp_path, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    program.stdout.close()
    said = program.stderr.read()
    assert program.wait(60) in (0, 2) and 'Traceback' not in said and 'Exception ignored' not in said, said


def test_ctrl_c_while_torch_is_being_imported(run, tmp_path):
    (tmp_path/'torch.py').write_text('import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n')
    heard = 'import signal; signal.signal(signal.SIGINT, signal.default_int_handler); '      # also where a shell in the background ignores it
    code, out, err = run(sys.executable, '-c', heard + 'import sys, nonvae; sys.exit(nonvae.program())', PYTHONPATH=str(tmp_path))
    assert (code, out, err) == (130, '', 'nonvae: stopped.\n')


@pytest.mark.parametrize('address, port', [('127.0.0.1', 'no port'), ('127.0.0.1', 'used'), ('no such host', '29999')])
def test_processes_that_cannot_find_each_other(nonvae, address, port):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = str(taken.getsockname()[1]) if port == 'used' else port
        names = {'WORLD_SIZE': '2', 'RANK': '0', 'LOCAL_RANK': '0', 'MASTER_ADDR': address, 'MASTER_PORT': port}
        if address == '127.0.0.1': names['TORCHELASTIC_RUN_ID'] = 'one'
        code, out, err = nonvae(*QUICK, timeout=60, **names)
    assert code == 2 and 'torchrun' in err and 'Traceback' not in err, err


@pytest.mark.parametrize('arguments, words', [
    (('train', 'plain-digits', '--out', 'run', '--config', 'pipe'), 'is a pipe'),
    (('train', 'plain-digits', '--out', 'run', '--data', 'pipe.npz'), 'is a pipe'),
    (('interpolate', 'plain-digits', '--images', 'pipe'), 'no folder|is a pipe'),
    (('evaluate', 'pipe'), 'There is no pipe'),
    (('train', 'plain-digits', '--out', 'run'), 'is a pipe')])
def test_pipes_in_the_place_of_files(nonvae, tmp_path, arguments, words):
    for name in ('pipe', 'pipe.npz', 'run/checkpoint.pt'):
        (tmp_path/name).parent.mkdir(exist_ok=True)
        os.mkfifo(tmp_path/name)
    code, out, err = nonvae(*arguments, timeout=60)
    assert code == 2 and re.search(words, err) and 'Traceback' not in err, err


@pytest.mark.skipif(os.name != 'posix' or os.geteuid() == 0, reason='the superuser may write everywhere')
def test_a_run_folder_that_may_not_be_written_is_noticed_at_once(nonvae, tmp_path):
    (tmp_path/'run').mkdir(mode=0o500)
    code, out, err = nonvae(*QUICK)
    assert code == 2 and 'choose' in err and 'Traceback' not in err, err


def test_a_full_disk_is_said(nonvae, tmp_path):
    code, out, err = nonvae('interpolate', 'acai-digits', '--out', '/dev/full/x.png')
    assert code == 2 and 'Traceback' not in err, err


@pytest.fixture
def disk(tmp_path):
    "Makes a disk of its own for the folder `run`: disk('size=300k'), later disk('remount,ro')."
    (tmp_path/'run').mkdir()

    def mount(options):
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', tmp_path/'run'], capture_output=True)
        if done.returncode: pytest.skip('no disk may be mounted here')
    yield mount
    subprocess.run(['umount', tmp_path/'run'], capture_output=True)


@pytest.mark.skipif(shutil.which('mount') is None, reason='no mount here')
@pytest.mark.parametrize('options', ['size=120k', 'size=8k', 'ro'])
@pytest.mark.parametrize('arguments', [
    QUICK, ('draw-faces', 'run', '--count', '30'), ('draw-faces', 'run/faces', '--count', '30'),
    ('interpolate', 'acai-digits', '--out', 'run/x.png', '--pairs', '40', '--frames', '60'),
    ('interpolate', 'acai-digits', '--out', 'run/x.gif', '--pairs', '20', '--frames', '60'),
    ('preprocess', '--root', 'faces/img_align_celeba', '--attributes', 'faces/list_attr_celeba.txt', '--dest', 'run', '--pack', '64',
     '--num_test_imgs', '2'), ('demo', '--quick', '--out', 'run/demo')])
def test_a_small_disk_or_one_that_is_read_only(nonvae, disk, tmp_path, arguments, options):
    if arguments[0] == 'preprocess': assert nonvae('draw-faces', 'faces', '--count', '30')[0] == 0
    disk(options)
    code, out, err = nonvae(*arguments)
    assert code == 2 and 'Traceback' not in err and re.search('could not be written|free some space', err), err
    assert not [path for path in (tmp_path/'run').rglob('*.partial')]


@pytest.mark.skipif(shutil.which('mount') is None, reason='no mount here')
def test_a_run_on_a_disk_that_became_read_only_can_be_looked_at(nonvae, disk):
    disk('size=50m')
    assert nonvae(*QUICK)[0] == 0
    disk('remount,ro')
    assert nonvae('interpolate', 'run', '--out', 'x.png')[0] == 0
    code, out, err = nonvae(*QUICK[:5], '4', *QUICK[6:])
    assert code == 2 and 'could not be written' in err and 'Traceback' not in err, err
