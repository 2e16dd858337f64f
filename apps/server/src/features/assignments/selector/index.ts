export { SelectorError } from './error.js';
export { evaluateSelector, selects, type Truth } from './evaluate.js';
export type { SelectorFacts, SelectorSubject } from './fields.js';
export { parseSelector, type Selector } from './parse.js';
