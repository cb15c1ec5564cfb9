// What the worker knows: models, by a key each, and the pictures that they make. Everything here runs beside the page, so that
// the page never waits for it.
import {Network, readWeights} from './engine.js';

/**
 * @typedef {import('./engine.js').Grid} Grid
 * @typedef {import('./engine.js').Program} Program
 * @typedef {{kind: 'one' | 'two' | 'masked', precision: string, exact: number, networks: Record<string, Program>}} Description
 * @typedef {{shared: Grid, specific: Grid, missed: Grid | null}} Face  a face's codes; for masks also what the decoder misses in it
 */

/** @type {Map<string, Record<string, Network>>} */
const models = new Map();

/** The outputs of one network of a model, to keep. @param {string} key  @param {string} name  @param {Grid[]} inputs */
function run(key, name, ...inputs) {
    const networks = models.get(key);
    if (!networks) throw Error(`There is no model ${key}.`);
    return networks[name].run(...inputs).map(grid => grid.slice());
}

/** @param {Grid} grid */
const zeros = grid => new Float32Array(grid.length);

/** The largest of an image's numbers in windows of 3 x 3. @param {Grid} mask  @param {number} width */
function widened(mask, width) {
    return mask.map((_, i) => {
        const x = i % width,
            y = (i - x) / width;
        let most = 0;
        for (let v = Math.max(0, y - 1); v <= Math.min(mask.length / width - 1, y + 1); v++)
            for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++)
                most = Math.max(most, mask[v * width + u]);
        return most;
    });
}

/** What the page may ask for. Grids are images in [-1, 1] or codes. */
export const answers = {
    /** @param {string} key  @param {Description} description  @param {ArrayBuffer} bytes */
    load(key, description, bytes) {
        const weights = readWeights(bytes, description);
        models.set(
            key,
            Object.fromEntries(
                Object.entries(description.networks).map(([name, program]) => [name, new Network(program, weights)]),
            ),
        );
    },

    /** @param {string} key */
    forget(key) {
        models.delete(key);
    },

    /** How many there are. */
    models: () => models.size,

    /** An image's code. @param {string} key  @param {Grid} image */
    encode: (key, image) => run(key, 'encoder', image)[0],

    /** A code's image. @param {string} key  @param {Grid} code */
    decode: (key, code) => run(key, 'decoder', code)[0],

    /** Both codes of a face. With masks: of a face that has taken off what it wears, if it wears something.
     * @param {string} key  @param {Grid} image  @param {boolean} worn  @returns {Face} */
    face(key, image, worn) {
        const shared = run(key, 'shared', image)[0],
            specific = run(key, 'specific', image)[0];
        if (!models.get(key)?.painter) return {shared, specific, missed: null};
        const bare = run(key, 'decoder', shared, zeros(specific))[0];
        if (!worn) return {shared, specific, missed: image.map((x, i) => x - bare[i])};
        const mask = run(key, 'painter', shared, specific)[1]; // a pixel wider and three times as strong: see 17_masked
        const wide = widened(mask, Math.sqrt(mask.length)),
            channels = image.length / mask.length;
        return {
            shared,
            specific,
            missed: image.map((x, i) => (1 - Math.min(1, 3 * wide[Math.floor(i / channels)])) * (x - bare[i])),
        };
    },

    /** A face with what is special about somebody: the whole picture, or a canvas and what is painted on it with its mask.
     * @param {string} key  @param {Grid} shared  @param {Grid | null} missed  @param {Grid} specific */
    wear(key, shared, missed, specific) {
        if (!missed) return {canvas: run(key, 'decoder', shared, specific)[0], colours: null, mask: null};
        const canvas = run(key, 'decoder', shared, zeros(specific))[0].map((x, i) =>
            Math.max(-1, Math.min(1, x + missed[i])),
        );
        if (!specific.some(x => x !== 0)) return {canvas, colours: null, mask: null};
        const [colours, mask] = run(key, 'painter', shared, specific);
        return {canvas, colours, mask};
    },
};
