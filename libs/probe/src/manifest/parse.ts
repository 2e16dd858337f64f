import { parseDocument } from 'yaml';
import type * as z from 'zod';
import { ManifestError } from './error.js';
import type { ManifestIssue } from './error.js';
import { manifestSchema } from './schema.js';
import type { ProbeManifest } from './schema.js';

const MANIFEST_BYTES_MAX = 64 * 1024;
const ISSUES_MAX = 50;

/** One table of names may serve several labels; aliases of aliases, which can fill any memory, stay below this too. */
const ALIASES_MAX = 64;

/**
 * Reads a `probe.yaml`.
 * @throws ManifestError with every problem found
 */
export function parseManifest(yamlText: string): ProbeManifest {
  if (new TextEncoder().encode(yamlText).byteLength > MANIFEST_BYTES_MAX) {
    throw new ManifestError([{ path: '', message: `A manifest must not be longer than ${MANIFEST_BYTES_MAX} bytes.` }]);
  }
  const parsed = manifestSchema.safeParse(readYaml(yamlText));
  if (parsed.success) return parsed.data;
  throw new ManifestError(parsed.error.issues.flatMap((issue) => issuesOf(issue, [])).slice(0, ISSUES_MAX));
}

function readYaml(text: string): unknown {
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: true, strict: true });
  const problem = document.errors[0];
  if (problem !== undefined) {
    // The parser reports that its stack was full as it reports any mistake.
    const tooDeep = /call stack/i.test(problem.message);
    const reason = tooDeep ? 'it is nested deeper than any manifest is' : firstLine(problem.message);
    throw new ManifestError([{ path: '', message: `The manifest is not valid YAML: ${reason}.` }]);
  }
  const value = toValue(document);
  const path = controlCharacterAt(value, []);
  if (path !== undefined) {
    const message = capital(`${subject(path)} holds a control character; only line ends and tabs may be in a text.`);
    throw new ManifestError([{ path: pathText(path), message }]);
  }
  return value;
}

function toValue(document: ReturnType<typeof parseDocument>): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX }) as unknown;
  } catch (error) {
    const reason = error instanceof Error ? firstLine(error.message) : 'unreadable';
    throw new ManifestError([{ path: '', message: `The manifest cannot be read: ${reason}.` }]);
  }
}

/** Texts of a manifest are stored, logged and shown on terminals: none may forge a line there or be refused by a database. */
const CONTROL_CHARACTER = /(?![\n\r\t])\p{Cc}|\p{Surrogate}/u;

/** Where the first such text is. What holds itself (an alias inside of its own anchor) is looked into once. */
function controlCharacterAt(
  value: unknown,
  path: readonly PropertyKey[],
  seen = new Set<object>(),
): readonly PropertyKey[] | undefined {
  if (typeof value === 'string') return CONTROL_CHARACTER.test(value) ? path : undefined;
  if (typeof value !== 'object' || value === null || seen.has(value)) return undefined;
  seen.add(value);
  for (const [key, inner] of Object.entries(value)) {
    const at = CONTROL_CHARACTER.test(key) ? path : controlCharacterAt(inner, [...path, partOf(value, key)], seen);
    if (at !== undefined) return at;
  }
  return undefined;
}

function partOf(value: object, key: string): PropertyKey {
  return Array.isArray(value) ? Number(key) : key;
}

/** A union's issue holds one list per alternative; the alternative that came furthest explains best. */
function issuesOf(issue: z.core.$ZodIssue, prefix: readonly PropertyKey[]): ManifestIssue[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const depth = (issues: readonly z.core.$ZodIssue[]) => Math.max(0, ...issues.map((i) => i.path.length));
    const deepest = [...issue.errors].sort((a, b) => depth(b) - depth(a))[0] ?? [];
    if (depth(deepest) > 0) return deepest.flatMap((inner) => issuesOf(inner, path));
    const reasons = issue.errors
      .flatMap((e) => e.map((i) => sentence(i)))
      .filter((text, i, all) => all.indexOf(text) === i);
    return [{ path: pathText(path), message: capital(`${subject(path)} ${reasons.join(', or ')}.`) }];
  }
  return [{ path: pathText(path), message: capital(`${subject(path)} ${sentence(issue)}.`) }];
}

function sentence(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${article(issue.expected)}`;
    case 'unrecognized_keys':
      return `has unknown keys: ${issue.keys.join(', ')}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_big':
      return `must not be more than ${String(issue.maximum)}`;
    case 'too_small':
      return `must be at least ${String(issue.minimum)}`;
    case 'invalid_key':
      return issue.issues.map((inner) => `has a name that ${inner.message}`).join(', and ');
    default:
      return issue.message;
  }
}

function article(expected: string): string {
  const names: Record<string, string> = { object: 'a mapping', array: 'a list', record: 'a mapping', string: 'text' };
  return names[expected] ?? (/^[aeiou]/.test(expected) ? `an ${expected}` : `a ${expected}`);
}

function subject(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'the manifest' : `\`${pathText(path)}\``;
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`))
    .join('');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/[.:]\s*$/, '');
}
