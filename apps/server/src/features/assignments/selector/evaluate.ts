import { fieldOf, type SelectorSubject } from './fields.js';
import type { Comparison, Selector, SelectorValue } from './parse.js';

/**
 * True, false, or undefined when the device has not reported what the selector asks: `not arch=arm64` must not catch a
 * device whose architecture nobody knows (Kleene's three values).
 */
export type Truth = boolean | undefined;

export function evaluateSelector(selector: Selector, subject: SelectorSubject): Truth {
  switch (selector.kind) {
    case 'all':
      return true;
    case 'and':
      return all(selector.parts.map((part) => evaluateSelector(part, subject)));
    case 'or':
      return negate(all(selector.parts.map((part) => negate(evaluateSelector(part, subject)))));
    case 'not':
      return negate(evaluateSelector(selector.part, subject));
    case 'present':
      return isPresent(fieldOf(selector.field).read(subject));
    case 'in':
      return negate(all(selector.values.map((value) => negate(compareField(selector.field, '=', value, subject)))));
    case 'compare':
      return compareField(selector.field, selector.operator, selector.value, subject);
  }
}

/** Only what is known to match is selected. */
export function selects(selector: Selector, subject: SelectorSubject): boolean {
  return evaluateSelector(selector, subject) === true;
}

function all(values: readonly Truth[]): Truth {
  if (values.includes(false)) return false;
  return values.includes(undefined) ? undefined : true;
}

function negate(value: Truth): Truth {
  return value === undefined ? undefined : !value;
}

function isPresent(value: unknown): Truth {
  if (value === undefined) return undefined;
  if (typeof value === 'boolean') return value;
  return Array.isArray(value) ? value.length > 0 : value !== '';
}

function compareField(name: string, operator: Comparison, wanted: SelectorValue, subject: SelectorSubject): Truth {
  const field = fieldOf(name);
  const value = field.read(subject);
  if (value === undefined) return undefined;
  if (field.kind === 'set') {
    const holds = (value as readonly string[]).some((item) => matchesText(item, wanted));
    return operator === '=' ? holds : !holds;
  }
  if (field.kind === 'number') return ordered(operator, Number(value) - Number(wanted.text));
  const text = String(value);
  if (field.kind === 'version' && !wanted.pattern) return ordered(operator, compareVersions(text, wanted.text));
  const same = matchesText(text, wanted);
  return operator === '=' ? same : operator === '!=' ? !same : false;
}

function ordered(operator: Comparison, difference: number): boolean {
  switch (operator) {
    case '=':
      return difference === 0;
    case '!=':
      return difference !== 0;
    case '>=':
      return difference >= 0;
    case '<=':
      return difference <= 0;
    case '>':
      return difference > 0;
    case '<':
      return difference < 0;
  }
}

/**
 * Compares as many numeric parts as `wanted` names, so that `kernel=5.10` and `kernel<=5.10` hold for 5.10.0-28-arm64:
 * who writes 5.10 means that series.
 */
export function compareVersions(actual: string, wanted: string): number {
  const have = numbersOf(actual);
  for (const [index, want] of numbersOf(wanted).entries()) {
    const difference = (have[index] ?? 0) - want;
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbersOf(version: string): number[] {
  const leading = /^\d{1,9}(?:[.-]\d{1,9}){0,7}/.exec(version)?.[0] ?? '';
  return leading === '' ? [] : leading.split(/[.-]/).map(Number);
}

/** Linear in the text: a greedy walk over the pieces between the stars, no regular expression made of foreign text. */
function matchesText(text: string, { text: wanted, pattern }: SelectorValue): boolean {
  if (!pattern) return text === wanted;
  const pieces = wanted.split('*');
  const first = pieces[0] ?? '';
  const last = pieces.at(-1) ?? '';
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at <= text.length - last.length;
}
