"""Pages of one file: opened from the disk without a network, played with, and asked what torch was asked."""
import base64
import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image, ImageDraw

from nonvae.acai import ACAI
from nonvae.autoencoder import Autoencoder
from nonvae.data import digits
from nonvae.faces import drawn_domains
from nonvae.ltae import LTAE
from nonvae.masked import MaskedTransfer
from nonvae.page.html import Section, lab_section, page, sections_of
from nonvae.page.program import ENGINE, pack
from nonvae.page.states import plane_state
from nonvae.transfer import ContentTransfer

SHIPPED = {'plain-digits': Autoencoder, 'acai-digits': ACAI, 'ltae-s-2': LTAE, 'transfer-faces': ContentTransfer, 'masked-faces': MaskedTransfer}
_, held_out = digits()


def shipped(name): return SHIPPED[name].pretrained(name)


@pytest.fixture
def opened(browser, tmp_path):
    "Opens a page from the disk; at the end nothing may have gone wrong, and nothing may have been asked of a network."
    wrong = []

    def call(text, **options):
        path = tmp_path/'page.html'
        path.write_text(text, encoding='utf-8')
        tab = browser.new_context(offline=True, viewport={'width': 1050, 'height': 1000}, **options).new_page()
        tab.set_default_timeout(30_000)
        tab.add_init_script('window.changes = 0')
        tab.on('pageerror', lambda error: wrong.append(str(error)))
        tab.on('console', lambda message: message.type == 'error' and 'https://refused.example' not in message.text and wrong.append(message.text))
        tab.on('request', lambda request: request.url.startswith(('file:', 'blob:', 'data:')) or wrong.append(request.url))
        tab.goto(path.as_uri())
        return tab
    yield call
    assert wrong == []


def names(tab, canvas, act):
    "What a canvas is called after `act` has changed it."
    before = canvas.get_attribute('aria-label')
    act()
    tab.wait_for_function('([canvas, before]) => canvas.ariaLabel !== before', arg=[canvas.element_handle(), before])
    return canvas.get_attribute('aria-label')


def slide(slider, value): slider.evaluate('(input, value) => { input.value = value; input.dispatchEvent(new Event("input")) }', str(value))


def pixels(canvas): return canvas.evaluate('canvas => canvas.toDataURL()')


@pytest.mark.parametrize('precision', ['float32', 'float16'])
def test_chromium_computes_what_torch_computes(browser, precision):
    tab = browser.new_page()
    tab.evaluate('''text => import(URL.createObjectURL(new Blob([text], {type: 'text/javascript'}))).then(engine => window.engine = engine)''', ENGINE.read_text())
    for name in SHIPPED:
        model = shipped(name)
        packed, x = pack(model, precision), torch.rand(1, *model.image_shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        with torch.no_grad(): codes = model.encode(x)
        codes = codes if isinstance(codes, tuple) else (codes,)
        with torch.no_grad(): image = model.decoder(*codes)[0]
        inner = [(code[0].movedim(0, -1) if code.ndim == 4 else code[0]).flatten().tolist() for code in codes]
        found = tab.evaluate('''([description, letters, codes]) => {
            const bytes = Uint8Array.from(atob(letters), letter => letter.charCodeAt(0)).buffer;
            const network = new engine.Network(description.networks.decoder, engine.readWeights(bytes, description));
            return [...network.run(...codes.map(code => Float32Array.from(code)))[0]];
        }''', [packed.description, base64.b64encode(packed.weights).decode(), inner])
        worst = np.abs(np.array(found) - image.movedim(0, -1).flatten().numpy()).max() / max(1, float(image.abs().max()))
        assert worst < {'float32': 1e-5, 'float16': 1e-3}[precision], name
    tab.close()


def test_between_images(opened, tmp_path):
    tab = opened(page('Digits', sections_of({name: shipped(name) for name in ('plain-digits', 'acai-digits')}, held_out)))
    frames = tab.get_by_title('of the way')
    frames.nth(1).wait_for()
    assert '30 %' in names(tab, frames.first, lambda: slide(tab.get_by_label('A to B'), 30))
    before = pixels(frames.first)
    assert 'image A' in names(tab, tab.get_by_title('image A:'), tab.locator('button[aria-pressed=false].nonvae-thumbnail').nth(3).click)
    tab.wait_for_function('([canvas, before]) => canvas.toDataURL() !== before', arg=[frames.first.element_handle(), before])
    tab.get_by_label('path').select_option('along an arc (slerp)')
    with tab.expect_download() as saved: tab.get_by_role('button', name='Save PNG').click()
    assert Image.open(saved.value.path()).width > 500
    with tab.expect_download() as saved: tab.get_by_role('button', name='Save GIF').click()
    film = Image.open(saved.value.path())
    assert film.format == 'GIF' and film.n_frames == 24 and film.size == (192, 96)
    film.seek(12)
    last = np.asarray(film.convert('L'))
    film.seek(0)
    assert np.abs(last.astype(int) - np.asarray(film.convert('L'))).mean() > 5          # A is not B
    assert '% down' in names(tab, frames.first, tab.get_by_role('button', name='four images').click)
    tab.get_by_title('the square between').first.wait_for()
    assert '80 % down' in names(tab, frames.first, lambda: slide(tab.get_by_label('down', exact=True), 80))
    names(tab, frames.first, tab.get_by_role('button', name='Animate').click)
    tab.get_by_role('button', name='Pause').click()


def test_own_pictures_and_drawings(opened, tmp_path):
    tab = opened(page('Digits', sections_of({'acai': shipped('acai-digits')}, held_out)[:1]))
    digit = Image.new('L', (90, 120), 'white')
    ImageDraw.Draw(digit).ellipse([25, 35, 65, 85], outline='black', width=9)
    digit.save(tmp_path/'zero.png')
    (tmp_path/'notes.png').write_text('no picture')
    Image.new('RGB', (3, 2)).save(tmp_path/'dot.png')
    tab.get_by_label('dark on light').check()
    chooser = tab.locator('input[type=file]')
    assert names(tab, tab.get_by_title('image A:'), lambda: chooser.set_input_files(tmp_path/'zero.png')) == 'image A: zero.png'
    drawn = tab.get_by_title('image A: zero.png').evaluate('canvas => [...canvas.getContext("2d").getImageData(0, 0, 32, 32).data].filter((_, i) => i % 4 === 0)')
    assert drawn[0] == 0 and max(drawn) > 200 and drawn[16 * 32 + 16] < 50                  # white on black, and a hole in the middle
    for name, sentence in {'notes.png': 'not a picture', 'dot.png': 'only 3 x 2 pixels'}.items():
        chooser.set_input_files(tmp_path/name)
        tab.get_by_role('status').filter(has_text=sentence).wait_for()
    tab.get_by_text('Draw your own').click()
    pad, back = tab.locator('.nonvae-pad'), tab.get_by_title('what its code decodes to')
    before, box = pixels(back), pad.bounding_box()
    tab.mouse.move(box['x'] + 40, box['y'] + 30)
    tab.mouse.down()
    tab.mouse.move(box['x'] + 90, box['y'] + 130, steps=8)
    tab.mouse.up()
    tab.wait_for_function('([canvas, before]) => canvas.toDataURL() !== before', arg=[back.element_handle(), before])
    assert names(tab, tab.get_by_title('image B:'), tab.get_by_role('button', name='Use it').click) == 'image B: your drawing'


def test_what_a_hasty_reader_does(opened, tmp_path):
    "Names that look like numbers; four images while it moves; a complaint that is over; paper that is transparent; a picture of another form."
    tab = opened(page('Digits', sections_of({'64': shipped('plain-digits'), '2': shipped('ltae-s-2')}, held_out)[:1]))
    tab.get_by_title('64: 50 % of the way').wait_for()
    assert [column.inner_text() for column in tab.locator('.nonvae-column b:visible').all()][:4] == ['A', '64', '2', 'B']
    tab.get_by_role('button', name='Animate').click()
    for _ in range(6): tab.get_by_role('button', name='four images').click()
    tab.get_by_role('button', name='Save GIF').click()
    tab.get_by_role('button', name='Pause').click()
    assert tab.locator('.nonvae-wrong').count() == 0
    (tmp_path/'empty.png').write_bytes(b'')
    ink = Image.new('RGBA', (60, 90), (0, 0, 0, 0))
    ImageDraw.Draw(ink).rectangle([20, 30, 40, 60], fill=(0, 0, 0, 255))
    ink.save(tmp_path/'ink.png')
    chooser = tab.locator('input[type=file]')
    chooser.set_input_files(tmp_path/'empty.png')
    tab.locator('.nonvae-wrong').wait_for()
    tab.get_by_label('dark on light').check()
    chooser.set_input_files(tmp_path/'ink.png')
    tab.get_by_label('ink.png, number').wait_for()
    tab.wait_for_function('() => !document.querySelector(".nonvae-wrong")')
    drawn = tab.get_by_label('ink.png, number').locator('canvas').evaluate('canvas => [...canvas.getContext("2d").getImageData(0, 0, 32, 32).data].filter((_, i) => i % 4 === 0)')
    assert drawn[0] < 20 and drawn[16 * 32 + 16] > 230                                     # paper is white, and turned over black


def test_one_broken_explorer_does_not_break_the_page(opened):
    good = Section('Good', '', 'plane', plane_state(LTAE.pretrained('s-2'), held_out, 50, 'int8'))
    tab = opened(page('Page', [Section('Bad', '', 'plane', {**good.state, 'models': 5}), good]))
    tab.get_by_title('what the point at').wait_for()
    assert 'cannot be shown' in tab.locator('[data-explorer]').first.inner_text()


def test_glasses(opened, tmp_path):
    faces = drawn_domains(8, 1)
    models = {'anew': shipped('transfer-faces'), 'mask': shipped('masked-faces')}
    text = page('Faces', sections_of(models, faces))
    tab = opened(text)
    anew, mask = (tab.get_by_title(f'{name}: the face') for name in models)
    mask.wait_for()
    assert '150 %' in names(tab, mask, lambda: slide(tab.get_by_label('how strong'), 150))
    assert '40 % of the way to giver 2' in names(tab, anew, lambda: slide(tab.get_by_label('giver 1 to giver 2'), 40))
    assert '0 % of what' in names(tab, mask, tab.get_by_role('button', name='Take it off').click)
    # a portrait keeps its own pixels where nothing is painted: a chequered shirt that 64 pixels could not hold
    Image.fromarray(np.kron(np.indices((256, 256)).sum(0) % 2, np.ones((1, 1))).astype('u1') * 255).convert('RGB').resize((512, 512), 0).save(tmp_path/'me.png')
    names(tab, mask, lambda: slide(tab.get_by_label('how strong'), 100))
    tab.locator('input[type=file]').set_input_files(tmp_path/'me.png')
    tab.get_by_label('me.png, number').wait_for()
    corner = '''canvas => { const {data} = canvas.getContext("2d").getImageData(0, 500, 2, 8); return [data[0], data[4 * 2 * 2], data[4 * 2 * 4]] }'''
    tab.wait_for_function(f'canvas => {{ const [a, b] = ({corner})(canvas); return Math.abs(a - b) > 200 }}', arg=mask.element_handle())
    tab.get_by_text('Everyone with everyone').click()
    table = tab.get_by_title('mask: faces above')
    tab.wait_for_function('canvas => canvas.getContext("2d").getImageData(260, 260, 1, 1).data[3] === 255', arg=table.element_handle())
    with tab.expect_download() as saved: tab.get_by_role('button', name='Save PNG').click()
    assert Image.open(saved.value.path()).width == 3 * 512


def test_a_map_is_dragged(opened):
    tab = opened(page('Map', [Section('A map', '', 'plane', plane_state(LTAE.pretrained('s-2'), held_out, 100, 'int8'))]))
    chart, decoded = tab.locator('.nonvae-map'), tab.get_by_title('what the point')
    tab.get_by_title('what the point at').wait_for()
    box = chart.bounding_box()
    tab.mouse.move(box['x'] + 180, box['y'] + 180)
    tab.mouse.down()
    there = names(tab, decoded, lambda: tab.mouse.move(box['x'] + 80, box['y'] + 300))
    tab.mouse.up()
    chart.focus()
    assert names(tab, decoded, lambda: tab.keyboard.press('ArrowUp')) != there
    assert re.fullmatch(r'the five nearest real images: (\d, ){4}\d', tab.get_by_title('nearest').get_attribute('aria-label'))


def test_text_stays_text(opened):
    state = plane_state(LTAE.pretrained('s-2'), held_out, 50, 'int8')
    evil = '</script><script>window.changes = 1</script><img src=x onerror="window.changes = 1">'
    state['classes'] = [evil] * len(state['classes'])
    state['models'] = [[evil, model] for _, model in state['models']]
    tab = opened(page(evil, [Section(evil, evil, 'plane', state)]))
    tab.get_by_title('what the point at').wait_for()
    assert tab.evaluate('() => window.changes') == 0 and tab.title() == evil
    # and the page itself may not ask anybody
    refused = tab.evaluate("() => fetch('https://refused.example').then(() => 'went out', error => error.name)")
    assert refused == 'TypeError' and 'default-src' in tab.locator('meta[http-equiv]').get_attribute('content')


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_readable_in_light_and_dark_and_on_a_telephone(opened, scheme, tmp_path):
    tab = opened(page('Digits', sections_of({'ACAI': shipped('acai-digits')}, held_out)), color_scheme=scheme, has_touch=True)
    tab.get_by_title('of the way').wait_for()
    tab.evaluate((ROOT/'tests'/'browser'/'lab.js').read_text())
    for root in tab.locator('.nonvae-page').all(): assert root.evaluate('root => [seen.faint(root), seen.nameless(root)]') == [[], []]
    tab.set_viewport_size({'width': 390, 'height': 800})
    assert tab.evaluate('() => document.documentElement.scrollWidth') <= 560              # strips may be longer than a telephone is wide


def test_the_lab_trains_and_tells_plain_from_acai(opened):
    tab = opened(page('Lab', [lab_section()]))
    said, found = tab.locator('p[role=status]').first, {}
    for weight in 50, 0:
        slide(tab.get_by_label('weight of the critic'), weight)
        tab.get_by_role('button', name='Start again').click()
        tab.get_by_role('button', name='Train').click()
        tab.wait_for_function('said => parseInt(said.textContent) > 1500', arg=said.element_handle(), timeout=120_000)
        tab.get_by_role('button', name='Pause').click()
        found[weight] = int(re.search(r'(\d+) % of all points', said.inner_text())[1])
    assert found[50] > found[0] + 10, found
    before = said.inner_text()
    tab.get_by_role('button', name='the critic alone').click()
    assert int(said.inner_text().split()[0]) == int(before.split()[0]) + 20
    tab.get_by_label('data', exact=True).select_option('painted by hand')
    plane = tab.get_by_label('the plane')
    box = plane.bounding_box()
    tab.mouse.move(box['x'] + 100, box['y'] + 100)
    tab.mouse.down()
    tab.mouse.move(box['x'] + 300, box['y'] + 200, steps=9)
    tab.mouse.up()
    tab.get_by_role('button', name='Start again').click()
    assert said.inner_text().startswith('0 steps')
    tab.get_by_label('numbers in a code').select_option('codes of one number')
    tab.get_by_role('button', name='the autoencoder alone').click()
    assert said.inner_text().startswith('20 steps')
