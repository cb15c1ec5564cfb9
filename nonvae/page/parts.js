// What the explorers are made of: an engine that answers questions, pictures, sliders, thumbnails, files.

/**
 * @typedef {import('./engine.js').Grid} Grid
 * @typedef {import('./engine.js').Shape} Shape
 * @typedef {{get: (name: string) => any, set: (name: string, value: any) => void, save_changes: () => void,
 *   on: (event: string, call: () => void) => void, off: (event: string, call: () => void) => void}} Store
 *   what an explorer shows and what was chosen: anywidget's model, or `store` of a page
 */

// ---------------------------------------------------------------- the engine, from the page's side

/** One worker for the whole page, however many explorers there are. */
class Engine {
    constructor() {
        this.worker = new Worker(URL.createObjectURL(new Blob([WORKER], {type: 'text/javascript'})));
        /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
        this.open = new Map();
        this.count = 0;
        /** @type {Error | null} */
        this.broken = null;
        this.worker.onmessage = ({data: [number, answer, wrong]}) => {
            const waiting = this.open.get(number);
            this.open.delete(number);
            if (wrong) waiting?.reject(Error(wrong));
            else waiting?.resolve(answer);
        };
        this.worker.onerror = () => {
            this.broken = Error('This browser or this page does not allow workers, so the models cannot run here.');
            for (const {reject} of this.open.values()) reject(this.broken);
            this.open.clear();
        };
    }

    /** A name that no other model has. */
    key() {
        return `model ${++this.count}`;
    }

    /** @param {string} question  one of `answers` in models.js  @param {any[]} rest  @returns {Promise<any>} */
    ask(question, ...rest) {
        return new Promise((resolve, reject) => {
            if (this.broken) return reject(this.broken);
            this.open.set(++this.count, {resolve, reject});
            this.worker.postMessage([this.count, question, ...rest]);
        });
    }
}

/** @returns {Engine} */
export function engine() {
    const shared = /** @type {any} */ (globalThis);
    return (shared.nonvaeEngine ??= new Engine());
}

/** A function that starts `work` anew whenever it is called, but never twice at once: what was asked for meanwhile is done
 * once, at the end. @param {() => Promise<void>} work */
export function latest(work) {
    let busy = false,
        again = false;
    return async () => {
        again = true;
        if (busy) return;
        busy = true;
        try {
            while (again) {
                again = false;
                await work();
            }
        } finally {
            busy = false;
        }
    };
}

// ---------------------------------------------------------------- codes

/** @typedef {(a: Grid, b: Grid, t: number) => Grid} Mix */

/** @type {Mix} */
export const lerp = (a, b, t) => a.map((x, i) => x + t * (b[i] - x));

/** Along an arc (Shoemake 1985); straight where there is none. @type {Mix} */
export function slerp(a, b, t) {
    const dot = (/** @type {Grid} */ x, /** @type {Grid} */ y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
    const lengths = Math.sqrt(dot(a, a) * dot(b, b)),
        angle = lengths ? Math.acos(Math.max(-1, Math.min(1, dot(a, b) / lengths))) : 0;
    if (Math.sin(angle) < 1e-6) return lerp(a, b, t);
    const of_a = Math.sin((1 - t) * angle) / Math.sin(angle),
        of_b = Math.sin(t * angle) / Math.sin(angle);
    return a.map((x, i) => of_a * x + of_b * b[i]);
}

// ---------------------------------------------------------------- elements

/** An element with attributes, handlers (`onclick`) and children.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag  @param {Record<string, any>} attributes  @param {(Node | string)[]} children  @returns {HTMLElementTagNameMap[Tag]} */
export function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
        else if (typeof value === 'boolean') made.toggleAttribute(name, value);
        else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
}

/** @param {string} words  @param {() => void} act  @param {Record<string, any>} attributes */
export const button = (words, act, attributes = {}) =>
    element('button', {type: 'button', onclick: act, ...attributes}, words);

/** @param {string} title  @param {(Node | string)[]} children */
export const column = (title, ...children) =>
    element('div', {class: 'nonvae-column'}, element('b', {}, title), ...children);

/** @param {(Node | string)[]} children */
export const row = (...children) => element('div', {class: 'nonvae-row'}, ...children);

/** Controls side by side. @param {(Node | string)[]} children */
export const buttons = (...children) => element('div', {class: 'nonvae-row nonvae-buttons'}, ...children);

/** A slider that turns `value`, from 0 to `most`, in hundredths, and names itself and its value.
 * @param {string} words  @param {number} value  @param {number} most  @param {(value: number) => void} moved
 * @param {(hundredths: string) => string} text */
export function slider(words, value, most, moved, text = hundredths => `${hundredths} %`) {
    const read = element('output'),
        name = element('span', {}, words);
    const input = element('input', {type: 'range', min: 0, max: 100 * most, step: 1, 'aria-label': words});
    const show = () => {
        read.textContent = text(input.value);
    };
    input.value = String(Math.round(100 * value));
    input.addEventListener('input', () => {
        show();
        moved(Number(input.value) / 100);
    });
    show();
    return {
        row: element('label', {class: 'nonvae-slider'}, name, input, read),
        /** Another value, from outside. @param {number} next */
        put(next) {
            input.value = String(Math.round(100 * next));
            show();
        },
        /** @param {string} next */
        call(next) {
            name.textContent = next;
            input.setAttribute('aria-label', next);
        },
    };
}

// ---------------------------------------------------------------- pictures

/** A grid in [-1, 1] as pixels. @param {Grid} grid  @param {Shape} shape */
export function pixels(grid, [height, width, channels]) {
    const image = new ImageData(width, height);
    for (let p = 0; p < height * width; p++) {
        for (let c = 0; c < 3; c++) image.data[4 * p + c] = 127.5 + 127.5 * grid[p * channels + (c % channels)];
        image.data[4 * p + 3] = 255;
    }
    return image;
}

/** A canvas that shows grids `size` CSS pixels wide, and has words for those who cannot see it.
 * @param {Shape} shape  @param {number} size  @param {string} words  @param {number} columns  @param {number} rows */
export function picture(shape, size, words, columns = 1, rows = 1) {
    const [height, width] = shape,
        gap = columns * rows > 1 ? 1 : 0;
    const canvas = element('canvas', {
        role: 'img',
        'aria-label': words,
        title: words,
        width: columns * (width + gap) - gap,
        height: rows * (height + gap) - gap,
        class: width < 64 ? 'nonvae-pixels' : 'nonvae-picture',
    });
    canvas.style.width = `${size}px`;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    return {
        canvas,
        /** @param {Grid} grid  @param {number} at  its place, row by row */
        draw(grid, at = 0) {
            context.putImageData(
                pixels(grid, shape),
                (at % columns) * (width + gap),
                Math.floor(at / columns) * (height + gap),
            );
        },
        /** What the picture shows now. @param {string} text */
        say(text) {
            canvas.setAttribute('aria-label', text);
            canvas.title = text;
        },
    };
}

/** A picture file's centre, in the form of `shape`, as a grid, and the centre itself, up to 512 pixels wide. What is
 * transparent becomes white, like paper.
 * @param {Blob} file  @param {Shape} shape  @returns {Promise<{grid: Grid, centre: HTMLCanvasElement}>} */
export async function uploaded(file, [height, width, channels]) {
    let bitmap;
    try {
        bitmap = await createImageBitmap(file);
    } catch {
        throw Error('This file is not a picture that the browser can read: choose a .png or .jpg file.');
    }
    if (Math.min(bitmap.width, bitmap.height) < 8)
        throw Error(`This picture is only ${bitmap.width} x ${bitmap.height} pixels: choose a larger one.`);
    const wide = Math.min(bitmap.width, (bitmap.height * width) / height),
        high = (wide * height) / width;
    const cut = (
        /** @type {number} */ across,
        /** @type {CanvasImageSource} */ from,
        /** @type {number[]} */ place,
    ) => {
        const canvas = element('canvas', {width: across, height: Math.round((across * height) / width)});
        const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', {willReadFrequently: true}));
        context.fillStyle = '#fff';
        context.fillRect(0, 0, canvas.width, canvas.height);
        context.imageSmoothingQuality = 'high';
        context.drawImage(from, place[0], place[1], place[2], place[3], 0, 0, canvas.width, canvas.height);
        return canvas;
    };
    const place = [(bitmap.width - wide) / 2, (bitmap.height - high) / 2, wide, high];
    const centre = cut(Math.min(512, Math.round(wide)), bitmap, place);
    let small = centre; // halved again and again, so that nothing is skipped
    while (small.width >= 4 * width) small = cut(Math.round(small.width / 2), small, [0, 0, small.width, small.height]);
    return {grid: grid_of(cut(width, small, [0, 0, small.width, small.height]), channels), centre};
}

/** What a canvas shows, as a grid in [-1, 1]. @param {HTMLCanvasElement} canvas  @param {number} channels */
function grid_of(canvas, channels) {
    const {data} = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d')).getImageData(
        0,
        0,
        canvas.width,
        canvas.height,
    );
    return Float32Array.from({length: canvas.width * canvas.height * channels}, (_, i) => {
        const p = 4 * Math.floor(i / channels);
        const value =
            channels === 1 ? 0.299 * data[p] + 0.587 * data[p + 1] + 0.114 * data[p + 2] : data[p + (i % channels)];
        return value / 127.5 - 1;
    });
}

// ---------------------------------------------------------------- thumbnails

/**
 * A row of images to choose from. `letters` says what can be chosen, such as AB; every click gives the next letter away.
 * @param {Shape} shape  @param {number} size  @param {string} letters  @param {(chosen: number[]) => void} picked
 */
export function thumbnails(shape, size, letters, picked) {
    const line = element('div', {class: 'nonvae-thumbnails', role: 'group'}),
        next = element('span');
    /** @type {HTMLButtonElement[]} */ const buttons = [];
    /** @type {number[]} */ let chosen = [];
    let turn = 0;
    const mark = () => {
        buttons.forEach((button, i) => {
            const own = [...letters].filter((_, k) => chosen[k] === i).join('');
            /** @type {HTMLElement} */ (button.lastChild).textContent = own;
            button.setAttribute('aria-pressed', String(own !== ''));
        });
        next.replaceChildren('next click: ', element('b', {}, letters[turn % letters.length]));
    };
    const pick = (/** @type {number} */ i) => {
        chosen = chosen.map((old, k) => (k === turn % letters.length ? i : old));
        turn++;
        mark();
        picked(chosen);
    };
    line.append(next);
    return {
        row: line,
        /** @param {Grid} grid  @param {string} words */
        add(grid, words) {
            const small = picture(shape, size, words),
                i = buttons.length;
            small.draw(grid);
            const made = button('', () => pick(i), {
                class: 'nonvae-thumbnail',
                title: words,
                'aria-label': `${words}, number ${i + 1}`,
            });
            made.append(small.canvas, element('span'));
            small.canvas.setAttribute('aria-hidden', 'true');
            buttons.push(made);
            line.insertBefore(made, next);
        },
        pick,
        /** Choose from outside. @param {number[]} numbers  @param {string} names */
        put(numbers, names = letters) {
            if (names !== letters) turn = 0;
            letters = names;
            chosen = numbers.slice(0, letters.length);
            mark();
        },
    };
}

// ---------------------------------------------------------------- own pictures

/** A button for picture files, and for grey images a pad to draw on. `add(grid, name, centre)` is called with each picture.
 * @param {Shape} shape  @param {(grid: Grid, name: string, centre: HTMLCanvasElement | null) => void} add  @param {(text: string) => void} wrong */
export function own(shape, add, wrong) {
    const grey = shape[2] === 1,
        inverted = element('input', {type: 'checkbox'});
    const input = element('input', {
        type: 'file',
        accept: 'image/*',
        'aria-label': grey ? 'Your picture' : 'Your photograph',
    });
    input.addEventListener('change', async () => {
        try {
            for (const file of input.files ?? []) {
                const {grid, centre} = await uploaded(file, shape);
                add(inverted.checked ? grid.map(x => -x) : grid, file.name, centre);
            }
        } catch (error) {
            wrong(/** @type {Error} */ (error).message);
        }
        input.value = '';
    });
    const chooser = element('label', {class: 'nonvae-file'}, grey ? 'Your picture' : 'Your photograph', input);
    return {row: grey ? buttons(chooser, element('label', {}, inverted, ' dark on light')) : buttons(chooser)};
}

/** Calls `moved(x, y, first)` with places in an element, 0 to 1 from its upper left corner, while it is touched or a mouse is
 * pressed on it. @param {HTMLElement} target  @param {(x: number, y: number, first: boolean) => void} moved */
export function dragged(target, moved) {
    const call = (/** @type {PointerEvent} */ event, /** @type {boolean} */ first) => {
        const {left, top, width, height} = target.getBoundingClientRect();
        moved((event.clientX - left) / width, (event.clientY - top) / height, first);
    };
    target.addEventListener('pointerdown', event => {
        if (!event.isPrimary || event.button !== 0) return;
        target.setPointerCapture(event.pointerId);
        call(event, true);
    });
    target.addEventListener('pointermove', event => {
        if (event.isPrimary && target.hasPointerCapture(event.pointerId)) call(event, false);
    });
}

/** A pad to draw a white line on black. `drawn(grid)` is called after every stroke.
 * @param {Shape} shape  @param {(grid: Grid) => void} drawn */
export function pad(shape, drawn) {
    const size = 160,
        canvas = element('canvas', {
            width: size,
            height: size,
            class: 'nonvae-pad',
            role: 'img',
            tabindex: 0,
            'aria-label': 'a pad: draw a digit with the mouse or a finger',
        });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', {willReadFrequently: true}));
    const clear = () => {
        context.fillStyle = '#000';
        context.fillRect(0, 0, size, size);
    };
    const read = () => {
        const small = element('canvas', {width: shape[1], height: shape[0]});
        const to = /** @type {CanvasRenderingContext2D} */ (small.getContext('2d', {willReadFrequently: true}));
        to.imageSmoothingQuality = 'high';
        to.drawImage(canvas, 0, 0, shape[1], shape[0]);
        drawn(grid_of(small, 1));
    };
    dragged(canvas, (x, y, first) => {
        Object.assign(context, {strokeStyle: '#fff', lineWidth: size / 11, lineCap: 'round', lineJoin: 'round'});
        if (first) {
            context.beginPath();
            context.moveTo(x * size, y * size - 0.01);
        }
        context.lineTo(x * size, y * size);
        context.stroke();
        read();
    });
    clear();
    return {
        canvas,
        clear() {
            clear();
            read();
        },
    };
}

// ---------------------------------------------------------------- files

/** Hands a file to the reader. @param {Blob} blob  @param {string} name */
export function download(blob, name) {
    const link = element('a', {href: URL.createObjectURL(blob), download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Canvases below one another, on white, each enlarged by whole pixels, as PNG. @param {HTMLCanvasElement[]} canvases  @param {string} name */
export function save_png(canvases, name) {
    const zoom = 3,
        gap = 6,
        width = Math.max(...canvases.map(one => one.width * zoom));
    const whole = element('canvas', {
        width,
        height: canvases.reduce((sum, one) => sum + one.height * zoom + gap, -gap),
    });
    const context = /** @type {CanvasRenderingContext2D} */ (whole.getContext('2d'));
    context.fillStyle = '#fff';
    context.fillRect(0, 0, whole.width, whole.height);
    context.imageSmoothingEnabled = false;
    let y = 0;
    for (const one of canvases) {
        context.drawImage(one, 0, y, one.width * zoom, one.height * zoom);
        y += one.height * zoom + gap;
    }
    whole.toBlob(blob => {
        if (blob) download(blob, name);
    });
}
