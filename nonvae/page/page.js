// The end of a page of its own: reads what the page carries, and fills every <div data-explorer> with its explorer.
import {interpolation, plane, transfer} from './explorers.js';
import {lab} from './lab.js';

/** @typedef {import('./parts.js').Store} Store */

/** A store that nobody else reads. @param {Record<string, any>} values  @returns {Store} */
function store(values) {
    /** @type {Record<string, Set<() => void>>} */ const listening = {};
    return {
        get: name => values[name],
        set(name, value) {
            values[name] = value;
        },
        save_changes() {},
        on(event, call) {
            (listening[event] ??= new Set()).add(call);
        },
        off(event, call) {
            listening[event]?.delete(call);
        },
    };
}

/** The bytes that the page carries, packed by gzip and written in letters. @returns {Promise<Uint8Array>} */
async function carried() {
    const letters = document.getElementById('bytes')?.textContent ?? '',
        packed = Uint8Array.from(atob(letters.trim()), letter => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Everything in `values` that is {bytes: [start, length]}, as bytes. @param {any} values  @param {Uint8Array} bytes  @returns {any} */
function filled(values, bytes) {
    if (Array.isArray(values)) return values.map(value => filled(value, bytes));
    if (values === null || typeof values !== 'object') return values;
    if (Array.isArray(values.bytes)) return bytes.subarray(values.bytes[0], values.bytes[0] + values.bytes[1]);
    return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, filled(value, bytes)]));
}

const bytes = await carried(),
    states = filled(JSON.parse(document.getElementById('states')?.textContent ?? '[]'), bytes);
/** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-explorer]')).forEach((root, i) => {
    root.replaceChildren();
    const explorers = {interpolation, lab, plane, transfer};
    try {
        explorers[/** @type {keyof typeof explorers} */ (root.dataset.explorer)](store(states[i]), root);
    } catch (error) {
        root.textContent = `This explorer cannot be shown: ${error}`;
    }
});
