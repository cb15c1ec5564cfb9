// The worker's ear: a message [number, question, ...arguments] is answered with [number, answer, sentence of what went wrong].
import {answers} from './models.js';

self.onmessage = ({data: [number, question, ...rest]}) => {
    try {
        self.postMessage([number, /** @type {any} */ (answers)[question](...rest), null]);
    } catch (error) {
        self.postMessage([number, null, String(error)]);
    }
};
