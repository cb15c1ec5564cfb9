// The ACAI lab: an autoencoder and a critic that train in the page, on points of the plane. Forward and backward passes are written
// out, for these networks are small enough to be read.
import {button, buttons, column, dragged, element, row, slider} from './parts.js';

/**
 * @typedef {import('./parts.js').Store} Store
 * @typedef {Float32Array} Numbers  rows of numbers, one row for each point
 */

// ---------------------------------------------------------------- chance

/** Numbers from 0 to 1, the same for the same seed (mulberry32, public domain). @param {number} seed */
export function chance(seed) {
    return () => {
        seed = (seed + 0x6d2b79f5) | 0;
        let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}

/** A normal number (Box and Muller). @param {() => number} random */
const normal = random => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

// ---------------------------------------------------------------- networks

const SLOPE = 0.2; // of LeakyReLU

/** Linear layers with LeakyReLU between them, their gradients, and Adam. */
export class MLP {
    /** @param {number[]} sizes  @param {() => number} random */
    constructor(sizes, random) {
        this.sizes = sizes;
        this.layers = sizes.slice(1).map((outputs, i) => {
            const inputs = sizes[i],
                count = outputs * (inputs + 1);
            const numbers = Float32Array.from({length: count}, (_, k) =>
                k < outputs * inputs ? normal(random) * Math.sqrt(2 / inputs) : 0,
            );
            return {
                inputs,
                outputs,
                numbers,
                slope: new Float32Array(count),
                mean: new Float32Array(count),
                square: new Float32Array(count),
            };
        });
        /** what every layer was given last @type {Numbers[]} */ this.given = [];
        this.steps = 0;
    }

    /** @param {Numbers} x  rows of sizes[0] numbers  @returns {Numbers} */
    forward(x) {
        this.given = [];
        return this.layers.reduce((input, {inputs, outputs, numbers}, last) => {
            this.given.push(input);
            const rows = input.length / inputs,
                out = new Float32Array(rows * outputs),
                bias = inputs * outputs;
            for (let n = 0; n < rows; n++)
                for (let o = 0; o < outputs; o++) {
                    let sum = numbers[bias + o];
                    for (let i = 0, w = o * inputs, k = n * inputs; i < inputs; i++)
                        sum += numbers[w + i] * input[k + i];
                    out[n * outputs + o] = last < this.layers.length - 1 && sum < 0 ? SLOPE * sum : sum;
                }
            return out;
        }, x);
    }

    /** The gradient at the input of the last forward pass, from that at its output. With `learn` the gradients of all weights
     * are added up. @param {Numbers} slope  @param {boolean} learn  @returns {Numbers} */
    backward(slope, learn) {
        for (let layer = this.layers.length - 1; layer >= 0; layer--) {
            const {inputs, outputs, numbers, slope: own} = this.layers[layer],
                input = this.given[layer],
                bias = inputs * outputs;
            const rows = input.length / inputs,
                before = new Float32Array(input.length);
            for (let n = 0; n < rows; n++)
                for (let o = 0; o < outputs; o++) {
                    const s = slope[n * outputs + o];
                    if (s === 0) continue;
                    for (let i = 0, w = o * inputs, k = n * inputs; i < inputs; i++)
                        before[k + i] += s * numbers[w + i];
                    if (!learn) continue;
                    own[bias + o] += s;
                    for (let i = 0, w = o * inputs, k = n * inputs; i < inputs; i++) own[w + i] += s * input[k + i];
                }
            // LeakyReLU keeps signs: where the input is negative, so was what came before it
            if (layer > 0) for (let k = 0; k < before.length; k++) if (input[k] < 0) before[k] *= SLOPE;
            slope = before;
        }
        return slope;
    }

    /** One step of Adam (Kingma and Ba 2015), after which the gradients are 0 again. @param {number} rate */
    step(rate) {
        this.steps++;
        const first = 1 - 0.9 ** this.steps,
            second = 1 - 0.999 ** this.steps;
        for (const {numbers, slope, mean, square} of this.layers)
            for (let k = 0; k < numbers.length; k++) {
                mean[k] += 0.1 * (slope[k] - mean[k]);
                square[k] += 0.001 * (slope[k] * slope[k] - square[k]);
                numbers[k] -= (rate * mean[k]) / first / (Math.sqrt(square[k] / second) + 1e-8);
                slope[k] = 0;
            }
    }
}

// ---------------------------------------------------------------- the game

/** ACAI (Berthelot et al. 2018) of points (x, y). */
export class Game {
    /** @param {number} code  numbers in a code @param {number} seed  @param {number} hidden */
    constructor(code, seed, hidden = 32) {
        this.random = chance(seed);
        this.code = code;
        this.encoder = new MLP([2, hidden, hidden, code], this.random);
        this.decoder = new MLP([code, hidden, hidden, 2], this.random);
        this.critic = new MLP([2, hidden, hidden, 1], this.random);
    }

    /** Losses of a batch x, and the gradients of those who `learn`. `alpha` is a strength for each point; the partner of a point is
     * the one at the mirrored place. @param {Numbers} x  @param {Numbers} alpha  @param {number} lambda  @param {number} gamma
     * @param {{autoencoder: boolean, critic: boolean}} learn */
    losses(x, alpha, lambda, gamma, learn) {
        const n = alpha.length,
            k = this.code,
            z = this.encoder.forward(x),
            both = new Float32Array(2 * n * k);
        both.set(z);
        for (let i = 0; i < n; i++)
            for (let c = 0; c < k; c++)
                both[(n + i) * k + c] = (1 - alpha[i]) * z[i * k + c] + alpha[i] * z[(n - 1 - i) * k + c];
        const decoded = this.decoder.forward(both),
            x_hat = decoded.subarray(0, 2 * n),
            x_mix = decoded.subarray(2 * n);
        const guess = this.critic.forward(x_mix);
        let error = 0,
            game = 0,
            critic = 0;
        for (let i = 0; i < 2 * n; i++) error += (x_hat[i] - x[i]) ** 2 / (2 * n);
        for (let i = 0; i < n; i++) {
            game += guess[i] ** 2 / n;
            critic += (guess[i] - alpha[i]) ** 2 / n;
        }
        if (learn.autoencoder) {
            // the critic is asked, and does not learn from it
            const at_mix = this.critic.backward(
                    guess.map(g => (2 * lambda * g) / n),
                    false,
                ),
                at = new Float32Array(4 * n);
            for (let i = 0; i < 2 * n; i++) {
                at[i] = (x_hat[i] - x[i]) / n;
                at[2 * n + i] = at_mix[i];
            }
            const back = this.decoder.backward(at, true),
                at_z = back.slice(0, n * k);
            for (let i = 0; i < n; i++)
                for (let c = 0; c < k; c++) {
                    const s = back[(n + i) * k + c];
                    at_z[i * k + c] += (1 - alpha[i]) * s;
                    at_z[(n - 1 - i) * k + c] += alpha[i] * s;
                }
            this.encoder.backward(at_z, true);
        }
        // the critic sees finished pictures: no gradient goes on from here
        if (learn.critic)
            this.critic.backward(
                guess.map((g, i) => (2 * (g - alpha[i])) / n),
                true,
            );
        const blend = this.critic.forward(x_hat.map((y, i) => gamma * x[i] + (1 - gamma) * y));
        for (let i = 0; i < n; i++) critic += blend[i] ** 2 / n;
        if (learn.critic)
            this.critic.backward(
                blend.map(g => (2 * g) / n),
                true,
            );
        return {error, game, critic};
    }

    /** A training step on random points of the data. @param {Numbers} data  @param {number} lambda
     * @param {{autoencoder: boolean, critic: boolean}} learn  @param {number} rate */
    step(data, lambda, learn = {autoencoder: true, critic: true}, rate = 0.003) {
        const n = 64,
            x = new Float32Array(2 * n),
            alpha = Float32Array.from({length: n}, () => this.random() / 2);
        for (let i = 0; i < n; i++) {
            const from = Math.floor((this.random() * data.length) / 2);
            x[2 * i] = data[2 * from];
            x[2 * i + 1] = data[2 * from + 1];
        }
        const found = this.losses(x, alpha, lambda, 0.2, learn);
        if (learn.autoencoder) {
            this.encoder.step(rate);
            this.decoder.step(rate);
        }
        if (learn.critic) this.critic.step(rate);
        return found;
    }

    /** What lies on straight roads between the codes of points a and b: `frames` points for each pair.
     * @param {Numbers} a  @param {Numbers} b  @param {number} frames */
    roads(a, b, frames) {
        const k = this.code,
            from = this.encoder.forward(a),
            to = this.encoder.forward(b),
            pairs = a.length / 2;
        const codes = Float32Array.from({length: pairs * frames * k}, (_, at) => {
            const c = at % k,
                t = (Math.floor(at / k) % frames) / (frames - 1),
                pair = Math.floor(at / k / frames);
            return (1 - t) * from[pair * k + c] + t * to[pair * k + c];
        });
        return this.decoder.forward(codes);
    }
}

// ---------------------------------------------------------------- data, and how near something is to it

/** @type {Record<string, (t: number) => [number, number]>} t from 0 to 1 */
const shapes = {
    ring: t => [Math.cos(2 * Math.PI * t), Math.sin(2 * Math.PI * t)],
    'two moons': t =>
        t < 0.5
            ? [Math.cos(2 * Math.PI * t) - 0.4, Math.sin(2 * Math.PI * t) - 0.2]
            : [0.4 + Math.cos(2 * Math.PI * t), 0.2 + Math.sin(2 * Math.PI * t)],
    spiral: t => {
        const r = 0.15 + 0.95 * t;
        return [r * Math.cos(3.5 * Math.PI * t), r * Math.sin(3.5 * Math.PI * t)];
    },
};

/** Points of a shape. @param {string} name  @param {number} count  @param {() => number} random */
export function points(name, count, random) {
    return Float32Array.from(Array.from({length: count}, () => shapes[name](random())).flat());
}

/** The share of points that are within .15 of some point of the data. @param {Numbers} some  @param {Numbers} data */
export function share_near(some, data) {
    let near = 0;
    for (let i = 0; i < some.length; i += 2)
        for (let k = 0; k < data.length; k += 2)
            if ((some[i] - data[k]) ** 2 + (some[i + 1] - data[k + 1]) ** 2 < 0.15 ** 2) {
                near++;
                break;
            }
    return near / (some.length / 2);
}

// ---------------------------------------------------------------- the lab

const EDGE = 1.5,
    SIZE = 420; // the plane shows -1.5 to 1.5

/** The lab. The store has `lambda_`, `code` (how many numbers), `data` and `seed`; while it trains it gets `steps`, `share` and `error`.
 * @param {Store} store  @param {HTMLElement} root */
export function lab(store, root) {
    const box = element('div', {
        class: 'nonvae-page',
        onkeydown: (/** @type {Event} */ event) => event.stopPropagation(),
    });
    root.append(box);
    let lambda = store.get('lambda_'),
        data = points(store.get('data'), 512, chance(7)),
        painted = /** @type {number[]} */ ([]);
    const random = chance(5);
    let game = new Game(store.get('code'), store.get('seed')),
        steps = 0,
        running = 0,
        told = 0;
    /** @type {{error: number, game: number, critic: number}[]} */ let history = [];

    // pictures
    const plane = element('canvas', {
        width: SIZE,
        height: SIZE,
        role: 'img',
        'aria-label': 'the plane',
        class: 'nonvae-pad',
    });
    const chart = element('canvas', {width: 400, height: 220, role: 'img', 'aria-label': 'losses'}),
        words = element('p', {role: 'status'});
    const pen = /** @type {CanvasRenderingContext2D} */ (plane.getContext('2d')),
        ink = /** @type {CanvasRenderingContext2D} */ (chart.getContext('2d'));
    const heat = element('canvas', {width: 42, height: 42}),
        grain = /** @type {CanvasRenderingContext2D} */ (heat.getContext('2d'));
    const grid = Float32Array.from({length: 2 * 42 * 42}, (_, i) => {
        const p = i >> 1;
        return (i % 2 ? 1 - (Math.floor(p / 42) + 0.5) / 21 : ((p % 42) + 0.5) / 21 - 1) * EDGE;
    });
    const place = (/** @type {number} */ x) => ((x / EDGE + 1) * SIZE) / 2;
    const dot = (/** @type {Numbers} */ all, /** @type {number} */ i, /** @type {number} */ radius) => {
        pen.beginPath();
        pen.arc(place(all[2 * i]), SIZE - place(all[2 * i + 1]), radius, 0, 7);
        pen.fill();
    };
    /** the ends of the roads that are drawn @type {Numbers[]} */ let ends = [];
    const some = (/** @type {number} */ count) => {
        const chosen = new Float32Array(2 * count);
        for (let i = 0; i < count; i++) {
            const from = Math.floor((random() * data.length) / 2);
            chosen.set(data.subarray(2 * from, 2 * from + 2), 2 * i);
        }
        return chosen;
    };
    const choose_ends = () => {
        ends = [some(10), some(10)];
    };

    const draw = () => {
        // what the critic says of every place: white is 0, not mixed; red is one half
        const verdicts = game.critic.forward(grid),
            image = new ImageData(42, 42);
        verdicts.forEach((verdict, i) => {
            const mixed = Math.max(0, Math.min(1, 2 * verdict));
            image.data.set([255 - 15 * mixed, 255 - 130 * mixed, 255 - 145 * mixed, 255], 4 * i);
        });
        grain.putImageData(image, 0, 0);
        pen.drawImage(heat, 0, 0, SIZE, SIZE);
        pen.fillStyle = '#888';
        for (let i = 0; 2 * i < data.length; i++) dot(data, i, 1.6);
        const again = game.decoder.forward(game.encoder.forward(data.subarray(0, 240)));
        pen.fillStyle = '#1f77b4';
        for (let i = 0; 2 * i < again.length; i++) dot(again, i, 2.4);
        const frames = 24,
            ways = game.roads(ends[0], ends[1], frames);
        pen.strokeStyle = '#111';
        pen.lineWidth = 1.5;
        for (let pair = 0; pair < ends[0].length / 2; pair++) {
            pen.beginPath();
            for (let t = 0; t < frames; t++)
                pen.lineTo(place(ways[2 * (pair * frames + t)]), SIZE - place(ways[2 * (pair * frames + t) + 1]));
            pen.stroke();
        }
        draw_chart();
    };

    const draw_chart = () => {
        ink.fillStyle = '#fff';
        ink.fillRect(0, 0, 400, 220);
        ink.font = '12px system-ui, sans-serif';
        for (const [name, colour, most, at] of /** @type {['error' | 'critic', string, number, number][]} */ ([
            ['error', '#1f77b4', 0.2, 0],
            ['critic', '#d62728', 0.2, 1],
        ])) {
            ink.strokeStyle = ink.fillStyle = colour;
            ink.lineWidth = 1.5;
            ink.beginPath();
            history.forEach((loss, i) =>
                ink.lineTo(8 + (384 * i) / Math.max(1, history.length - 1), 210 - 185 * Math.min(1, loss[name] / most)),
            );
            ink.stroke();
            ink.fillText(
                `${name === 'error' ? "the autoencoder's error" : "the critic's loss"} ${history.length ? history[history.length - 1][name].toFixed(4) : ''}`,
                10 + 200 * at,
                16,
            );
        }
        ink.strokeStyle = '#aaa';
        ink.strokeRect(8, 25, 384, 185);
        ink.fillStyle = '#666';
        ink.fillText('0 to 0.2', 340, 204);
    };

    const measure = () => {
        const share = share_near(game.roads(some(200), some(200), 11), data),
            error = history.length ? history[history.length - 1].error : null;
        const text = `${steps} steps; ${Math.round(100 * share)} % of all points on straight roads between codes are near the data`;
        words.textContent = text;
        plane.setAttribute('aria-label', `the plane: ${text}`);
        for (const [name, value] of Object.entries({steps, share, error})) store.set(name, value);
        store.save_changes();
    };

    // a few steps at a time, so that the page stays awake
    const remember = (/** @type {{error: number, game: number, critic: number}} */ loss) => {
        steps++;
        const last = history[history.length - 1]; // one row for 20 steps
        if (!last || steps % 20 === 1) history.push({...loss});
        else
            for (const name of /** @type {('error' | 'game' | 'critic')[]} */ (['error', 'game', 'critic']))
                last[name] += (loss[name] - last[name]) / (((steps - 1) % 20) + 1);
        if (history.length > 400) history = history.filter((_, i) => i % 2 === 0);
    };
    const tick = () => {
        for (const end = performance.now() + 12; performance.now() < end;) remember(game.step(data, lambda));
        draw();
        if (performance.now() - told > 500) {
            measure();
            told = performance.now();
        }
        running = requestAnimationFrame(tick);
    };
    const train = button('Train', () => {
        if (running) {
            cancelAnimationFrame(running);
            running = 0;
            measure();
        } else tick();
        train.textContent = running ? 'Pause' : 'Train';
    });
    const single = (/** @type {string} */ text, /** @type {boolean} */ autoencoder) =>
        button(text, () => {
            for (let i = 0; i < 20; i++) remember(game.step(data, lambda, {autoencoder, critic: !autoencoder}));
            draw();
            measure();
        });
    const start = (/** @type {number} */ seed = store.get('seed')) => {
        game = new Game(Number(codes.value), seed);
        store.set('seed', seed);
        steps = 0;
        history = [];
        choose_ends();
        draw();
        measure();
    };

    // controls
    const weigh = slider(
        'weight of the critic (lambda)',
        lambda,
        2,
        value => {
            lambda = value;
            store.set('lambda_', value);
            store.save_changes();
        },
        text => String(Number(text) / 100),
    );
    const options = (/** @type {string[]} */ ...all) => all.map(text => element('option', {value: text}, text));
    const kind = element(
        'select',
        {
            'aria-label': 'data',
            onchange: () => {
                if (kind.value in shapes) store.set('data', kind.value);
                if (kind.value in shapes) data = points(kind.value, 512, chance(7));
                else {
                    painted = [];
                    words.textContent = 'Paint in the plane.';
                }
                if (kind.value in shapes) start();
            },
        },
        ...options(...Object.keys(shapes), 'painted by hand'),
    );
    const codes = element(
        'select',
        {
            'aria-label': 'numbers in a code',
            onchange: () => {
                store.set('code', Number(codes.value));
                start();
            },
        },
        element('option', {value: '2'}, 'codes of two numbers'),
        element('option', {value: '1'}, 'codes of one number'),
    );
    kind.value = store.get('data');
    codes.value = String(store.get('code'));
    dragged(plane, (x, y) => {
        if (kind.value in shapes) return;
        for (let k = 0; k < 6; k++)
            painted.push((2 * x - 1) * EDGE + 0.03 * normal(random), (1 - 2 * y) * EDGE + 0.03 * normal(random));
        data = Float32Array.from(painted);
        choose_ends();
        draw();
    });
    const steered = () => {
        lambda = store.get('lambda_');
        weigh.put(lambda);
    };
    store.on('change:lambda_', steered);

    box.append(
        buttons(
            kind,
            codes,
            train,
            button('Start again', () => start(Math.floor(Math.random() * 1e6))),
        ),
        weigh.row,
        row(
            plane,
            element(
                'div',
                {class: 'nonvae-side'},
                column('Losses', chart),
                words,
                buttons('20 steps of', single('the autoencoder alone', true), single('the critic alone', false)),
                element(
                    'p',
                    {},
                    'Grey: data. Blue: their reconstructions. Black: straight roads between codes. The redder a place, the more ' +
                        'mixed the critic believes what lies there.',
                ),
            ),
        ),
    );
    start();
    return () => {
        store.off('change:lambda_', steered);
        cancelAnimationFrame(running);
        box.remove();
    };
}
