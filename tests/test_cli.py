"""Everything that can be mistyped: one sentence, exit code 2, no traceback, nothing written."""
import io
from contextlib import redirect_stderr, redirect_stdout

import pytest

from nonvae.cli import main

MISTAKES = '''
trian acai-digits | did you mean train?
train crosschange --out r | needs a trained autoencoder
train crosschange --from nowhere --out r | There is no nowhere
train crosschange --from acai-digits --out r --model.augmentations [flip] | There is no augmentation called 'flip'
train crosschange --from acai-digits --out r --model.augmentations [reverse-channels] | Grey images have no channels
train crosschange --from acai-digits --out r --model.probabilities [1,2] | probabilities must be
train ltae-s-2 --out r --model.transform both | --model.transform must be 'standardise', 'min-max' or 'none'
train ltae-s-2 --out r --training.batch_size 1 --training.steps 2 | batch_size of at least 2
compare nowhere | There is no nowhere
page | Name a run, or weights that ship
page nowhere | There is no nowhere
page acai-digits --out page.png | choose a name that ends in .html
page acai-digits masked-faces | write a page for each
page acai-digits --data faces | one set of images
page acai-digits --out nowhere.html/page.html/x.pdf | choose a name that ends in .html
compare acai-digits --quik | did you mean --quick?
compare transfer-faces | two codes
compare --seeds 0 | --seeds must be at least 1
train acai-digit --out r | did you mean acai-digits?
train --out r | Say which preset
train acai-digits | out is missing
train acai-digits --out | --out needs a value
train acai-digits --out= | out is empty
train acai-digits --out r --training.setps 5 | did you mean --training.steps?
train acai-digits --out r --training.step 5 | no option '--training.step'
train acai-digits --out r --training.steps many | --training.steps must be a whole number
train acai-digits --out r --training.steps 2.5 | --training.steps must be a whole number
train acai-digits --out r --training.steps -5 | --training.steps must be greater than 0
train acai-digits --out r --training.batch_size 0 | --training.batch_size must be greater than 0
train acai-digits --out r --training.lr nan | --training.lr must be a finite number
train acai-digits --out r --training.betas [0.9,1] | --training.betas.1 must be less than 1
train acai-digits --out r --training.precision float8 | --training.precision must be
train acai-digits --out r --training.seed -1 | --training.seed must be at least 0
train acai-digits --out r --model.network.image_size 30 | choose an image_size
train acai-digits --out r --model.network.channels 3 | set --model.network.channels 1
train acai-digits --out r --model.lambda_ -1 | --model.lambda_ must be at least 0
train acai-digits --out r --model.lambda_ inf | must be a finite number
train acai-digits --out r --data digitz | There is no data set called 'digitz'
train acai-digits --out r --data folder:nowhere | There is no folder nowhere
train acai-digits --out r --data nowhere.npz | There is no file nowhere.npz
train acai-digits --out r --steps 3 | did you mean --training.steps?
train acai-digits --out r --config nowhere.yaml | could not be read
train acai-digits --out r --training.device cuda:99 | device
train acai-digits --out r --training.device gpu | There is no device called 'gpu'
train acai-cifar10-z16 --out r --root nowhere | cifar10 is not in the folder nowhere
train transfer-celeba --out r | There is no data set called 'glasses_train'
train transfer-faces --out r --data digits | trains on
train transfer-faces --out r --model.network.norm all --model.network.scales 6 | Instance normalisation
evaluate nowhere | There is no nowhere
evaluate acai-digits --device gpu | There is no device called 'gpu'
interpolate | RUN
interpolate acai-digits --out x.txt | does not end in a picture format
interpolate acai-digits --out x.png --frames 1 | --frames must be at least 2
interpolate acai-digits --out x.png --pairs 0 | --pairs must be at least 1
interpolate acai-digits --out x.png --mix diagonal | --mix must be 'lerp' or 'slerp'
interpolate acai-digits --out x.png --seed -1 | --seed must be at least 0
interpolate transfer-faces | two codes
transfer acai-digits | moves nothing
transfer transfer-faces --picture matrx | --picture must be
transfer transfer-faces --a nowhere --b nowhere | There is no folder nowhere
demo --quik | did you mean --quick?
draw-faces more --count many | --count must be a whole number
draw-faces | DEST
preprocess --root nowhere --dest d --attributes a.txt | a.txt could not be read
presets all | all
'''.strip().split('\n')


@pytest.mark.parametrize('mistake', MISTAKES)
def test_a_mistake_is_one_sentence(mistake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, expected = mistake.split(' | ')
    said = io.StringIO()
    with redirect_stderr(said), redirect_stdout(said): code = main(arguments.split())
    text = said.getvalue().strip()
    assert code == 2 and len(text.split('\n')) == 1 and text.startswith('nonvae: '), text
    assert expected in text, text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('text, expected', [
    ('training: null\n', 'training must be a group of settings'), ('training:\n  steps: 2\n  steps: 3\n', "'steps' stands twice"),
    ('model: null\n', 'model must be a group of settings'), ('training:\n  lr: fast\n', 'training.lr must be a number'),
    ('sugar: 1\n', "no setting 'sugar'"), ('a: &x [1]\nb: *x\n', 'aliases'), ('- 1\n', 'holds no settings'),
    ('model:\n  method: plain\n', 'for the method plain'), ('model:\n  network: 7\n', 'must be a group of settings')])
def test_a_file_with_a_mistake_is_one_sentence(text, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'my.yaml').write_text(text)
    said = io.StringIO()
    with redirect_stderr(said): code = main('train acai-digits --out r --config my.yaml'.split())
    assert code == 2 and expected in said.getvalue().replace('--', ''), said.getvalue()
    assert not (tmp_path/'r').exists()


def test_memory_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = io.StringIO()
    with redirect_stderr(said): code = main('train acai-digits --out r --model.network.depth 65536'.split())
    assert code == 2 and 'more memory than there is' in said.getvalue(), said.getvalue()


def test_help_of_every_command(capsys):
    for command in ('demo', 'train', 'evaluate', 'interpolate', 'presets', 'compare', 'draw-faces', 'preprocess', 'transfer', 'page',
                    'train acai-digits', 'train ltae-s-2', 'train transfer-faces', 'train crosschange'):
        assert main([*command.split(), '--help']) == 0
        assert 'usage: nonvae' in capsys.readouterr().out
    assert main(['presets']) == 0 and main([]) == 0 and main(['--version']) == 0
