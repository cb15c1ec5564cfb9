"""Draws the schematics of the lessons, all in one style, as assets/drawing-NAME.svg.

    python docs/drawings.py [--to FOLDER] [NAME...]

Blue is what belongs to the autoencoder, orange to the critic or discriminator, green is a code. What flows when images are computed is drawn
solid; who is moved by a term of the loss is drawn dashed. They are readable in light and dark pages, and on a telephone.
"""
import argparse
import base64
import io
import re
from html import escape
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from nonvae import ACAI, ContentTransfer, MaskedTransfer, digits
from nonvae.core import to_uint8
from nonvae.faces import drawn_domains
from nonvae.networks import Decoder, Encoder

ASSETS = Path(__file__).resolve().parent.parent/'assets'
STYLE = '''
svg { --paper: #fdfcf9; --ink: #24292f; --faint: #6b7280; --line: #8a919b; --blue: #2563c9; --orange: #c2560c; --green: #23824d; --wash: .13 }
@media (prefers-color-scheme: dark) {
  svg { --paper: #1d2127; --ink: #e8e6e1; --faint: #a3abb6; --line: #8a919b; --blue: #78aaff; --orange: #ff9d5c; --green: #5fd394; --wash: .2 } }
text { font: 15px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--ink); text-anchor: middle; dominant-baseline: central }
.small { font-size: 13px; fill: var(--faint) } .big { font-size: 19px; font-weight: 600 } .left { text-anchor: start } .right { text-anchor: end }
.paper { fill: var(--paper); stroke: var(--line); stroke-opacity: .35 }
.blue { --own: var(--blue) } .orange { --own: var(--orange) } .green { --own: var(--green) } .line { --own: var(--line) }
.shape { stroke: var(--own); stroke-width: 1.8; fill: var(--own); fill-opacity: var(--wash); stroke-linejoin: round }
.arrow { stroke: var(--own); stroke-width: 1.8; fill: none } .dashed { stroke-dasharray: 6 4 } .head { fill: var(--own) }
.word { fill: var(--own) } .frame { fill: none; stroke: var(--line); stroke-opacity: .6 }
'''


def _towards(place, other, distance):
    "The point so far from a place on the way to another."
    way = np.subtract(other, place)
    return place + way * min(1, distance / np.hypot(*way))


class Drawing:
    "A picture 760 wide, to which things are added. Places are (x, y), those of boxes their middles."

    def __init__(self, height, words, top=0):
        self.height, self.words, self.top, self.parts = height, words, top, []

    def text(self, x, y, words, kind=''):
        "Words, {those in braces} italic, the letter after _ lowered. `kind`: small, big, left, right, and a colour after `word`."
        parts = re.sub(r'_(.)', r'<tspan dy="5" font-size="12">\1</tspan><tspan dy="-5">&#8203;</tspan>', escape(words))
        parts = parts.replace('{', '<tspan font-style="italic">').replace('}', '</tspan>')
        self.parts.append(f'<text x="{x}" y="{y}" class="{kind}">{parts}</text>')

    def image(self, x, y, pixels, size=64, under=None):
        "Pixels (C, H, W) in [-1, 1], `size` wide, with words under them."
        picture, file = Image.fromarray(to_uint8(pixels[None])[0].permute(1, 2, 0).squeeze(-1).cpu().numpy()), io.BytesIO()
        picture.save(file, format='PNG', optimize=True)
        place = f'x="{x - size/2}" y="{y - size/2}" width="{size}" height="{size}"'
        self.parts.append(f'<image {place} style="image-rendering: pixelated" href="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"/>')
        self.parts.append(f'<rect {place} class="frame"/>')
        if under: self.text(x, y + size/2 + 15, under)

    def network(self, x, y, name, under, player='blue', narrows=True, width=74, height=92):
        "A trapezoid with a letter: an encoder narrows to the right, a decoder widens."
        left, right = (height/2, height/4) if narrows else (height/4, height/2)
        points = [(x - width/2, y - left), (x + width/2, y - right), (x + width/2, y + right), (x - width/2, y + left)]
        self.parts.append(f'<polygon points="{" ".join(f"{a},{b}" for a, b in points)}" class="shape {player}"/>')
        self.text(x, y, name, 'big')
        if under: self.text(x, y + height/2 + 14, under, 'small')

    def box(self, x, y, words, player='line', width=110, height=34):
        self.parts.append(f'<rect x="{x - width/2}" y="{y - height/2}" width="{width}" height="{height}" rx="8" class="shape {player}"/>')
        self.text(x, y, words)

    def code(self, x, y, under=None, cells=6, size=11, empty=False):
        "A column of numbers, more and less of each."
        strengths = np.random.default_rng(int(x + 7*y)).uniform(.12, .85, cells)
        for k, strength in enumerate(strengths):
            fill = 0 if empty else strength
            self.parts.append(f'<rect x="{x - size/2}" y="{y + (k - cells/2)*size}" width="{size}" height="{size}" class="shape green" '
                              f'style="stroke-width: 1; fill-opacity: {fill:.2f}"/>')
            if empty: self.parts.append(f'<text x="{x}" y="{y + (k + .5 - cells/2)*size}" style="font-size: 9px">0</text>')
        if under: self.text(x, y + cells*size/2 + 14, under)

    def arrow(self, *points, player='line', dashed=False):
        "A line through the points, rounded at its corners, with a head."
        path = f'M{points[0][0]},{points[0][1]}'
        for before, here, after in zip(points, points[1:], points[2:]):
            entry, leave = (_towards(here, other, 10) for other in (before, after))
            path += f' L{entry[0]:.1f},{entry[1]:.1f} Q{here[0]},{here[1]} {leave[0]:.1f},{leave[1]:.1f}'
        tip, base = np.array(points[-1]), _towards(points[-1], points[-2], 9)
        across = (tip - base)[::-1] * [.5, -.5]
        path += f' L{base[0]:.1f},{base[1]:.1f}'
        head = tip, base + across, base - across
        self.parts.append(f'<path d="{path}" class="arrow {player}{" dashed" if dashed else ""}"/>')
        self.parts.append(f'<polygon points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in head)}" class="head {player}"/>')

    def dots(self, points, colour='green', radius=2.6):
        for x, y in points: self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="head {colour}" fill-opacity=".7"/>')

    def svg(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {self.top} 760 {self.height}" width="760" height="{self.height}" role="img">'
                f'<title>{escape(self.words)}</title><style>{STYLE}</style>'
                f'<rect x=".5" y="{self.top + .5}" width="759" height="{self.height - 1}" rx="12" class="paper"/>' + '\n'.join(self.parts) + '</svg>\n')


def some_digits():
    "Two held-out digits that ACAI turns into each other without a ghost."
    _, held_out = digits()
    return held_out[960], held_out[350]


def widest(network, x):
    "(channels, size), the most channels that the convolutions have at each size of the image."
    found = {}
    for layer in network:
        x = layer(x)
        if isinstance(layer, nn.Conv2d): found[x.shape[2]] = max(x.shape[1], found.get(x.shape[2], 0))
    return [(channels, size) for size, channels in found.items()]


@torch.no_grad()
def autoencoder():
    d = Drawing(240, 'An image goes through the encoder into a code of few numbers, and through the decoder back to an image; '
                     'the squared difference of both images moves encoder and decoder.')
    model, (x, _) = ACAI.pretrained('digits'), some_digits()
    d.image(90, 90, x, 84, 'image {x}')
    d.arrow((138, 90), (196, 90))
    d.network(236, 90, '{E}', 'encoder')
    d.arrow((276, 90), (364, 90))
    d.code(380, 90, 'code {z}: few numbers')
    d.arrow((396, 90), (484, 90))
    d.network(524, 90, '{D}', 'decoder', narrows=False)
    d.arrow((564, 90), (622, 90))
    d.image(670, 90, model.reconstruct(x[None])[0], 84, 'reconstruction {x̂}')
    d.box(380, 208, '({x} − {x̂})²: as small as possible', width=250)
    d.arrow((90, 164), (90, 208), (253, 208))
    d.arrow((670, 164), (670, 208), (507, 208))
    d.arrow((290, 191), (236, 160), player='blue', dashed=True)
    d.arrow((470, 191), (524, 160), player='blue', dashed=True)
    return d


@torch.no_grad()
def acai():
    d = Drawing(396, 'Two images are encoded, their codes mixed by alpha and decoded. The critic sees only the decoded mixture. Its loss is the squared '
                     'difference of its answer and alpha; that of the autoencoder is the squared answer.')
    model, (a, b) = ACAI.pretrained('digits'), some_digits()
    z, z_b = model.encode(torch.stack([a, b])).chunk(2)
    mixture = model.decode(.28*z + .72*z_b)[0]
    d.image(60, 82, a, 64, '{x₁}')
    d.image(60, 218, b, 64, '{x₂}')
    d.arrow((97, 82), (140, 128))
    d.arrow((97, 210), (140, 166))
    d.network(182, 146, '{E}', 'encoder')
    d.arrow((222, 132), (266, 92))
    d.arrow((222, 160), (266, 204))
    d.code(282, 82, '{z₁}')
    d.code(282, 214, '{z₂}')
    d.arrow((296, 92), (344, 132))
    d.arrow((296, 204), (344, 162))
    d.box(384, 147, 'mix by {α}', 'green', 84)
    d.arrow((428, 147), (462, 147))
    d.network(502, 147, '{D}', 'decoder', narrows=False)
    d.arrow((542, 147), (568, 147))
    d.image(604, 147, mixture, 64, 'mixture')
    d.arrow((640, 147), (664, 147))
    d.network(696, 147, '{C}', 'critic', 'orange', width=60, height=84)
    d.text(690, 76, 'answer', 'small right')
    # what each player wants, and who is moved by it
    d.box(560, 42, 'critic: (answer − {α})²', 'orange', 190)
    d.arrow((384, 128), (384, 42), (462, 42))
    d.arrow((696, 102), (696, 42), (658, 42))
    d.arrow((590, 61), (664, 116), player='orange', dashed=True)
    d.box(560, 284, 'autoencoder: answer²', 'blue', 190)
    d.arrow((696, 214), (696, 284), (658, 284))
    d.arrow((502, 265), (502, 218), player='blue', dashed=True)
    d.arrow((463, 284), (182, 284), (182, 218), player='blue', dashed=True)
    d.arrow((40, 340), (96, 340))
    d.text(106, 340, 'what flows', 'small left')
    d.arrow((214, 340), (270, 340), player='orange', dashed=True)
    d.text(280, 340, 'moves the critic only: the mixture is detached', 'small left')
    d.arrow((214, 366), (270, 366), player='blue', dashed=True)
    d.text(280, 366, 'moves encoder and decoder only, through a frozen critic', 'small left')
    return d


@torch.no_grad()
def ltae():
    d = Drawing(290, 'The encoder gives z; two learned vectors move and stretch it to u, which the decoder sees with a little noise. Beside it T takes '
                     'the codes of the whole batch to mean 0 and spread 1; u shall equal T of z.', top=40)
    x, _ = some_digits()
    d.image(62, 108, x, 64, '{x}')
    d.arrow((98, 108), (126, 108))
    d.network(166, 108, '{E}', 'encoder')
    d.arrow((206, 108), (248, 108))
    d.code(262, 108, '{z}')
    d.arrow((276, 108), (310, 108))
    d.box(366, 108, '{α} ({z} + {β})', 'blue', 104)
    d.text(366, 80, 'learned', 'small')
    d.arrow((422, 108), (456, 108))
    d.code(470, 108, '{u}')
    d.arrow((484, 108), (560, 108))
    d.text(520, 92, '+ noise', 'small')
    d.network(602, 108, '{D}', 'decoder', narrows=False)
    d.arrow((642, 108), (666, 108))
    d.image(704, 108, x, 64, '{x̂}')
    random = np.random.default_rng(3)
    cloud = random.normal(size=(26, 2)).clip(-2, 2)
    d.parts.append('<rect x="214" y="218" width="96" height="76" rx="8" class="frame"/><rect x="422" y="218" width="96" height="76" rx="8" class="frame"/>')
    for x, y in ((232, 280), (470, 256)):
        d.parts.append(f'<path d="M{x - 14},{y} H{x + (74 if x < 300 else 44)} M{x},{y + (10 if x < 300 else 34)} V{y - (58 if x < 300 else 34)}" class="frame"/>')
    d.dots(np.array([278, 244]) + cloud*[12, 6])
    d.dots(np.array([470, 256]) + cloud*[14, 12])
    d.arrow((262, 168), (262, 214))
    d.arrow((314, 256), (418, 256))
    d.text(366, 240, '{T}: mean 0,', 'small')
    d.text(366, 272, 'spread 1', 'small')
    d.text(262, 310, 'a batch of codes', 'small')
    d.text(470, 310, '{T}({z})', '')
    d.arrow((470, 214), (470, 174), player='blue', dashed=True)
    d.text(482, 196, '{u} should equal {T}({z})', 'word blue left')
    d.text(640, 256, 'moves the encoder', 'small')
    d.text(640, 274, 'with its {α} and {β}', 'small')
    return d


@torch.no_grad()
def crosschange():
    d = Drawing(306, 'An image and its mirrored copy are encoded. The code of each must decode to the other.', top=22)
    x, _ = some_digits()
    copy = x.flip(-1)
    d.image(74, 82, x, 72, '{x}')
    d.image(74, 232, copy, 72, 'copy {t}({x})')
    d.arrow((74, 142), (74, 190))
    d.text(86, 166, 'mirror', 'small left')
    for y, name in ((82, '{z}'), (232, "{z'}")):
        d.arrow((116, y), (178, y))
        d.network(218, y, '{E}', None, height=76)
        d.arrow((258, y), (306, y))
        d.code(320, y, name)
        d.arrow((334, y), (384, y))
        d.network(424, y, '{D}', None, 'line', narrows=False, height=76)
    d.text(218, 157, 'the same encoder', 'small')
    d.text(424, 157, 'the same decoder, held still', 'small')
    d.arrow((464, 82), (520, 82), (600, 232), (640, 232))
    d.arrow((464, 232), (520, 232), (600, 82), (640, 82))
    d.image(684, 82, x, 72, 'must be {x}')
    d.image(684, 232, copy, 72, 'must be {t}({x})')
    d.text(380, 306, 'each code is asked for the other picture; only the encoder moves', 'word blue')
    return d


@torch.no_grad()
def transfer():
    d = Drawing(560, 'Content transfer: the shared encoder holds the face, the specific encoder the glasses. Faces without glasses get zeros '
                     'for the specific code. A discriminator looks at the shared code only.')
    model, domains = ContentTransfer.pretrained('faces'), drawn_domains(8, seed=1)
    a, b = domains.a[[1]], domains.b[[2]]
    shared, specific = model.encode(torch.cat([a, b]))
    both = model.decode(shared, torch.cat([specific[:1], torch.zeros_like(specific[1:])]))
    worn = model.wear(b, specific[:1])
    d.image(70, 84, a[0], 84, 'A: with glasses')
    d.image(70, 268, b[0], 84, 'B: without')
    d.network(232, 52, 'E_s', None, height=64, width=84)
    d.network(232, 214, 'E_c', None, height=84, width=84)
    d.text(232, 96, 'specific encoder', 'small')
    d.text(232, 270, 'shared encoder', 'small')
    d.arrow((116, 66), (186, 52))
    d.arrow((116, 104), (186, 196))
    d.arrow((116, 262), (186, 230))
    for y, words, cells in ((52, 'glasses', 4), (164, 'face of A', 6), (262, 'face of B', 6), (350, 'zeros: nothing', 4)):
        d.code(380, y, cells=cells, empty=words.startswith('zeros'))
        d.text(392, y, words, 'small left')
    d.arrow((278, 52), (368, 52))
    d.arrow((278, 204), (368, 168))
    d.arrow((278, 224), (368, 258))
    for y in (110, 306):
        d.network(560, y, '{D}', None, narrows=False, height=76)
        d.arrow((602, y), (640, y))
    d.text(560, 160, 'one decoder', 'small')
    d.arrow((448, 58), (518, 98))
    d.arrow((458, 160), (518, 122))
    d.arrow((458, 266), (518, 294))
    d.arrow((482, 346), (520, 322))
    d.image(690, 110, both[0], 84, 'A again')
    d.image(690, 306, both[1], 84, 'B again')
    d.box(232, 372, 'discriminator: A or B?', 'orange', 176, 40)
    d.arrow((368, 186), (276, 350), player='orange')
    d.arrow((366, 280), (306, 350), player='orange')
    d.arrow((220, 350), (220, 284), player='blue', dashed=True)
    d.text(212, 318, 'tell nothing', 'word blue right')
    d.parts.append('<path d="M24,414 H736" class="frame"/>')
    d.text(36, 484, 'Afterwards, the point of it all:', 'left')
    for y, words, cells in ((462, 'face of B', 6), (526, 'glasses of A', 4)):
        d.code(380, y, cells=cells)
        d.text(392, y, words, 'small left')
    d.network(560, 490, '{D}', None, narrows=False, height=76)
    d.arrow((458, 464), (518, 480))
    d.arrow((474, 522), (518, 502))
    d.arrow((602, 490), (640, 490))
    d.image(690, 480, worn[0], 84, 'B, with glasses')
    return d


@torch.no_grad()
def masked():
    d = Drawing(290, 'A painter turns both codes into colours and a mask. Where the mask is white the colours are painted; everywhere else the face keeps its own pixels.')
    model, domains = MaskedTransfer.pretrained('faces'), drawn_domains(8, seed=1)
    a, b = domains.a[[1]], domains.b[[2]]
    _, specific = model.encode(a)
    shared, _ = model.encode(b)
    colours, mask = model.painter(shared, specific)
    worn = model.wear(b, specific)
    d.image(66, 66, b[0], 84, 'the face')
    d.image(66, 204, a[0], 84, 'the glasses')
    d.arrow((112, 66), (148, 66))
    d.arrow((112, 204), (148, 204))
    d.network(186, 66, 'E_c', None, height=72, width=72)
    d.network(186, 204, 'E_s', None, height=72, width=72)
    d.arrow((224, 66), (258, 66))
    d.arrow((224, 204), (258, 204))
    d.code(270, 66)
    d.code(270, 204, None, 4)
    d.arrow((280, 76), (314, 122))
    d.arrow((280, 196), (314, 150))
    d.network(358, 136, '{P}', 'painter', narrows=False, width=80, height=96)
    d.arrow((398, 120), (446, 80))
    d.arrow((398, 152), (446, 192))
    d.image(490, 66, colours[0].float().clamp(-1, 1), 84, 'colours {f}')
    d.image(490, 204, 2*mask[0].float() - 1, 84, 'mask {m}')
    d.arrow((536, 66), (590, 112))
    d.arrow((536, 204), (590, 160))
    d.image(652, 136, worn[0], 112, 'the face with the glasses')
    d.text(652, 232, '(1 − {m}) · face + {m} · {f}')
    d.arrow((66, 22), (66, 12), (652, 12), (652, 76))
    d.text(360, 28, 'its own pixels', 'small')
    return d


@torch.no_grad()
def network():
    d = Drawing(230, 'The encoder halves the size of the image three times, from 32 to 4, while the channels grow; the decoder goes the way back.', top=36)
    x, _ = some_digits()
    model = ACAI.pretrained('digits')
    z = Encoder()(x[None])
    steps = [*widest(Encoder(), x[None]), z.shape[1:3], *widest(Decoder(), z)]
    places = 140, 218, 290, 352, 404, 456, 518, 584, 642
    d.image(48, 112, x, 64, 'image')
    d.text(48, 176, '1, 32×32', 'small')
    before = 84
    for k, ((channels, size), place) in enumerate(zip(steps, places)):
        width, height, code = 6 + channels*.24, max(size*3.4, 22), k == 4
        d.parts.append(f'<rect x="{place - width/2:.1f}" y="{112 - height/2}" width="{width:.1f}" height="{height}" rx="3" class="shape {"green" if code else "blue"}"/>')
        d.arrow((before, 112), (place - width/2 - 2, 112))
        d.text(place, 186, f'{channels}', 'small')
        d.text(place, 203, f'{size}×{size}', 'small')
        before = place + width/2 + 2
    d.image(712, 112, model.reconstruct(x[None])[0], 64, 'image')
    d.arrow((before, 112), (712 - 36, 112))
    d.text(712, 176, '1, 32×32', 'small')
    d.text(404, 84, 'code', 'word green')
    d.text(240, 240, 'encoder: three times half the height and width', 'word blue')
    d.text(560, 240, 'decoder: the way back', 'word blue')
    return d


DRAWINGS = {drawing.__name__: drawing for drawing in (network, autoencoder, acai, ltae, crosschange, transfer, masked)}

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('names', nargs='*', metavar='NAME', help=', '.join(DRAWINGS))
    parser.add_argument('--to', type=Path, default=ASSETS)
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(DRAWINGS): parser.error(f'There is no drawing called {unknown.pop()}: use {", ".join(DRAWINGS)}.')
    for name in arguments.names or DRAWINGS: (arguments.to/f'drawing-{name}.svg').write_text(DRAWINGS[name]().svg(), encoding='utf-8')
