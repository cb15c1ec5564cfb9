// The explorers. Each is a function of a store (what is shown, what was chosen) and an element to fill; it returns a function that
// takes everything away again. In a notebook anywidget calls them, in a page of your own a few lines at its end.
import {
    button,
    dragged,
    buttons,
    column,
    download,
    element,
    engine,
    latest,
    lerp,
    own,
    pad,
    picture,
    pixels,
    row,
    save_png,
    slerp,
    slider,
    thumbnails,
} from './parts.js';
import {gif} from './gif.js';

/**
 * @typedef {import('./engine.js').Grid} Grid
 * @typedef {import('./engine.js').Shape} Shape
 * @typedef {import('./parts.js').Store} Store
 * @typedef {import('./parts.js').Mix} Mix
 */

// ---------------------------------------------------------------- what all have in common

/** Bytes, as anywidget (DataView) and pages (Uint8Array) hand them over, in a buffer of their own. @param {DataView | Uint8Array} view */
const buffer = view =>
    /** @type {ArrayBuffer} */ (view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

/** Images (N, H, W, C) of bytes as grids. @param {DataView | Uint8Array} view  @param {Shape} shape  @returns {Grid[]} */
function images_of(view, [height, width, channels]) {
    const bytes = new Uint8Array(buffer(view)),
        size = height * width * channels;
    return Array.from({length: bytes.length / size}, (_, i) =>
        Float32Array.from(bytes.subarray(i * size, (i + 1) * size), x => x / 127.5 - 1),
    );
}

/** Numbers of images; what is not there becomes the first. @param {number[]} chosen  @param {Grid[]} images */
const here = (chosen, images) => chosen.map(i => (i < images.length ? i : 0));

/** The frame of an explorer: its models in the worker, a line for words, and what to undo at the end.
 * @param {Store} store  @param {HTMLElement} root */
function frame(store, root) {
    const message = element('p', {role: 'status', class: 'nonvae-message'}),
        box = element('div', {
            class: 'nonvae-page',
            onkeydown: (/** @type {Event} */ event) => event.stopPropagation(),
        }); // keys are ours, not JupyterLab's
    /** @type {[string, any][]} */ const models = store.get('models');
    const keys = models.map(() => engine().key());
    /** @type {(() => void)[]} */ const ends = [];
    /** @type {ReturnType<typeof setTimeout> | undefined} */ let telling;
    let mine = false;
    root.append(box);
    const own = {
        message,
        box,
        keys,
        names: models.map(([name]) => name),
        shape: /** @type {Shape} */ (store.get('shape')),
        /** @param {unknown} error */
        wrong(error) {
            message.textContent = error instanceof Error ? error.message : String(error);
            message.classList.toggle('nonvae-wrong', message.textContent !== '');
        },
        /** Sends all models to the worker. */
        async load() {
            await Promise.all(
                keys.map((key, i) => engine().ask('load', key, models[i][1], buffer(store.get('weights')[i]))),
            );
        },
        /** Whenever somebody else changes something in the store. @param {string} name  @param {() => void} call */
        on(name, call) {
            const changed = () => {
                if (!mine) call();
            };
            store.on(`change:${name}`, changed);
            ends.push(() => store.off(`change:${name}`, changed));
        },
        /** Tells Python, or whoever keeps the store; when the hand rests, for Python's answers would slow it down.
         * @param {Record<string, any>} values */
        tell(values) {
            own.wrong(''); // the reader goes on: a complaint is over
            mine = true;
            for (const [name, value] of Object.entries(values)) store.set(name, value);
            mine = false;
            clearTimeout(telling);
            telling = setTimeout(() => {
                telling = undefined;
                store.save_changes();
            }, 150);
        },
        /** @param {() => void} end */
        later(end) {
            ends.push(end);
        },
        end() {
            clearTimeout(telling);
            if (telling !== undefined && root.isConnected) store.save_changes();
            for (const end of ends) end();
            for (const key of keys) engine().ask('forget', key);
            box.remove();
        },
        /** `work`, one at a time, its mistakes as a sentence. @param {() => Promise<void>} work */
        latest: (/** @type {() => Promise<void>} */ work) => latest(() => work().catch(own.wrong)),
    };
    own.on('problem', () => own.wrong(store.get('problem') ?? ''));
    return own;
}

// ---------------------------------------------------------------- between two or four images

/** @param {Store} store  @param {HTMLElement} root */
export function interpolation(store, root) {
    const {box, keys, names, shape, ...own_frame} = frame(store, root),
        images = images_of(store.get('images'), shape);
    const captions = [...store.get('names')],
        width = 160;
    /** @type {Record<string, Mix>} */ const paths = {lerp, slerp};
    let chosen = here(store.get('chosen'), images),
        corners = store.get('corners'),
        across = store.get('across'),
        down = store.get('down');
    let mix = paths[store.get('path')];
    /** the codes of the chosen images, for each model @type {Grid[][]} */ let codes = [];
    /** grows when the ends change, so that what was begun before stops */ let turn = 0;

    // pictures
    const ends = ['A', 'B'].map(letter => picture(shape, 96, `image ${letter}`));
    const frames = names.map(name => picture(shape, width, name));
    const strips = names.map(name => picture(shape, 540, `${name}: 9 frames from image A to image B`, 9));
    const squares = names.map(name => picture(shape, 224, `${name}: the square between images A, B, C and D`, 7, 7));

    /** Where the sliders stand, as a code. @param {Grid[]} own  @param {number} x  @param {number} y */
    const between = (own, x, y, path = mix) =>
        own.length === 2 ? path(own[0], own[1], x) : path(path(own[0], own[1], x), path(own[2], own[3], x), y);

    const move = own_frame.latest(async () => {
        if (!codes.length) return;
        const place =
            `${Math.round(100 * across)} % of the way` + (corners === 4 ? `, ${Math.round(100 * down)} % down` : '');
        await Promise.all(
            keys.map(async (key, i) => {
                frames[i].draw(await engine().ask('decode', key, between(codes[i], across, down)));
                frames[i].say(`${names[i]}: ${place}`);
            }),
        );
    });

    const draw_strips = own_frame.latest(async () => {
        const mine = ++turn,
            n = corners === 2 ? 9 : 7;
        for (let at = 0; at < (corners === 2 ? n : n * n); at++)
            for (let i = 0; i < keys.length; i++) {
                if (mine !== turn) return;
                const grid = await engine().ask(
                    'decode',
                    keys[i],
                    between(codes[i], (at % n) / (n - 1), Math.floor(at / n) / (n - 1)),
                );
                (corners === 2 ? strips : squares)[i].draw(grid, at);
            }
    });

    const choose = own_frame.latest(async () => {
        const wanted = chosen.slice(0, corners);
        codes = await Promise.all(
            keys.map(key => Promise.all(wanted.map(i => engine().ask('encode', key, images[i])))),
        );
        ends.forEach((end, i) => {
            end.draw(images[chosen[i]]);
            end.say(`image ${'AB'[i]}: ${captions[chosen[i]]}`);
        });
        for (const one of strips) one.canvas.hidden = corners === 4;
        for (const one of squares) one.canvas.hidden = corners === 2;
        lower.row.hidden = corners === 2;
        upper.call(corners === 2 ? 'A to B' : 'across');
        turn++;
        await move();
        draw_strips();
    });

    // controls
    const line = thumbnails(shape, 48, 'AB', picked => {
        chosen = [...picked, ...chosen.slice(picked.length)];
        own_frame.tell({chosen});
        choose();
    });
    const add = (/** @type {Grid} */ grid, /** @type {string} */ name) => {
        images.push(grid);
        captions.push(name);
        line.add(grid, name);
    };
    images.forEach((grid, i) => line.add(grid, captions[i]));
    const letters = () => 'ABCD'.slice(0, corners),
        put = () => line.put(chosen, letters());
    const upper = slider('A to B', across, 1, value => {
        across = value;
        own_frame.tell({across});
        move();
    });
    const lower = slider('down', down, 1, value => {
        down = value;
        own_frame.tell({down});
        move();
    });
    const square = button(
        'four images',
        () => {
            corners = corners === 2 ? 4 : 2;
            own_frame.tell({corners});
            show();
        },
        {'aria-pressed': 'false'},
    );
    const path = element(
        'select',
        {
            'aria-label': 'path',
            onchange: () => {
                own_frame.tell({path: path.value});
                mix = paths[path.value];
                choose();
            },
        },
        element('option', {value: 'lerp'}, 'straight (lerp)'),
        element('option', {value: 'slerp'}, 'along an arc (slerp)'),
    );
    const random = button('Random', () => {
        chosen = chosen.map(() => Math.floor(Math.random() * images.length));
        own_frame.tell({chosen});
        show();
    });
    const show = () => {
        square.setAttribute('aria-pressed', String(corners === 4));
        path.value = store.get('path');
        put();
        choose();
    };
    /** @type {ReturnType<typeof setInterval> | undefined} */ let clock;
    const play = button('Animate', () => {
        if (clock) {
            clearInterval(clock);
            clock = undefined;
            play.textContent = 'Animate';
            return;
        }
        play.textContent = 'Pause';
        clock = setInterval(() => {
            across = across >= 1 ? 0 : Math.min(1, across + 0.02);
            upper.put(across);
            own_frame.tell({across});
            move();
        }, 60);
    });
    own_frame.later(() => clearInterval(clock));
    const file = own(
        shape,
        (grid, name) => {
            add(grid, name);
            line.pick(images.length - 1);
        },
        own_frame.wrong,
    );

    // a digit drawn here: its code and back, as it is drawn
    const drawing = shape[2] === 1 ? element('details', {}, element('summary', {}, 'Draw your own')) : null;
    if (drawing) {
        const back = names.map(name => picture(shape, 96, `${name}: what its code decodes to`));
        /** @type {Grid | null} */ let last = null;
        const redraw = own_frame.latest(async () => {
            const grid = last;
            if (grid)
                await Promise.all(
                    keys.map(async (key, i) =>
                        back[i].draw(await engine().ask('decode', key, await engine().ask('encode', key, grid))),
                    ),
                );
        });
        const paper = pad(shape, grid => {
            last = grid;
            redraw();
        });
        drawing.append(
            row(
                column('your digit', paper.canvas),
                ...back.map((one, i) => column(`${names[i]}, from its code`, one.canvas)),
                element(
                    'div',
                    {},
                    button('Use it', () => {
                        if (last) {
                            add(last.slice(), 'your drawing');
                            line.pick(images.length - 1);
                        }
                    }),
                    ' ',
                    button('Clear', () => paper.clear()),
                ),
            ),
        );
    }

    const save_gif = async () => {
        const mine = codes, // the reader may choose others meanwhile
            path = mix;
        if (!mine.length) return;
        const n = 13,
            stops =
                mine[0].length === 2
                    ? [
                          [0, 0],
                          [1, 0],
                          [0, 0],
                      ]
                    : [
                          [0, 0],
                          [1, 0],
                          [1, 1],
                          [0, 1],
                          [0, 0],
                      ];
        const places = stops
            .slice(1)
            .flatMap(([x, y], s) =>
                Array.from({length: n - 1}, (_, k) => k / (n - 1)).map(t => [
                    stops[s][0] + t * (x - stops[s][0]),
                    stops[s][1] + t * (y - stops[s][1]),
                ]),
            );
        const zoom = 3,
            sheet = element('canvas', {width: shape[1] * zoom * keys.length, height: shape[0] * zoom}),
            small = element('canvas', {width: shape[1], height: shape[0]});
        const context = /** @type {CanvasRenderingContext2D} */ (sheet.getContext('2d', {willReadFrequently: true}));
        context.imageSmoothingEnabled = false;
        const shots = [];
        for (const [x, y] of places) {
            for (let i = 0; i < keys.length; i++) {
                /** @type {CanvasRenderingContext2D} */ (small.getContext('2d')).putImageData(
                    pixels(await engine().ask('decode', keys[i], between(mine[i], x, y, path)), shape),
                    0,
                    0,
                );
                context.drawImage(small, i * shape[1] * zoom, 0, shape[1] * zoom, shape[0] * zoom);
            }
            shots.push(context.getImageData(0, 0, sheet.width, sheet.height));
        }
        download(gif(shots, 10), 'interpolation.gif');
    };

    box.append(
        line.row,
        buttons(square, path, random, file.row),
        ...(drawing ? [drawing] : []),
        buttons(upper.row, play),
        lower.row,
        row(
            column('A', ends[0].canvas),
            ...frames.map((one, i) => column(names[i], one.canvas)),
            column('B', ends[1].canvas),
        ),
        row(...names.map((name, i) => column(name, strips[i].canvas, squares[i].canvas))),
        buttons(
            button('Save PNG', () =>
                save_png(
                    (corners === 2 ? strips : squares).map(one => one.canvas),
                    'interpolation.png',
                ),
            ),
            button('Save GIF', () => save_gif().catch(own_frame.wrong)),
        ),
        own_frame.message,
    );
    for (const name of ['chosen', 'corners', 'across', 'down', 'path'])
        own_frame.on(name, () => {
            // Python chose, or another view of the same explorer: pictures of its own are not here
            chosen = here(store.get('chosen'), images);
            [corners, across, down, mix] = [
                store.get('corners'),
                store.get('across'),
                store.get('down'),
                paths[store.get('path')],
            ];
            upper.put(across);
            lower.put(down);
            show();
        });
    const start = () => own_frame.load().then(show).catch(own_frame.wrong);
    own_frame.on('weights', start);
    start();
    return own_frame.end;
}

// ---------------------------------------------------------------- somebody's glasses on somebody's face

/** @param {Store} store  @param {HTMLElement} root */
export function transfer(store, root) {
    const {box, keys, names, shape, ...own_frame} = frame(store, root),
        givers = images_of(store.get('givers'), shape);
    const wearers = images_of(store.get('wearers'), shape),
        faces = [...wearers, ...givers];
    /** what a face's picture was before it was made small @type {(HTMLCanvasElement | null)[]} */ const sharp =
        faces.map(() => null);
    const worn = faces.map((_, i) => i >= wearers.length),
        size = 256;
    let face = here(store.get('faces'), faces),
        giver = here(store.get('chosen'), givers);
    let {strength, giver_mix, face_mix} = Object.fromEntries(
        ['strength', 'giver_mix', 'face_mix'].map(name => [name, store.get(name)]),
    );
    /** for each model the codes of the two faces and of the two givers @type {any[]} */ let codes = [];
    let turn = 0;

    // the result: a canvas for the face, and one above it for what is painted on, with its mask
    const results = names.map(name => ({below: picture(shape, size, name), above: picture(shape, size, '')}));
    for (const {below, above} of results) {
        below.canvas.width = below.canvas.height = 512; // an uploaded face keeps its own pixels
        above.canvas.setAttribute('aria-hidden', 'true');
        above.canvas.setAttribute('role', 'presentation');
    }
    const small = element('canvas', {width: shape[1], height: shape[0]}),
        brush = /** @type {CanvasRenderingContext2D} */ (small.getContext('2d'));

    /** @param {number} i  which model @param {{canvas: Grid, colours: Grid | null, mask: Grid | null}} made  @param {HTMLCanvasElement | null} under */
    const draw = (i, {canvas, colours, mask}, under) => {
        const {below, above} = results[i],
            context = /** @type {CanvasRenderingContext2D} */ (below.canvas.getContext('2d'));
        brush.putImageData(pixels(canvas, shape), 0, 0);
        context.drawImage(under ?? small, 0, 0, 512, 512);
        const paint = pixels(colours ?? canvas, shape);
        for (let p = 0; p < shape[0] * shape[1]; p++) paint.data[4 * p + 3] = mask ? 255 * mask[p] : 0;
        /** @type {CanvasRenderingContext2D} */ (above.canvas.getContext('2d')).putImageData(paint, 0, 0);
    };

    const move = own_frame.latest(async () => {
        if (!codes.length) return;
        await Promise.all(
            keys.map(async (key, i) => {
                const [one, other, given, another] = codes[i],
                    special = lerp(given.specific, another.specific, giver_mix).map(x => strength * x);
                const missed = one.missed ? lerp(one.missed, other.missed, face_mix) : null;
                const made = await engine().ask('wear', key, lerp(one.shared, other.shared, face_mix), missed, special);
                draw(
                    i,
                    made,
                    missed && face_mix === 0 ? sharp[face[0]] : missed && face_mix === 1 ? sharp[face[1]] : null,
                );
                results[i].below.say(
                    `${names[i]}: the face, ${Math.round(100 * face_mix)} % of the way to face 2, with ${Math.round(100 * strength)} % of what ` +
                        `is special about the giver, ${Math.round(100 * giver_mix)} % of the way to giver 2`,
                );
            }),
        );
    });

    const choose = own_frame.latest(async () => {
        codes = await Promise.all(
            keys.map(key =>
                Promise.all([
                    ...face.map(i => engine().ask('face', key, faces[i], worn[i])),
                    ...giver.map(i => engine().ask('face', key, givers[i], false)),
                ]),
            ),
        );
        [...face.map(i => faces[i]), ...giver.map(i => givers[i])].forEach((grid, i) => chosen[i].draw(grid));
        await move();
    });

    // everybody in everybody's glasses
    const some = Math.min(4, wearers.length),
        others = Math.min(4, givers.length);
    const tables = names.map(name =>
        picture(
            shape,
            65 * (some + 1),
            `${name}: faces above, givers on the left, and every face with what is special about every giver`,
            some + 1,
            others + 1,
        ),
    );
    const draw_tables = own_frame.latest(async () => {
        const mine = ++turn;
        for (let i = 0; i < keys.length; i++) {
            const above = await Promise.all(
                wearers.slice(0, some).map(grid => engine().ask('face', keys[i], grid, false)),
            );
            for (let at = 0; at < others; at++) {
                const {specific} = await engine().ask('face', keys[i], givers[at], false);
                tables[i].draw(givers[at], (at + 1) * (some + 1));
                for (let j = 0; j < some; j++) {
                    if (mine !== turn) return;
                    const {canvas, colours, mask} = await engine().ask(
                        'wear',
                        keys[i],
                        above[j].shared,
                        above[j].missed,
                        specific,
                    );
                    const whole = mask
                        ? canvas.map(
                              (/** @type {number} */ x, /** @type {number} */ p) =>
                                  x + mask[Math.floor(p / shape[2])] * (colours[p] - x),
                          )
                        : canvas;
                    tables[i].draw(wearers[j], j + 1);
                    tables[i].draw(whole, (at + 1) * (some + 1) + j + 1);
                }
            }
        }
    });

    // controls
    const chosen = ['face 1', 'face 2', 'giver 1', 'giver 2'].map(name => picture(shape, 96, name));
    const face_line = thumbnails(shape, 64, '12', picked => {
        face = picked;
        own_frame.tell({faces: face.map(i => Math.min(i, wearers.length + givers.length - 1))});
        choose();
    });
    const giver_line = thumbnails(shape, 64, '12', picked => {
        giver = picked;
        own_frame.tell({chosen: giver});
        choose();
    });
    faces.forEach((grid, i) => face_line.add(grid, worn[i] ? 'face with' : 'face without'));
    givers.forEach(grid => giver_line.add(grid, 'giver'));
    const strong = slider('how strong', strength, 2, value => {
        strength = value;
        own_frame.tell({strength});
        move();
    });
    const mixed = slider('giver 1 to giver 2', giver_mix, 1, value => {
        giver_mix = value;
        own_frame.tell({giver_mix});
        move();
    });
    const morph = slider('face 1 to face 2', face_mix, 1, value => {
        face_mix = value;
        own_frame.tell({face_mix});
        move();
    });
    const off = button('Take it off', () => {
        strength = 0;
        strong.put(0);
        own_frame.tell({strength});
        move();
    });
    const file = own(
        shape,
        (grid, name, square) => {
            faces.push(grid);
            sharp.push(square);
            worn.push(false);
            face_line.add(grid, name);
            face_line.pick(faces.length - 1);
        },
        own_frame.wrong,
    );
    const table = element(
        'details',
        {
            ontoggle: () => {
                if (table.open) draw_tables();
            },
        },
        element('summary', {}, 'Everyone with everyone'),
        row(...tables.map((one, i) => column(names[i], one.canvas))),
    );
    const flat = (/** @type {{below: any, above: any}} */ {below, above}) => {
        const whole = element('canvas', {width: 512, height: 512}),
            context = /** @type {CanvasRenderingContext2D} */ (whole.getContext('2d'));
        for (const one of [below, above]) context.drawImage(one.canvas, 0, 0, 512, 512);
        return whole;
    };

    box.append(
        element('b', {}, 'Faces: click for face 1, click again for face 2'),
        face_line.row,
        element('b', {}, 'Givers: click for giver 1, click again for giver 2'),
        giver_line.row,
        row(
            ...results.map(({below, above}, i) =>
                column(names[i], element('div', {class: 'nonvae-layers'}, below.canvas, above.canvas)),
            ),
            element(
                'div',
                {},
                strong.row,
                mixed.row,
                morph.row,
                row(...chosen.map((one, i) => column(['face 1', 'face 2', 'giver 1', 'giver 2'][i], one.canvas))),
                buttons(
                    off,
                    button('Save PNG', () => save_png(results.map(flat), 'transfer.png')),
                    file.row,
                ),
            ),
        ),
        table,
        own_frame.message,
    );
    const show = () => {
        face_line.put(face);
        giver_line.put(giver);
        choose();
        if (table.open) draw_tables();
    };
    for (const name of ['faces', 'chosen', 'strength', 'giver_mix', 'face_mix'])
        own_frame.on(name, () => {
            if (name === 'faces') face = here(store.get('faces'), faces);
            if (name === 'chosen') giver = here(store.get('chosen'), givers);
            [strength, giver_mix, face_mix] = ['strength', 'giver_mix', 'face_mix'].map(one => store.get(one));
            strong.put(strength);
            mixed.put(giver_mix);
            morph.put(face_mix);
            show();
        });
    const start = () => own_frame.load().then(show).catch(own_frame.wrong);
    own_frame.on('weights', start);
    start();
    return own_frame.end;
}

// ---------------------------------------------------------------- a map of codes

const COLOURS = [
    '#1f77b4',
    '#ff7f0e',
    '#2ca02c',
    '#d62728',
    '#9467bd',
    '#8c564b',
    '#e377c2',
    '#7f7f7f',
    '#bcbd22',
    '#17becf',
];

/** @param {Store} store  @param {HTMLElement} root */
export function plane(store, root) {
    const {box, keys, names, shape, ...own_frame} = frame(store, root),
        size = 360,
        nearest = 5;
    let images = images_of(store.get('images'), shape),
        place = [...store.get('place')];
    /** @type {{dots: Float32Array, mean: Grid, axes: Grid, low: number[], high: number[]}} */
    let map = {dots: new Float32Array(), mean: new Float32Array(), axes: new Float32Array(), low: [0, 0], high: [1, 1]};
    const labels = store.get('labels'),
        classes = store.get('classes');

    const chart = element('canvas', {
        width: 2 * size,
        height: 2 * size,
        tabindex: 0,
        role: 'slider',
        class: 'nonvae-map',
        'aria-valuemin': 0,
        'aria-valuemax': 100,
        'aria-label': `map of ${images.length} codes: drag the ring, or use the arrow keys`,
    });
    chart.style.width = `${size}px`;
    const behind = element('canvas', {width: 2 * size, height: 2 * size});
    const decoded = picture(shape, 160, 'what the point decodes to'),
        near = picture(shape, 205, 'the five nearest real images', nearest);
    const where = element('output');

    /** The dots, once: the ring moves above them. */
    const draw_dots = () => {
        const context = /** @type {CanvasRenderingContext2D} */ (behind.getContext('2d'));
        context.fillStyle = '#fff';
        context.fillRect(0, 0, 2 * size, 2 * size);
        context.fillStyle = '#ddd';
        for (const edge of [0.25, 0.5, 0.75]) {
            context.fillRect(0, 2 * size * edge, 2 * size, 1);
            context.fillRect(2 * size * edge, 0, 1, 2 * size);
        }
        for (let i = 0; 2 * i < map.dots.length; i++) {
            const [x, y] = [0, 1].map(k => (map.dots[2 * i + k] - map.low[k]) / (map.high[k] - map.low[k]));
            context.fillStyle = COLOURS[labels[i] % 10];
            context.beginPath();
            context.arc(2 * size * x, 2 * size * (1 - y), 3.5, 0, 7);
            context.fill();
        }
    };
    const draw_ring = () => {
        const context = /** @type {CanvasRenderingContext2D} */ (chart.getContext('2d'));
        context.drawImage(behind, 0, 0);
        for (const [width, colour] of /** @type {[number, string][]} */ ([
            [9, '#fff'],
            [4, '#000'],
        ])) {
            Object.assign(context, {lineWidth: width, strokeStyle: colour});
            context.beginPath();
            context.arc(2 * size * place[0], 2 * size * (1 - place[1]), 16, 0, 7);
            context.stroke();
        }
    };
    const point = () => [0, 1].map(k => map.low[k] + (map.high[k] - map.low[k]) * place[k]);

    const decode = own_frame.latest(async () => {
        const [x, y] = point(),
            n = map.mean.length,
            code = map.mean.map((m, i) => m + x * map.axes[i] + y * map.axes[n + i]);
        decoded.draw(await engine().ask('decode', keys[0], code));
        decoded.say(`what the point at (${x.toFixed(2)}, ${y.toFixed(2)}) decodes to`);
    });
    const move = () => {
        if (!map.dots.length) return; // the model is on its way
        const [x, y] = point(),
            far = images.map((_, i) => (map.dots[2 * i] - x) ** 2 + (map.dots[2 * i + 1] - y) ** 2);
        const order = [...far.keys()].sort((a, b) => far[a] - far[b]).slice(0, nearest);
        draw_ring();
        order.forEach((i, at) => near.draw(images[i], at));
        near.say(`the five nearest real images: ${order.map(i => classes[labels[i]] ?? 'image').join(', ')}`);
        where.textContent = `at (${x.toFixed(2)}, ${y.toFixed(2)})`;
        chart.setAttribute('aria-valuenow', String(Math.round(100 * place[0])));
        chart.setAttribute('aria-valuetext', where.textContent);
        decode();
    };
    const go = (/** @type {number[]} */ to) => {
        place = to.map(x => Math.max(0, Math.min(1, x)));
        own_frame.tell({place});
        move();
    };

    dragged(chart, (x, y) => go([x, 1 - y]));
    chart.addEventListener('keydown', event => {
        const way = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key];
        if (!way) return;
        event.preventDefault();
        go(place.map((x, k) => x + 0.01 * way[k]));
    });

    const found = [...new Set(labels)].sort((/** @type {number} */ a, /** @type {number} */ b) => a - b),
        legend = element('div', {class: 'nonvae-legend'});
    if (found.length > 1 && found.length <= 10)
        for (const label of found) {
            const square = element('i');
            square.style.background = COLOURS[label % 10];
            legend.append(element('span', {}, square, classes[label] ?? String(label)));
        }
    const kind =
        store.get('numbers') === 2
            ? 'the two numbers of the code'
            : `the best plane of ${store.get('numbers')} numbers`;
    box.append(
        row(
            element('div', {}, chart, legend),
            element(
                'div',
                {},
                column('Decoded here', decoded.canvas, where),
                column('Nearest real images', near.canvas),
            ),
        ),
        element('p', {}, `Map: ${kind}. Drag the ring, or move it with the arrow keys.`),
        own_frame.message,
    );

    const read = () => {
        const numbers = new Float32Array(buffer(store.get('dots'))),
            plane = new Float32Array(buffer(store.get('axes'))),
            n = plane.length / 3;
        map = {
            dots: numbers,
            mean: plane.subarray(0, n),
            axes: plane.subarray(n),
            low: store.get('low'),
            high: store.get('high'),
        };
        draw_dots();
    };
    const start = () =>
        own_frame
            .load()
            .then(() => {
                read();
                move();
            })
            .catch(own_frame.wrong);
    own_frame.on('place', () => {
        place = [...store.get('place')];
        move();
    });
    own_frame.on('weights', start);
    start();
    return own_frame.end;
}
