// Animations as GIF files (CompuServe, GIF89a): colours from a fixed table, packed with LZW.

/** The bytes of numbers below 256, as GIF's LZW packs them: known sequences get codes, codes grow from 9 to 12 bits.
 * @param {Uint8Array} numbers */
function lzw(numbers) {
    /** @type {number[]} */ const bytes = [];
    let bits = 0,
        held = 0,
        width = 9,
        next = 258;
    /** @type {Map<number, number>} */ let known = new Map();
    const put = (/** @type {number} */ code) => {
        bits |= code << held;
        for (held += width; held >= 8; held -= 8, bits >>>= 8) bytes.push(bits & 255);
    };
    put(256);
    let sequence = numbers[0];
    for (let i = 1; i < numbers.length; i++) {
        const longer = (sequence << 8) | numbers[i],
            code = known.get(longer);
        if (code !== undefined) {
            sequence = code;
            continue;
        }
        put(sequence);
        if (next === 4096) {
            // the table is full: begin anew
            put(256);
            known = new Map();
            next = 258;
            width = 9;
        } else {
            if (next === 1 << width) width++;
            known.set(longer, next++);
        }
        sequence = numbers[i];
    }
    put(sequence);
    put(257);
    if (held) bytes.push(bits & 255);
    return bytes;
}

/** 256 colours: 6 x 7 x 6 of the cube. */
const levels = [6, 7, 6];
const threshold = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5]; // Bayer's order hides the steps between colours

/** Every pixel's number in the table. @param {ImageData} image */
function indexed({data, width}) {
    return Uint8Array.from({length: data.length / 4}, (_, p) => {
        const shift = (threshold[(Math.floor(p / width) % 4) * 4 + ((p % width) % 4)] + 0.5) / 16;
        return levels.reduce(
            (sum, count, c) =>
                sum * count + Math.min(count - 1, Math.floor((data[4 * p + c] / 255) * (count - 1) + shift)),
            0,
        );
    });
}

/** Frames of one size as an endless animation. @param {ImageData[]} frames  @param {number} delay  hundredths of a second */
export function gif(frames, delay) {
    const {width, height} = frames[0],
        short = (/** @type {number} */ x) => [x & 255, x >> 8];
    const grey = frames.every(({data}) => data.every((value, i) => i % 4 === 3 || value === data[i - (i % 4)]));
    const table = Array.from({length: 256}, (_, i) => {
        if (grey) return [i, i, i];
        const [, green, blue] = levels;
        return [Math.floor(i / green / blue) / 5, (Math.floor(i / blue) % green) / 6, (i % blue) / 5].map(x =>
            Math.min(255, Math.round(255 * x)),
        );
    }).flat();
    const bytes = [
        ...new TextEncoder().encode('GIF89a'),
        ...short(width),
        ...short(height),
        0xf7,
        0,
        0,
        ...table,
        0x21,
        0xff,
        11,
        ...new TextEncoder().encode('NETSCAPE2.0'),
        3,
        1,
        0,
        0,
        0,
    ];
    for (const frame of frames) {
        const packed = lzw(
            grey ? Uint8Array.from({length: width * height}, (_, p) => frame.data[4 * p]) : indexed(frame),
        );
        bytes.push(0x21, 0xf9, 4, 4, ...short(delay), 0, 0, 0x2c, 0, 0, 0, 0, ...short(width), ...short(height), 0, 8);
        for (let i = 0; i < packed.length; i += 255)
            bytes.push(Math.min(255, packed.length - i), ...packed.slice(i, i + 255));
        bytes.push(0);
    }
    return new Blob([new Uint8Array([...bytes, 0x3b])], {type: 'image/gif'});
}
