// Runs the networks of nonvae in a web page: no library, no build step. `nonvae.page.pack(model)` writes what it reads.
//
// A number grid of height H, width W and C channels is a Float32Array in the order (H, W, C), channels innermost: what a
// convolution multiplies lies side by side. A vector is a grid of 1 x 1 x C.

/**
 * @typedef {[number, number, number]} Shape  height, width, channels
 * @typedef {{name: string, from: number[], shape: Shape, weight?: number, bias?: number, kernel?: [number, number],
 *   stride?: number, padding?: number, dilation?: number, up?: number, slope?: number, eps?: number, start?: number,
 *   length?: number, factor?: number}} Step
 * @typedef {{inputs: Shape[], steps: Step[], outputs: number[]}} Program
 * @typedef {Float32Array} Grid
 * @typedef {(inputs: Grid[], out: Grid) => void} Kernel
 */

// ---------------------------------------------------------------- numbers

/** The number that 16 bits mean: a sign, 5 bits of exponent, 10 bits of fraction. @param {number} bits */
function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1,
        exponent = (bits >> 10) & 31,
        fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const BLOCK = 32; // numbers that share a scale in 8 bits

/**
 * All numbers of a model, and behind them those that are exact: `exact` floats at the end of the bytes.
 * float32, float16: one after the other. int8: first a float16 scale for every 32 of them, then a byte for each.
 * @typedef {{numbers: Grid, exact: Grid}} Weights
 * @param {ArrayBuffer} bytes  @param {{precision: string, exact: number}} description  @returns {Weights}
 */
export function readWeights(bytes, {precision, exact}) {
    const end = bytes.byteLength - 4 * exact;
    return {numbers: readNumbers(bytes.slice(0, end), precision), exact: new Float32Array(bytes.slice(end))};
}

/** @param {ArrayBuffer} bytes  @param {string} precision */
function readNumbers(bytes, precision) {
    if (precision === 'float32') return new Float32Array(bytes);
    const halves = Float32Array.from({length: 65536}, (_, bits) => half(bits));
    if (precision === 'float16') return Float32Array.from(new Uint16Array(bytes), bits => halves[bits]);
    const blocks = bytes.byteLength / (BLOCK + 2);
    const scales = new Uint16Array(bytes, 0, blocks),
        small = new Int8Array(bytes, 2 * blocks);
    return Float32Array.from(small, (number, i) => number * halves[scales[Math.floor(i / BLOCK)]]);
}

// ---------------------------------------------------------------- matrix product

/**
 * out[start + p * step + o] = bias[o] + sum over k of columns[p * size + k] * matrix[k, o], for `count` rows p.
 * Two rows and four outputs at a time: eight sums stay in registers while the weights stream past.
 * @param {Grid} columns  @param {number} count  @param {number} size  @param {Grid} matrix  as `blocked` arranges it
 * @param {Grid} bias  @param {Grid} out  @param {number} start  @param {number} step
 */
function multiply(columns, count, size, matrix, bias, out, start, step) {
    const outputs = bias.length;
    for (let p = 0; p < count; p += 2) {
        const last = p + 1 === count,
            first = p * size,
            end = first + size,
            next = last ? 0 : size;
        for (let o = 0, w = 0; o < outputs; o += 4) {
            let a0 = 0,
                a1 = 0,
                a2 = 0,
                a3 = 0,
                b0 = 0,
                b1 = 0,
                b2 = 0,
                b3 = 0;
            for (let k = first; k < end; k++, w += 4) {
                const a = columns[k],
                    b = columns[k + next];
                const w0 = matrix[w],
                    w1 = matrix[w + 1],
                    w2 = matrix[w + 2],
                    w3 = matrix[w + 3];
                a0 += a * w0;
                a1 += a * w1;
                a2 += a * w2;
                a3 += a * w3;
                b0 += b * w0;
                b1 += b * w1;
                b2 += b * w2;
                b3 += b * w3;
            }
            // an odd last row was computed twice, and is written twice
            const at = start + p * step + o,
                beside = last ? at : at + step,
                left = outputs - o;
            out[at] = a0 + bias[o];
            out[beside] = b0 + bias[o];
            if (left > 1) ((out[at + 1] = a1 + bias[o + 1]), (out[beside + 1] = b1 + bias[o + 1]));
            if (left > 2) ((out[at + 2] = a2 + bias[o + 2]), (out[beside + 2] = b2 + bias[o + 2]));
            if (left > 3) ((out[at + 3] = a3 + bias[o + 3]), (out[beside + 3] = b3 + bias[o + 3]));
        }
    }
}

/** A matrix (size, outputs) in the order in which `multiply` reads it: four outputs at a time. @param {Grid} matrix
 * @param {number} size  @param {number} outputs */
function blocked(matrix, size, outputs) {
    const result = new Float32Array(4 * Math.ceil(outputs / 4) * size);
    for (let o = 0, w = 0; o < outputs; o += 4)
        for (let k = 0; k < size; k++)
            for (let j = 0; j < 4; j++, w++) if (o + j < outputs) result[w] = matrix[k * outputs + o + j];
    return result;
}

// ---------------------------------------------------------------- convolutions

/**
 * Every convolution here is one or more plain ones, called phases. Output pixel (y * spread + phase) looks at the input
 * pixels (y * stride + tap). A convolution has one phase. A transposed one of stride s fills every s-th pixel in each of
 * its s * s phases. A convolution after a nearest upsampling by u has u * u phases, too, and in each of them the weights
 * of taps that fall on the same pixel are added up: 4 products in place of 9.
 * @param {Step} step  @param {boolean} transposed  @param {Grid} weights  (kernel height, kernel width, inputs, outputs)
 * @param {number} inputs
 */
function phases(step, transposed, weights, inputs) {
    const [height, width] = /** @type {[number, number]} */ (step.kernel);
    const {stride = 1, padding = 0, dilation = 1, up = 1} = step,
        outputs = step.shape[2],
        spread = transposed ? stride : up;
    /** @param {number} phase  @param {number} place */
    const tap = (phase, place) =>
        transposed
            ? (phase + padding - dilation * place) / stride
            : Math.floor((phase + dilation * place - padding) / up);
    const result = [];
    for (let row = 0; row < spread; row++)
        for (let column = 0; column < spread; column++) {
            /** @type {Map<string, {down: number, across: number, matrix: Grid}>} */
            const taps = new Map();
            for (let y = 0; y < height; y++)
                for (let x = 0; x < width; x++) {
                    const down = tap(row, y),
                        across = tap(column, x),
                        key = `${down} ${across}`;
                    if (!Number.isInteger(down) || !Number.isInteger(across)) continue;
                    if (!taps.has(key)) taps.set(key, {down, across, matrix: new Float32Array(inputs * outputs)});
                    const sum = /** @type {Grid} */ (taps.get(key)?.matrix),
                        from = (y * width + x) * inputs * outputs;
                    for (let i = 0; i < sum.length; i++) sum[i] += weights[from + i];
                }
            const all = [...taps.values()],
                matrix = new Float32Array(all.length * inputs * outputs);
            all.forEach((one, i) => matrix.set(one.matrix, i * inputs * outputs));
            result.push({
                row,
                column,
                down: all.map(one => one.down),
                across: all.map(one => one.across),
                matrix: blocked(matrix, all.length * inputs, outputs),
            });
        }
    return {result, spread, stride: transposed ? 1 : stride};
}

/** @param {Step} step  @param {Shape} shape  of the input  @param {Weights} all  the model's  @param {boolean} transposed
 * @returns {Kernel} */
function convolution(step, [height, width, inputs], all, transposed) {
    const [rows, columns, outputs] = step.shape,
        [high, wide] = /** @type {[number, number]} */ (step.kernel);
    const {result, spread, stride} = phases(
        step,
        transposed,
        part(all, step.weight, high * wide * inputs * outputs),
        inputs,
    );
    const bias = part(all, step.bias, outputs),
        most = Math.max(...result.map(phase => phase.down.length));
    const patches = new Float32Array(Math.ceil(columns / spread) * most * inputs);
    return ([input], out) => {
        for (const {row, column, down, across, matrix} of result) {
            const size = down.length * inputs,
                count = Math.ceil((columns - column) / spread);
            for (let y = 0; row + y * spread < rows; y++) {
                for (let x = 0, to = 0; x < count; x++)
                    for (let tap = 0; tap < down.length; tap++, to += inputs) {
                        const up = y * stride + down[tap],
                            left = x * stride + across[tap];
                        if (up < 0 || up >= height || left < 0 || left >= width) patches.fill(0, to, to + inputs);
                        else
                            for (let i = 0, from = (up * width + left) * inputs; i < inputs; i++)
                                patches[to + i] = input[from + i];
                    }
                multiply(
                    patches,
                    count,
                    size,
                    matrix,
                    bias,
                    out,
                    ((row + y * spread) * columns + column) * outputs,
                    spread * outputs,
                );
            }
        }
    };
}

/** `length` numbers from a place on, below 0 among the exact ones; zeros where there are none.
 * @param {Weights} all  @param {number | undefined} from  @param {number} length  @returns {Grid} */
function part(all, from, length) {
    if (from === undefined) return new Float32Array(length);
    return from < 0 ? all.exact.subarray(-1 - from, -1 - from + length) : all.numbers.subarray(from, from + length);
}

// ---------------------------------------------------------------- all other layers

/** @param {(x: number) => number} f  @returns {Kernel} */
const each =
    f =>
    ([input], out) => {
        for (let i = 0; i < out.length; i++) out[i] = f(input[i]);
    };

/** What happens in windows of an image: `start`, then `take` for every number, then `end`.
 * @param {Step} step  @param {Shape} shape  @param {number} start  @param {(so_far: number, x: number) => number} take
 * @param {number} scale  @returns {Kernel} */
function windows(step, [height, width, channels], start, take, scale) {
    const [rows, columns] = step.shape,
        [high, wide] = /** @type {[number, number]} */ (step.kernel);
    const {stride = 1, padding = 0} = step;
    return ([input], out) => {
        out.fill(start);
        for (let y = 0; y < rows; y++)
            for (let x = 0; x < columns; x++) {
                const to = (y * columns + x) * channels;
                for (let v = Math.max(0, y * stride - padding); v < Math.min(height, y * stride - padding + high); v++)
                    for (
                        let u = Math.max(0, x * stride - padding);
                        u < Math.min(width, x * stride - padding + wide);
                        u++
                    )
                        for (let c = 0; c < channels; c++)
                            out[to + c] = take(out[to + c], input[(v * width + u) * channels + c]);
                for (let c = 0; c < channels; c++) out[to + c] *= scale;
            }
    };
}

/** Every layer by its name: from its step, the shapes of its inputs and all weights to the function that computes it.
 * @type {Record<string, (step: Step, shapes: Shape[], weights: Weights) => Kernel>} */
const layers = {
    convolution: (step, [shape], weights) => convolution(step, shape, weights, false),
    transposed: (step, [shape], weights) => convolution(step, shape, weights, true),
    linear: (step, [shape], weights) => {
        const inputs = shape[0] * shape[1] * shape[2],
            outputs = step.shape[2],
            bias = part(weights, step.bias, outputs);
        const matrix = blocked(part(weights, step.weight, inputs * outputs), inputs, outputs);
        return ([input], out) => multiply(input, 1, inputs, matrix, bias, out, 0, 0);
    },
    /** x * weight + bias, each one number, one for every channel, or one for every place */
    affine: (step, _, weights) => {
        const count = /** @type {number} */ (step.length),
            bias = part(weights, step.bias, count);
        const factor = step.weight === undefined ? bias.map(() => 1) : part(weights, step.weight, count);
        return ([input], out) => {
            for (let i = 0; i < out.length; i++) out[i] = input[i] * factor[i % count] + bias[i % count];
        };
    },
    /** every channel of an image to mean 0 and variance 1 */
    instance_norm:
        (step, [[height, width, channels]]) =>
        ([input], out) => {
            const count = height * width;
            for (let c = 0; c < channels; c++) {
                let mean = 0,
                    square = 0;
                for (let i = c; i < input.length; i += channels) mean += input[i] / count;
                for (let i = c; i < input.length; i += channels) square += (input[i] - mean) ** 2 / count;
                const scale = 1 / Math.sqrt(square + (step.eps ?? 1e-5));
                for (let i = c; i < input.length; i += channels) out[i] = (input[i] - mean) * scale;
            }
        },
    leaky_relu: ({slope = 0}) => each(x => (x > 0 ? x : slope * x)),
    elu: ({slope = 1}) => each(x => (x > 0 ? x : slope * Math.expm1(x))),
    silu: () => each(x => x / (1 + Math.exp(-x))),
    sigmoid: () => each(x => 1 / (1 + Math.exp(-x))),
    tanh: () => each(Math.tanh),
    softplus: () => each(x => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
    average: (step, [shape]) => {
        const [high, wide] = /** @type {[number, number]} */ (step.kernel);
        return windows(step, shape, 0, (sum, x) => sum + x, 1 / (high * wide));
    },
    largest: (step, [shape]) => windows(step, shape, -Infinity, Math.max, 1),
    nearest: (step, [[, width, channels]]) => {
        const factor = step.factor ?? 1,
            [rows, columns] = step.shape;
        return ([input], out) => {
            for (let y = 0, to = 0; y < rows; y++)
                for (let x = 0; x < columns; x++)
                    for (let c = 0; c < channels; c++, to++)
                        out[to] = input[(Math.floor(y / factor) * width + Math.floor(x / factor)) * channels + c];
        };
    },
    /** (H, W, C) to torch's order (C, H, W), as one vector */
    flatten:
        (_, [[height, width, channels]]) =>
        ([input], out) => {
            for (let i = 0, to = 0; i < channels; i++)
                for (let p = 0; p < height * width; p++, to++) out[to] = input[p * channels + i];
        },
    /** and back */
    unflatten:
        ({shape: [height, width, channels]}) =>
        ([input], out) => {
            for (let i = 0, from = 0; i < channels; i++)
                for (let p = 0; p < height * width; p++, from++) out[p * channels + i] = input[from];
        },
    /** channels of several grids behind one another */
    concatenate:
        ({shape}, shapes) =>
        (inputs, out) => {
            for (let p = 0, to = 0; p < shape[0] * shape[1]; p++)
                inputs.forEach((input, k) => {
                    for (let c = 0; c < shapes[k][2]; c++) out[to++] = input[p * shapes[k][2] + c];
                });
        },
    /** `length` channels from `start` on */
    channels:
        ({shape, start = 0}, [[, , all]]) =>
        ([input], out) => {
            for (let i = 0; i < out.length; i++)
                out[i] = input[Math.floor(i / shape[2]) * all + start + (i % shape[2])];
        },
    add:
        () =>
        ([a, b], out) => {
            for (let i = 0; i < out.length; i++) out[i] = a[i] + b[i];
        },
    multiply:
        () =>
        ([a, b], out) => {
            for (let i = 0; i < out.length; i++) out[i] = a[i] * b[i];
        },
};

// ---------------------------------------------------------------- networks and models

/** A network: steps, each of which reads grids that are there already, and writes one that was reserved for it. */
export class Network {
    /** @param {Program} program  @param {Weights} weights */
    constructor({inputs, steps, outputs}, weights) {
        const shapes = [...inputs];
        this.outputs = outputs;
        this.grids = inputs.map(shape => new Float32Array(size(shape)));
        this.steps = steps.map(step => {
            const kernel = layers[step.name](
                step,
                step.from.map(at => shapes[at]),
                weights,
            );
            const out = new Float32Array(size(step.shape)),
                from = step.from.map(at => this.grids[at]);
            shapes.push(step.shape);
            this.grids.push(out);
            return () => kernel(from, out);
        });
    }

    /** The outputs for these inputs. They are overwritten by the next call: copy what shall stay. @param {Grid[]} inputs */
    run(...inputs) {
        inputs.forEach((input, i) => this.grids[i].set(input));
        for (const step of this.steps) step();
        return this.outputs.map(at => this.grids[at]);
    }
}

/** How many numbers a grid has. @param {Shape} shape */
const size = ([height, width, channels]) => height * width * channels;
