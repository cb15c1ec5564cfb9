/** The text of the worker: Python writes it in front of the other modules. */
declare const WORKER: string;
