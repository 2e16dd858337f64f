/** Half of a pair, or a pair; UTF-8 and back replaces the halves. */
const SURROGATE = /[\ud800-\udfff]/;

/** Text that PostgreSQL takes, in jsonb too: without NUL and lone surrogates, and no longer than `lengthMax`. */
export function cleanText(text: string, lengthMax = 1024): string {
  const short = text.length > lengthMax ? text.slice(0, lengthMax) : text;
  const filled = short.includes('\0') ? short.replaceAll('\0', '\ufffd') : short;
  return SURROGATE.test(filled) ? Buffer.from(filled, 'utf8').toString('utf8') : filled;
}

/** One text per set of labels, whatever the order they came in: what a series is recognised by. */
export function canonicalLabels(labels: Readonly<Record<string, string>>): string {
  const names = Object.keys(labels).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${JSON.stringify(cleanText(labels[name] ?? ''))}`).join(',')}}`;
}

/** JSON for a jsonb column. */
export function cleanJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'bigint') return item.toString();
    return typeof item === 'string' ? cleanText(item, 64 * 1024) : item;
  });
}
