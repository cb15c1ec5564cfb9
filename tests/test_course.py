"""The course: every question passes right answers however they are written, and names each mistake; releases leak nothing;
a class with hostile students in it is graded fairly."""
import ast
import copy
import re
import shutil
import sys

import nbformat
import pytest
from conftest import ROOT

from nonvae.course.assignments import assignments, read, repaired, tag_of, tagged, without_solutions
from nonvae.course.questions import NotYet, judge, key, observed, questions

TRAINED = {'a1': 'beats_pca', 'a2': 'score', 'a3': 'model', 'a4': None, 'a5': None}            # needs a trained model

# Right answers that are written differently: the bodies of the functions.
OTHERWISE = {
    'a1': {
        'error': ['return F.mse_loss(x_hat, x)', 'd = x - x_hat\nreturn (d * d).flatten().sum() / d.numel()'],
        'networks': ['e = nn.Sequential(nn.Flatten(), nn.Linear(1024, 40), nn.ELU(), nn.Linear(40, code_size))\n'
                     'return e, nn.Sequential(nn.Linear(code_size, 40), nn.GELU(), nn.Linear(40, 1024), nn.Tanh(), nn.Unflatten(1, (1, 32, 32)))',
                     'e = nn.Sequential(nn.Flatten(), nn.Linear(1024, 3 * code_size), nn.BatchNorm1d(3 * code_size), nn.ReLU(), nn.Linear(3 * code_size, code_size))\n'
                     'return e, nn.Sequential(nn.Linear(code_size, 99), nn.ReLU(), nn.Linear(99, 1024), nn.Unflatten(1, (1, 32, 32)))'],
        'train_step': ['loss = F.mse_loss(decoder(encoder(x)), x)\nloss.backward()\noptimizer.step()\noptimizer.zero_grad()\nreturn loss.detach()',
                       'optimizer.zero_grad()\nx_hat = decoder(encoder(x))\n((x_hat - x)**2).mean().backward()\noptimizer.step()\nreturn float(((x_hat - x)**2).mean())'],
        'pca': ['m = train.mean(0)\nvalues, vectors = torch.linalg.eigh((train - m).T @ (train - m))\nv = vectors[:, -k:]\nreturn m + (test - m) @ v @ v.T',
                'from sklearn.decomposition import PCA\np = PCA(k, svd_solver="full").fit(train.numpy())\nreturn torch.from_numpy(p.inverse_transform(p.transform(test.numpy())))'],
        'interpolate': ['t = torch.linspace(0, 1, frames)[:, None]\nreturn decoder((1 - t) * encoder(a) + t * encoder(b))',
                        'z, w = encoder(a), encoder(b)\nreturn torch.cat([decoder(z + n / (frames - 1) * (w - z)) for n in range(frames)])']},
    'a2': {
        'strengths': ['return torch.empty(n).uniform_(0, .5)', 'return torch.from_numpy(__import__("numpy").random.default_rng(int(torch.randint(10**9, ()))).uniform(0, .5, n))'],
        'mix': ['return torch.stack([(1 - s) * one + s * other for one, other, s in zip(z, reversed(list(z)), alpha)])',
                'alpha = alpha.reshape([len(z)] + [1] * (z.ndim - 1))\nreturn torch.lerp(z, torch.flip(z, [0]), alpha)'],
        'critic': ['with torch.no_grad(): mixed, blend = x_mix.clone(), x_hat + gamma * (x - x_hat)\nreturn F.mse_loss(critic(mixed), alpha) + (critic(blend)**2).mean()',
                   'said = critic(torch.cat([x_mix, torch.lerp(x_hat, x, gamma)]).detach())\nn = len(x)\nreturn ((said[:n] - alpha)**2).sum() / n + (said[n:]**2).sum() / n'],
        'autoencoder': ['return F.mse_loss(x_hat, x) + lambda_ * (critic(x_mix)**2).mean()', 'g = critic(x_mix)\nreturn torch.mean((x - x_hat)**2) + lambda_ * (g @ g) / len(g)'],
        'step': ['optimizer.zero_grad(); loss.backward(); optimizer.step()\ncritic_optimizer.zero_grad(); critic_loss.backward(); critic_optimizer.step()',
                 'for o, l in (critic_optimizer, critic_loss), (optimizer, loss):\n    ps = o.param_groups[0]["params"]\n'
                 '    for p, g in zip(ps, torch.autograd.grad(l, ps, retain_graph=True)): p.grad = g\noptimizer.step(), critic_optimizer.step()']},
    'a3': {
        'codes': ['s = specific(a)\nreturn torch.cat((shared(a), s), dim=1), torch.cat((shared(b), 0 * s), dim=1)',
                  'z = shared(torch.cat([a, b]))\ns = specific(a)\nreturn torch.cat([z, torch.cat([s, s.new_zeros(s.shape)])], 1).chunk(2)'],
        'discriminator': ['la, lb = discriminator(shared_a.detach()), discriminator(shared_b.detach())\nreturn F.softplus(-la).mean() + F.softplus(lb).mean()',
                          'with torch.no_grad(): x = torch.cat([shared_a, shared_b])\ny = torch.cat([torch.ones(len(shared_a)), torch.zeros(len(shared_b))])\n'
                          'return 2 * F.binary_cross_entropy_with_logits(discriminator(x), y)'],
        'confusion': ['return F.softplus(discriminator(shared_a)).mean() + F.softplus(discriminator(shared_b)).mean()',
                      'x = discriminator(torch.cat([shared_a, shared_b]))\nreturn 2 * F.binary_cross_entropy_with_logits(x, torch.zeros_like(x))'],
        'move': ['face, glasses = shared(wearer), specific(giver)\nreturn decoder(torch.cat((face, glasses), dim=1))',
                 'return torch.cat([decoder(torch.cat([shared(w), specific(g)], 1)) for g, w in zip(giver.split(1), wearer.split(1))])'],
        'share': ['return F.mse_loss(moved[:, :, rows], truth[:, :, rows]) / F.mse_loss(wearer[:, :, rows], truth[:, :, rows])',
                  'return ((moved - truth)[:, :, rows]**2).sum() / ((wearer - truth)[:, :, rows]**2).sum()']},
    'a4': {
        'standardise': ['return (z - z.mean(dim=0, keepdim=True)) / z.var(dim=0, unbiased=False).sqrt()', 'c = z - z.sum(0) / len(z)\nreturn c / (c**2).mean(0)**.5'],
        'rescale': ['return alpha * z + alpha * beta', 'return torch.stack([(one + beta) * alpha for one in z])'],
        'transformation_loss': ['return F.mse_loss(transform(z), u)', 'd = u - transform(z)\nreturn (d**2).sum() / d.numel()'],
        'noisy': ['if not training: return u\nreturn torch.normal(u, sigma)', 'return u + (sigma if training else 0) * torch.randn(u.shape)'],
        'plane': ['s = torch.linspace(-2, 2, n)\nreturn decode(torch.stack([torch.stack([x, y]) for y in reversed(list(s)) for x in s]))',
                  's = torch.linspace(-2, 2, n)\nx, y = torch.meshgrid(s, -s, indexing="xy")\nreturn decode(torch.stack([x.ravel(), y.ravel()], 1))'],
        'hausdorff': ['return max(min(float((m - r).norm()) for r in real) for m in made)', 'return torch.cdist(made, real).amin(1).amax()']},
    'a5': {
        'crossed': ['return F.mse_loss(decoder(encoder(x)), x_aug) + F.mse_loss(decoder(encoder(x_aug)), x)',
                    'made = decoder(encoder(torch.cat([x, x_aug])))\nreturn 2 * F.mse_loss(made, torch.cat([x_aug, x]))'],
        'augment': ['import random\nreturn random.choices(changes, probabilities)[0](x)',
                    'r, n = torch.rand(()) * sum(probabilities), 0\nwhile r > probabilities[n]: r, n = r - probabilities[n], n + 1\nreturn changes[n](x)'],
        'learn': ['decoder.requires_grad_(False)\no = torch.optim.SGD([*encoder.parameters()], .1)\nfor pair in zip(batches, augmented):\n'
                  '    loss_of(encoder, decoder, *pair).backward()\n    o.step()\n    o.zero_grad()',
                  'o = torch.optim.AdamW(encoder.parameters(), 1e-3)\nfor n in range(len(batches)):\n    o.zero_grad(set_to_none=True)\n'
                  '    loss_of(encoder, decoder, batches[n], augmented[n]).backward()\n    o.step()'],
        'distance': ['other = torch.cat([z_aug[-1:], z_aug[:-1]])\nreturn torch.linalg.norm(z - z_aug, axis=1).sum() / torch.linalg.norm(z - other, axis=1).sum()',
                     'return ((z - z_aug)**2).sum(1).sqrt().mean() / ((z - z_aug.roll(1, 0))**2).sum(1).sqrt().mean()'],
        'probe': ['from sklearn.neighbors import NearestCentroid\nreturn NearestCentroid().fit(codes.numpy(), labels.numpy()).score(test_codes.numpy(), test_labels.numpy())',
                  'means = [codes[labels == k].mean(0) for k in labels.unique()]\nsaid = [min(range(len(means)), key=lambda k: float((one - means[k]).norm())) for one in test_codes]\n'
                  'return sum(a == int(b) for a, b in zip(said, test_labels)) / len(said)']}}

# Mistakes, made in the solved notebook: (text, what stands there instead, the name of the mistake).
WRONG = {
    'a1': {
        'error': [('.mean()', '.sum()', 'sum for mean'), ('.square()', '.abs()', 'absolute value'), ('.mean()', '.mean()**.5', 'root'), ('.mean()', '.mean((1, 2, 3))', 'one error for each image')],
        'networks': [('bend = nn.LeakyReLU(.2)', 'bend = nn.Identity()', 'linear'), ('    bend =', '    code_size = 12\n    bend =', 'another size'),
                     ('    return encoder, decoder', '    class Centre(nn.Module):\n        def forward(self, z): return z - z.mean(0)\n    return nn.Sequential(encoder, Centre()), decoder', 'mixes the batch')],
        'train_step': [('optimizer.zero_grad()', 'pass', 'never cleared'), ('optimizer.step()', 'pass', 'no step'), ('encoder(x)', 'encoder(x).detach()', 'encoder cut off')],
        'pca': [('train.mean(0)', 'test.mean(0)', 'mean of the test part'), ('svd(train - mean', 'svd(test - test.mean(0)', 'directions of the test part'), ('train.mean(0)', '0', 'not centred'), (':k]', ':k + 1]', 'one direction more')],
        'interpolate': [('encoder(a), encoder(b)', 'encoder(b), encoder(a)', 'backwards'), ('decoder(torch.lerp(z_a, z_b, t))', 'torch.lerp(a, b, t)', 'pixels mixed'),
                        ('torch.linspace(0, 1, frames)', 'torch.arange(frames) / frames', 'no end')]},
    'a2': {
        'strengths': [('torch.rand(n) / 2', 'torch.rand(n)', 'up to 1'), ('torch.rand(n) / 2', 'torch.rand(1).repeat(n) / 2', 'one for the whole batch'), ('torch.rand(n) / 2', 'torch.randint(0, 2, [n]) / 2', 'only 0 and one half')],
        'mix': [('(1 - alpha) * z + alpha', 'alpha * z + (1 - alpha)', 'weights swapped'), ('z.flip(0)', 'z.roll(1, 0)', 'the neighbour'), ('alpha.view(', 'alpha[:1].repeat(len(z)).view(', 'one strength for all')],
        'critic': [('.mean()', '.sum()', 'sum for mean'), ('.detach()', '', 'missing detach'), ('gamma * x + (1 - gamma) * x_hat', '(1 - gamma) * x + gamma * x_hat', 'gamma the wrong way round'),
                   (' + critic(unmixed.detach()).square().mean()', '', 'second term forgotten'), ('critic(unmixed.detach())', '(critic(unmixed.detach()) - 1)', 'blend called mixed')],
        'autoencoder': [('critic(x_mix)', 'critic(x_mix.detach())', 'regulariser detached'), ('+ lambda_', '- lambda_', 'game against itself'), ('critic(x_mix).square()', 'critic(x_mix)', 'guess not squared'), ('.mean()', '.sum()', 'sum for mean')],
        'step': [('critic_optimizer.zero_grad()\n', 'pass\n', 'critic not cleared'), ('    optimizer.zero_grad()\n', '    pass\n', 'autoencoder not cleared'), ('optimizer.zero_grad()\n    loss.backward()\n    critic_optimizer.zero_grad()', 'optimizer.zero_grad()\n    critic_optimizer.zero_grad()\n    loss.backward()', 'the critic learns from both'),
                 ('critic_optimizer.step()', 'pass', 'the critic stands still'), ('    optimizer.step()', '    pass', 'the autoencoder stands still')]},
    'a3': {
        'codes': [('torch.zeros_like(special)', 'specific(b)', 'no zero code'), ('[shared(a), special]', '[shared(a), 0 * special]', 'zeros for both'),
                  ('special = specific(a)\n    return torch.cat([shared(a), special], 1), torch.cat([shared(b), torch.zeros_like(special)], 1)',
                   'special = specific(b)\n    return torch.cat([shared(a), 0 * special], 1), torch.cat([shared(b), special], 1)', 'zero code for the wrong domain')],
        'discriminator': [('.detach()', '', 'missing detach'), ('torch.ones_like(of_a)) + F.binary_cross_entropy_with_logits(of_b, torch.zeros_like(of_b)', 'torch.zeros_like(of_a)) + F.binary_cross_entropy_with_logits(of_b, torch.ones_like(of_b)', 'labels the wrong way round'),
                          ('discriminator(shared_a.detach()), discriminator(shared_b.detach())', 'discriminator(shared_a.detach()).sigmoid(), discriminator(shared_b.detach()).sigmoid()', 'squashed twice')],
        'confusion': [('of_a, of_b = discriminator(shared_a), discriminator(shared_b)', 'of_a, of_b = discriminator(shared_a.detach()), discriminator(shared_b.detach())', 'detached'), ('zeros_like', 'ones_like', 'everything looks like A'),
                      ('torch.zeros_like(of_b)', 'torch.ones_like(of_b)', 'labels exchanged')],
        'move': [('shared(wearer), specific(giver)', 'shared(giver), specific(wearer)', 'wrong way'), ('specific(giver)', 'specific(wearer)', 'own code'), ('specific(giver)', '0 * specific(giver)', 'nothing moved')],
        'share': [('error(moved) / error(wearer)', 'error(wearer) / error(moved)', 'upside down'), ('[:, :, rows]', '', 'whole picture'), ('.square()', '.abs()', 'absolute value'), ('.square().mean()\n    return error(moved) / error(wearer)', '.square().mean((1, 2, 3))\n    return (error(moved) / error(wearer)).mean()', 'mean of shares')]},
    'a4': {
        'standardise': [('z.mean(0)) / z.std(0,', 'z.mean(1, keepdim=True)) / z.std(1, keepdim=True,', 'wrong axis'), (', correction=0', '', 'N - 1'), ('z.std(', 'z.var(', 'variance for spread')],
        'rescale': [('alpha * (z + beta)', 'alpha * z + beta', 'shift after scale'), ('alpha * (', '1 / alpha * (', 'divided'), ('z + beta', 'z - beta', 'minus')],
        'transformation_loss': [('transform(z)', 'transform(z.detach())', 'target detached'), ('- u', '- u.detach()', 'the other side detached'), ('transform(z)', 'z', 'not transformed'), ('.mean()', '.sum()', 'sum for mean')],
        'noisy': [(' if training else u', '', 'noise after training'), ('sigma *', 'sigma**.5 *', 'variance for spread'), ('randn_like', 'rand_like', 'positive'), ('torch.randn_like(u)', 'torch.randn(u.shape[1])', 'one noise for all')],
        'plane': [('.flip(0)', '', 'upside down'), ('[first, second]', '[second, first]', 'axes exchanged'), ('(-2, 2, n)', '(-1, 1, n)', 'one spread')],
        'hausdorff': [('.values.max()', '.values.mean()', 'mean for max'), ('.min(1).values.max()', '.min()', 'nearest of all'), ('min(1)', 'min(0)', 'the other way')]},
    'a5': {
        'crossed': [('(decoder(encoder(x)) - x_aug).square().mean() + (decoder(encoder(x_aug)) - x)', '(decoder(encoder(x)) - x).square().mean() + (decoder(encoder(x_aug)) - x_aug)', 'not crossed'),
                    (' + (decoder(encoder(x_aug)) - x).square().mean()', '', 'one direction'), ('.mean()', '.sum()', 'sum for mean')],
        'augment': [('torch.tensor(probabilities)', 'torch.ones(len(probabilities))', 'equal chances'), ('return changes[int(torch.multinomial(torch.tensor(probabilities), 1))](x)', 'return torch.cat([changes[int(torch.multinomial(torch.tensor(probabilities), 1))](one) for one in x.split(1)])', 'one for each image'),
                    ('int(torch.multinomial(torch.tensor(probabilities), 1))', 'probabilities.index(max(probabilities))', 'always the likeliest')],
        'learn': [('Adam(encoder.parameters()', 'Adam([*encoder.parameters(), *decoder.parameters()]', 'decoder trained'), ('Adam(encoder', 'Adam(decoder', 'only the decoder'), ('optimizer.step()', 'pass', 'nobody learns')],
        'distance': [(' / (z - z_aug.roll(1, 0)).norm(dim=1).mean()', '', 'no yardstick'), ('.norm(dim=1)', '.square().sum(1)', 'squared'), ('z_aug.roll', 'z.roll', 'own yardstick')],
        'probe': [('torch.cdist(test_codes, means).argmin(1) == test_labels', 'torch.cdist(codes, means).argmin(1) == labels', 'measured on the training part'), ('.float().mean()', '.float().sum()', 'count for share'),
                  ('means = ', 'codes, labels = test_codes, test_labels\n    means = ', 'fitted on the test part'), ('labels == k', 'labels.roll(1) == k', 'labels shuffled')]}}

CASES = [(a, q, n) for a in WRONG for q in WRONG[a] for n in range(len(WRONG[a][q]))]
RIGHT = [(a, q, n) for a in OTHERWISE for q in OTHERWISE[a] for n in range(len(OTHERWISE[a][q]))]


def solved(assignment): return tagged(read(assignments()[assignment]))


def cell_of(notebook, kind, name):
    return next(cell for cell in notebook.cells if (tag := tag_of(cell)) and (tag.kind, tag.name) == (kind, name))


def verdicts(assignment, question, change):
    "The verdicts on all functions of an assignment, when the source of one solution is changed."
    notebook, space = solved(assignment), {}
    imports = [line for line in notebook.cells[1].source.split('\n') if re.match('(import|from) (?!sys)', line)]
    exec('\n'.join([*imports, 'from torch import nn', 'from torch.nn import functional as F']), space)
    for cell in notebook.cells:
        tag = tag_of(cell)
        if not tag or tag.kind != 'solution': continue
        source = cell.source
        if tag.name == question:
            source = change(source)
            assert source != cell.source, f'{question} of {assignment} is still the same'
        exec(source, space)
    found, answers = {}, key(assignment)
    for name, asked in questions(assignment).items():
        if name == TRAINED[assignment]: continue
        answer = eval(re.search(r'check\.\w+\((.*)\)', cell_of(notebook, 'check', name).source)[1], space)
        try: found[name] = judge(asked, answers[name], {seed: observed(asked, answer, seed) for seed in (4, 321)})
        except NotYet as error: found[name] = str(error)
    return found


def test_every_question_has_mistakes_and_other_right_answers():
    for assignment in TRAINED:
        functions = [name for name in questions(assignment) if name != TRAINED[assignment]]
        assert [*WRONG[assignment]] and {*WRONG[assignment]} == {*functions} == {*OTHERWISE[assignment]}
        assert all(len(WRONG[assignment][name]) >= 3 and len(OTHERWISE[assignment][name]) >= 2 for name in functions)
        assert all(len(key(assignment)[name].mistakes) >= 3 for name in questions(assignment))


@pytest.mark.parametrize('assignment, question, n', CASES, ids=['-'.join(map(str, case)) for case in CASES])
def test_a_mistake_fails_its_question_alone_with_its_own_sentence(assignment, question, n):
    old, new, name = WRONG[assignment][question][n]
    found = verdicts(assignment, question, lambda source: source.replace(old, new))
    verdict = found.pop(question)
    assert verdict.mistake == name and len(verdict.sentence) > 30, verdict
    assert all(other.right for other in found.values()), found


@pytest.mark.parametrize('assignment, question, n', RIGHT, ids=['-'.join(map(str, case)) for case in RIGHT])
def test_a_right_answer_written_differently_passes(assignment, question, n):
    body = OTHERWISE[assignment][question][n].replace('\n', '\n    ')
    found = verdicts(assignment, question, lambda source: re.sub(r'### BEGIN SOLUTION.*\n(.*\n)*\s*### END SOLUTION', lambda _: body, source))
    assert all(verdict.right for verdict in found.values()), found


# --- releases, submissions, grading ---

@pytest.fixture(scope='module')
def released(tmp_path_factory):
    from nonvae.course.grading import release
    folder = tmp_path_factory.mktemp('course')/'release'
    assert release(folder) == ['a1', 'a2', 'a3', 'a4', 'a5']
    return folder


def solutions(notebook):
    "The lines between the marks of all solutions, and the written answers."
    text = '\n'.join(cell.source for cell in notebook.cells)
    found = [line.strip() for part in re.findall(r'### BEGIN SOLUTION.*\n((?:.*\n)*?)\s*### END SOLUTION', text) for line in part.split('\n')]
    found += [line for cell in notebook.cells if (tag := tag_of(cell)) and tag.kind == 'written' for line in cell.source.split('\n')[1:]]
    return [line for line in found if len(line) > 25 and 'optimizer' not in line]


@pytest.mark.parametrize('assignment', [*TRAINED])
def test_a_release_leaks_nothing_and_keeps_what_grading_needs(released, assignment):
    student = (released/'student'/f'{assignment}.ipynb').read_text()
    notebook, source = read(released/'student'/f'{assignment}.ipynb'), solved(assignment)
    shown = '\n'.join(cell.source for cell in notebook.cells)
    for line in solutions(source): assert line not in shown, line
    assert 'SOLUTION' not in student and not any(cell.get('outputs') for cell in notebook.cells)
    assert '_key' not in student and 'image/png' not in student
    for cell in source.cells:
        if 'nbgrader' in cell.metadata:
            other, = [one for one in notebook.cells if one.metadata.get('nbgrader', {}).get('grade_id') == cell.metadata.nbgrader.grade_id]
            assert other.source.split('\n')[0] == cell.source.split('\n')[0]
    stubs = [cell for cell in notebook.cells if (tag := tag_of(cell)) and tag.kind == 'solution']
    assert stubs and all(re.search(r"raise NotImplementedError\(['\"].{10,}['\"]\)", cell.source) for cell in stubs)
    assert all('nbgrader' not in cell.metadata for cell in read(ROOT/'nbs'/'assignments'/f'{assignment}.ipynb').cells)


def test_a_released_copy_stops_at_what_is_not_written_and_says_so(run, released, tmp_path):
    shutil.copy(released/'student'/'a2.ipynb', tmp_path)
    code, out, err = run(sys.executable, '-m', 'nonvae.cli', 'course', 'check', 'a2.ipynb')
    assert code == 1 and out.count('yours to write (') == 5 and 'Traceback' not in err, out + err


def test_metadata_may_be_lost_on_the_way(released, run, tmp_path):
    "A tool that cleans notebooks, a service that drops metadata, a program that saves them in its own way."
    from nbdev.clean import clean_nb
    for clean in (clean_nb, lambda nb: [cell.update(metadata={}) for cell in nb.cells], lambda nb: [cell.metadata.update(id='x', colab={}) for cell in nb.cells]):
        student = read(released/'student'/'a2.ipynb')
        for cell in student.cells:
            if cell.cell_type == 'code': cell.setdefault('execution_count', None)
        clean(student)
        nbformat.write(student, tmp_path/'a2.ipynb')
        mended, said = repaired(read(tmp_path/'a2.ipynb'), tagged(without_solutions(solved('a2'))))
        wanted = [cell.metadata.nbgrader.grade_id for cell in solved('a2').cells if 'nbgrader' in cell.metadata]
        assert [cell.metadata.nbgrader.grade_id for cell in mended.cells if 'nbgrader' in cell.metadata] == wanted
        assert not any('deleted' in line or 'split' in line for line in said)


def code(text): return nbformat.v4.new_code_cell(text)


def attack(text): return lambda notebook: notebook.cells.insert(2, code(text))


def edit(kind, name, old, new):
    def change(notebook):
        cell = cell_of(notebook, kind, name)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)
    return change


def split(notebook):
    cell = cell_of(notebook, 'check', 'critic')
    notebook.cells.insert(notebook.cells.index(cell) + 1, copy.deepcopy(cell))


# what a student does, and what is said of it (None: nothing)
HOSTILE = {
    'endless': (edit('solution', 'mix', '    alpha =', '    while True: pass\n    alpha ='), 'took longer'),
    'stubborn': (attack('while True:\n    try:\n        while True: pass\n    except BaseException: pass'), 'took longer|died'),
    'killed': (attack('import os; os._exit(1)'), 'its kernel died'),
    'shot': (attack('import os; os.kill(os.getppid(), 9)'), 'start, stop or reach'),
    'edited': (edit('check', 'critic', 'check.critic(critic_loss)', 'print("critic: right.")'), 'edited: check-critic'),
    'deleted': (lambda notebook: notebook.cells.remove(cell_of(notebook, 'check', 'critic')), 'deleted: check-critic'),
    'lost': (lambda notebook: [cell.update(metadata={}) for cell in notebook.cells], 'without their metadata'),
    'split': (split, 'split or copied: check-critic'),
    'syntax': (edit('solution', 'critic', 'unmixed =', 'unmixed ='[:-1]), None),
    'output': (attack('for _ in range(200): print("x" * 1_000_000)'), 'more than 2 MB'),
    'forks': (attack('import os\nwhile True: os.fork()'), 'start, stop or reach'),
    'spy': (attack('open("{class}/right/a2.ipynb").read()'), "others' work"),
    'lister': (attack('import os; os.listdir("{class}")'), "others' work"),
    'vandal': (attack('open("/tmp/nonvae-vandal", "w")'), 'write outside'),
    'online': (attack('import urllib.request; urllib.request.urlopen("http://example.org")'), 'use the network'),
    'patches': (attack('import nonvae.course.questions as q; q.Checks._ask = lambda *a: print("right.")'), 'changed what these checks do'),
    'forges': (attack('import nonvae.course.questions as q; q.publish = lambda seen: display({q.MIME: {"1": {"loss": ["<f4", [], "AAAA"]}}}, raw=True)'), 'changed what these checks do'),
    'thief': (attack('import sys; del sys.modules["nonvae.course.a2_key"]\nfrom nonvae.course.a2_key import KEY'), "the key"),
    'empty': (attack('import nonvae.course.questions as q; q.publish = lambda seen: display({q.MIME: {}}, raw=True)'), 'changed what these checks do'),
    'replays': (attack('import os, nonvae.course.questions as q; os.environ[q.SECRET] = "1,1,1"'), 'changed what these checks do'),
    'reader': (attack('from nonvae.course.assignments import assignments; print(assignments()["a2"].read_text())'), "the key"),
    'sideways': (attack('import os; print(os.read(os.open("a2.ipynb", os.O_RDONLY, dir_fd=os.open("{class}/right", os.O_PATH)), 99))'), None),
    'closed': (attack('import nonvae; nonvae.acai.ACAI; import nonvae.acai'), None),
    'emoji': (lambda notebook: notebook.cells.insert(2, nbformat.v4.new_markdown_cell('HALF AN EMOJI')), None),
    'wild': (lambda notebook: notebook.metadata.update(title=5, widgets={'a': 1}, language_info={'pygments_lexer': 'x'}), None),
    'shows': (attack('display({"text/html": "<script>alert(1)</script>", "application/vnd.jupyter.widget-view+json": 5}, metadata={"text/html": 7}, raw=True)'), None),
    'tag': (attack('#| check mix 1.2.3'), None),
    'grades': (attack('from IPython import get_ipython\nget_ipython().run_line_magic("autoawait", "off"); 3.0'), None),
}
POINTS = {'check-strengths': 1, 'check-mix': 2, 'check-critic': 3}


@pytest.mark.skipif(sys.platform == 'win32', reason='POSIX')
def test_a_class_of_thirty_is_graded_whatever_some_of_them_do(tmp_path):
    from nonvae.course.grading import grade
    from nonvae.course.guard import landlock
    folder = tmp_path/'class'
    short = solved('a2')
    short.cells = short.cells[:short.cells.index(cell_of(short, 'check', 'critic')) + 1]
    honest = {'right': (None, None)} | {f'mistake{n}': (edit('solution', question, old, new), name) for n, (question, (old, new, name)) in enumerate(
        [(question, wrong) for question in ('strengths', 'mix', 'critic') for wrong in WRONG['a2'][question]][:10])}
    for student, (change, _) in (honest | HOSTILE).items():
        notebook = copy.deepcopy(short)
        if change: change(notebook)
        for cell in notebook.cells: cell.source = cell.source.replace('{class}', str(folder))
        (folder/student).mkdir(parents=True)
        nbformat.write(notebook, folder/student/'a2.ipynb')
        written = folder/student/'a2.ipynb'
        written.write_text(written.read_text().replace('HALF AN EMOJI', '\\ud83d'))
    (folder/'torn').mkdir()
    (folder/'torn'/'a2.ipynb').write_text('{"cells": [')
    (folder/'linked').mkdir()
    (folder/'linked'/'a2.ipynb').symlink_to('../right/a2.ipynb')
    (folder/'[=odd name*]').mkdir()
    shutil.copy(folder/'right'/'a2.ipynb', folder/'[=odd name*]')
    (folder/'right'/'Old').mkdir()
    (folder/'right'/'Old'/'a2.ipynb').write_text('{}')
    found = {one.student: one for one in grade(folder, tmp_path/'out'/'grades.csv', limit=40, cell_limit=8)}
    assert len(found) == len(honest) + len(HOSTILE) + 3 >= 31
    assert found['right'].points | POINTS == found['right'].points
    assert [line for line in found['right'].remarks if 'deleted' not in line] == ['handed in more than one a2: this is a2.ipynb']
    assert found['[=odd name*]'].points | POINTS == found['[=odd name*]'].points and (tmp_path/'out'/'feedback'/'[=odd name*]'/'a2.html').exists()
    assert found['linked'].points['check-mix'] == 0 and 'no Jupyter notebook' in found['linked'].remarks[0]
    assert found['torn'].points['check-mix'] == 0 and 'no Jupyter notebook' in found['torn'].remarks[0]
    for student, (_, name) in honest.items():
        if name is None: continue
        mistakes = {question: verdict.mistake for question, verdict in found[student].verdicts.items() if not verdict.right and verdict.mistake != 'not written'}
        assert name in mistakes.values(), (student, name, mistakes)
        page = (tmp_path/'out'/'feedback'/student/'a2.html').read_text()
        sentence = next(verdict.sentence for verdict in found[student].verdicts.values() if verdict.mistake == name)
        assert sentence[:20] in page and 'NONVAE_COURSE' not in page and 'vnd.nonvae' not in page
    for student, (_, said) in HOSTILE.items():
        one = found[student]
        if said: assert any(re.search(said, line) for line in one.remarks), (student, one.remarks)
        errors = '\n'.join(str(output) for cell in one.notebook.cells for output in cell.get('outputs', []) if output.output_type == 'error')
        if student in ('spy', 'lister', 'reader', 'sideways', 'thief') and landlock(): assert re.search('PermissionError|ModuleNotFoundError|KeyError', errors), (student, errors)
        assert all(points is None or points <= POINTS.get(name, 0) for name, points in one.points.items()), (student, one.points)
    for student in 'patches', 'forges', 'empty', 'replays', 'killed': assert not any(found[student].points.values()), student
    for student in 'spy', 'online', 'thief', 'forks', 'deleted', 'edited', 'lost', 'split', 'output', 'grades', 'reader', 'sideways', 'closed', 'emoji', 'wild', 'shows', 'tag': assert found[student].points | POINTS == found[student].points, (student, found[student].points, found[student].remarks)
    table, summary = (tmp_path/'out'/'grades.csv').read_text(), (tmp_path/'out'/'summary.html').read_text()
    assert table.count('\n') == len(found) + 1 and 'weights swapped' in summary and 'stubborn' in summary
    assert not list(tmp_path.glob('**/*.part'))


def test_the_solved_notebooks_are_worth_everything_and_points_by_hand_stay(released, tmp_path):
    from nbgrader.api import Gradebook
    from nonvae.course.grading import grade
    for name, path in assignments().items():
        (tmp_path/'class'/'Ada').mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path/'class'/'Ada')
    for one in grade(tmp_path/'class', tmp_path/'grades.csv', released/'instructor'):
        wanted = {f'check-{tag.name}': tag.points for cell in solved(one.assignment).cells if (tag := tag_of(cell)) and tag.kind == 'check'}
        assert one.points | wanted == one.points, one.points
        assert all(points is None for name, points in one.points.items() if not name.startswith('check-'))       # for a human
        assert len(one.remarks) == 1 and 'without their metadata' in one.remarks[0], one.remarks
    with Gradebook(f'sqlite:///{released}/instructor/gradebook.db') as book:
        book.find_grade('written-won', 'a2', 'a2', 'Ada').manual_score = 2.5
        book.db.commit()
    shutil.rmtree(tmp_path/'class')
    (tmp_path/'class'/'Ada').mkdir(parents=True)
    short = solved('a2')
    short.cells = short.cells[:6]
    nbformat.write(short, tmp_path/'class'/'Ada'/'a2.ipynb')
    again, = grade(tmp_path/'class', tmp_path/'grades.csv', released/'instructor')
    assert again.points['written-won'] == 2.5 and again.points['check-strengths'] == 1 and again.points['check-score'] == 0


def test_what_a_human_reads_and_changes(released, tmp_path):
    "Figures and texts reach formgrader and the feedback, points by hand have the last word, and files need not have the right name."
    from nbgrader.api import Gradebook
    from nonvae.course.grading import grade
    notebook = tagged(without_solutions(solved('a2')))
    for kind, name in ('solution', 'strengths'), ('solution', 'mix'): cell_of(notebook, kind, name).source = cell_of(solved('a2'), kind, name).source
    mix, figure, text = cell_of(notebook, 'solution', 'mix'), cell_of(notebook, 'figure', 'roads'), cell_of(notebook, 'written', 'won')
    mix.source = mix.source.replace('1 - alpha', '2 - alpha')                   # no mistake that has a name
    figure.source = '#| figure roads 3\nplt.plot([1, 2, 3]);'
    text.update(source='My answer, without the line above it.', metadata={})
    for place in 'ada/a2 (1).ipynb', 'bo/mine/A2_final.ipynb', 'flat.ipynb', 'cy/essay.ipynb':
        (tmp_path/'class'/place).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, tmp_path/'class'/place)
    lines = []

    def graded(): return {one.student: one for one in grade(tmp_path/'class', tmp_path/'grades.csv', released/'instructor', say=lines.append)}

    def page(): return (tmp_path/'feedback'/'ada'/'a2.html').read_text()
    found = graded()
    assert sorted(lines) == ['ada, a2: 1 of 6 checks', 'bo, a2: 1 of 6 checks']
    assert 'flat.ipynb' in found and 'lies in no folder' in found['flat.ipynb'].remarks[0] and 'essay.ipynb is none of a1' in found['cy'].remarks[0]
    for one in found['ada'], found['bo']:
        assert one.points['check-strengths'] == 1 and one.points['figure-roads'] is one.points['written-won'] is None, one.points
        assert 'without their first line and metadata: written-won' in '; '.join(one.remarks)
        assert one.verdicts['score'].mistake.startswith('follows from ') or one.verdicts['score'].mistake == 'not written', one.verdicts['score']
    kept = read(released/'instructor'/'autograded'/'ada'/'a2'/'a2.ipynb')
    assert any('image/png' in output.get('data', {}) for output in cell_of(kept, 'figure', 'roads').outputs) and 'data:image/png' in page()
    assert page().count('not read yet') == page().count('Not read yet') == 2 and 'check mix</a>' in page() and 'so far: ' in page()
    summary, table = (tmp_path/'summary.html').read_text(), (tmp_path/'grades.csv').read_text()
    assert 'something else (2)' in summary and f'ada: {found["ada"].verdicts["mix"].sentence}'[:30] in summary and 'student,assignment,points,of,' in table
    with Gradebook(f'sqlite:///{released}/instructor/gradebook.db') as book:
        for name, points in {'figure-roads': 3, 'written-won': 2, 'check-mix': 1}.items():
            book.find_grade(name, 'a2', 'a2', 'ada').manual_score = points
            book.find_grade(name, 'a2', 'a2', 'ada').needs_manual_grade = False
        book.db.commit()
    again = graded()['ada']
    assert again.points | {'figure-roads': 3, 'written-won': 2, 'check-mix': 1, 'check-strengths': 1} == again.points
    assert 'not read yet' not in page() and f'Score: {sum(again.points.values()):.1f}' in page()
    with Gradebook(f'sqlite:///{released}/instructor/gradebook.db') as book: assert not book.find_submission('a2', 'ada').needs_manual_grade
