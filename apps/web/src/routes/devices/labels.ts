const labelName = /^[a-z][a-z0-9_.-]{0,62}$/;
const labelsMax = 32;

/** Reads `site=oslo model=gw-200 place="hall 3"`; `problem` is a sentence when it cannot. */
export function parseLabels(text: string): { labels: Record<string, string>; problem?: string } {
  const labels: Record<string, string> = {};
  for (const [pair] of text.matchAll(/[^\s,="]*="(?:[^"\\]|\\.)*"|[^\s,]+/g)) {
    const split = pair.indexOf('=');
    if (split < 1) return { labels, problem: `“${pair}” is not name=value.` };
    const name = pair.slice(0, split);
    if (!labelName.test(name))
      return { labels, problem: `A label's name is a-z, then a-z 0-9 _ . -, unlike “${name}”.` };
    const value = unquoted(pair.slice(split + 1));
    if (value === undefined) return { labels, problem: `The quotes of ${name} do not close.` };
    if (value.length > 128) return { labels, problem: `The value of ${name} is longer than 128.` };
    labels[name] = value;
  }
  const count = Object.keys(labels).length;
  return count > labelsMax ? { labels, problem: `${count} labels are too many: ${labelsMax} at most.` } : { labels };
}

function unquoted(value: string): string | undefined {
  if (!value.startsWith('"')) return value;
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === 'string' ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** The text that `parseLabels` reads back. Values with blanks, commas or quotes stand in quotes. */
export function labelsText(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${/[\s,"]/.test(value) ? JSON.stringify(value) : value}`)
    .join(' ');
}
