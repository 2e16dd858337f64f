export type EventValue = string | number | boolean | null;

/** A value of a column as JSON can hold it: a number only when it is exact, bytes as hex, arrays as their JSON. */
export function eventValue(value: unknown, pgType: string): EventValue {
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value)) return value.toString('hex');
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string') return isWhole(pgType) ? wholeOrText(value) : value;
  return JSON.stringify(value);
}

function isWhole(pgType: string): boolean {
  return pgType === 'int8' || pgType === 'numeric';
}

function wholeOrText(text: string): number | string {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : text;
}
