#!/usr/bin/env node
// Writes API.md from what the package exports: signatures from the types, words from the doc comments, and the minimum kernel
// from the "≥ 5.8" that a doc comment gives. A test holds API.md against it.
//
//   node libs/node-libbpf/scripts/api-reference.mjs [--check]
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));
const referenceFile = join(packageFolder, 'API.md');
// In brackets of its own it is a need; after other words ("BPF_MAP_LOOKUP_BATCH, ≥ 5.6") only a faster way.
const KERNEL = /(?:\(|[Kk]ernel |PMU )≥ ?(\d+\.\d+)/;

/** @param {ts.TypeChecker} checker @param {ts.Symbol} symbol */
function commentOf(checker, symbol) {
  return ts
    .displayPartsToString(symbol.getDocumentationComment(checker))
    .replace(/\s*\n\s*/g, ' ')
    .trim();
}

/** @param {ts.TypeChecker} checker @param {ts.Symbol} symbol */
function throwsOf(checker, symbol) {
  return symbol
    .getJsDocTags(checker)
    .filter(({ name }) => name === 'throws' || name === 'returns')
    .map(({ name, text }) =>
      `${name === 'throws' ? 'Throws' : 'Returns'} ${ts.displayPartsToString(text)}`.replace(/\s+/g, ' '),
    );
}

/** @param {ts.TypeChecker} checker @param {ts.Symbol} symbol */
function isInternal(checker, symbol) {
  return symbol.getJsDocTags(checker).some(({ name }) => name === 'internal');
}

/** @param {string} text */
const cell = (text) => text.replaceAll('|', '\\|').replace(/\s+/g, ' ').trim();
/** @param {string} text */
const kernelOf = (text) => KERNEL.exec(text)?.[1];

/** The declaration as written, without its body: what a reader of the source would see. @param {ts.Declaration} node */
function signatureOf(node) {
  const source = node.getSourceFile();
  const body = /** @type {{ body?: ts.Node }} */ (node).body;
  const end = body ? body.getStart(source) : node.getEnd();
  const text = source.text.slice(node.getStart(source), end);
  return text
    .replace(/^export\s+/, '')
    .replace(/^(?:public|override|async)\s+/g, '')
    .replace(/\basync /, '')
    .replace(/[;{]\s*$/, '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** @param {ts.Declaration} node */
function isHidden(node) {
  const flags = ts.getCombinedModifierFlags(node);
  if (flags & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) return true;
  const name = /** @type {ts.NamedDeclaration} */ (node).name;
  return name !== undefined && ts.isPrivateIdentifier(name);
}

/**
 * @param {ts.TypeChecker} checker
 * @param {ts.ClassDeclaration | ts.InterfaceDeclaration} node
 */
function membersOf(checker, node) {
  const rows = [];
  for (const member of node.members) {
    if (isHidden(member) || ts.isSemicolonClassElement(member) || ts.isClassStaticBlockDeclaration(member)) continue;
    // A setter says nothing that its getter does not.
    if (ts.isSetAccessorDeclaration(member)) continue;
    const symbol = ts.isConstructorDeclaration(member)
      ? /** @type {{ symbol?: ts.Symbol }} */ (/** @type {unknown} */ (member)).symbol
      : member.name && checker.getSymbolAtLocation(member.name);
    if (!symbol || isInternal(checker, symbol)) continue;
    // Of overloads each is declared without a body; the implementation is nobody's business.
    const overloads = symbol.declarations?.filter((one) => ts.isMethodDeclaration(one) && !one.body) ?? [];
    if (overloads.length > 0 && ts.isMethodDeclaration(member) && member.body) continue;
    const words = [commentOf(checker, symbol), ...throwsOf(checker, symbol)].filter(Boolean).join(' ');
    rows.push({
      signature: signatureOf(member)
        .replace(/^get (\w+)\(\)/, 'readonly $1')
        .replace(/^\*/, ''),
      words,
      kernel: kernelOf(words),
    });
  }
  return rows;
}

/** @param {ReturnType<typeof membersOf>} rows @param {string | undefined} inherited */
function table(rows, inherited) {
  if (rows.length === 0) return [];
  const lines = rows.map(
    ({ signature, words, kernel }) => `| \`${cell(signature)}\` | ${kernel ?? inherited ?? ''} | ${cell(words)} |`,
  );
  return ['| member | kernel | |', '|---|---|---|', ...lines, ''];
}

/** @param {ts.TypeChecker} checker @param {ts.Symbol} exported */
function entryOf(checker, exported) {
  const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
  const node = symbol.declarations?.[0];
  if (!node) throw new Error(`${exported.name} is exported and declared nowhere`);
  const words = [commentOf(checker, symbol), ...throwsOf(checker, symbol)].filter(Boolean).join(' ');
  const kernel = kernelOf(words);
  const lines = [`### ${exported.name}`, ''];
  if (words) lines.push(words, '');
  if (ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node)) {
    lines.push(...table(membersOf(checker, node), kernel));
    const parent = node.heritageClauses?.flatMap(({ types }) => types.map((type) => type.getText())).join(', ');
    if (parent) lines.splice(2, 0, `Extends \`${parent}\`.`, '');
  } else {
    for (const one of symbol.declarations ?? []) {
      if (ts.isFunctionDeclaration(one) && one.body && (symbol.declarations?.length ?? 0) > 1) continue;
      lines.push('```ts', declarationText(checker, symbol, one), '```', '');
    }
    if (kernel) lines.push(`Kernel ${kernel} or newer.`, '');
  }
  const kind = ts.isClassDeclaration(node) ? 'class' : ts.isFunctionDeclaration(node) ? 'function' : 'type';
  return { name: exported.name, kind: ts.isVariableDeclaration(node) ? 'value' : kind, text: lines.join('\n') };
}

/** @param {ts.TypeChecker} checker @param {ts.Symbol} symbol @param {ts.Declaration} node */
function declarationText(checker, symbol, node) {
  if (!ts.isVariableDeclaration(node)) return signatureOf(node);
  const type = checker.getTypeOfSymbol(symbol);
  const flags = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope;
  return `const ${symbol.name}: ${checker.typeToString(type, undefined, flags)}`;
}

const TITLES = { class: 'Classes', function: 'Functions', value: 'Values', type: 'Types' };

/** The whole page. */
export function apiReference() {
  const config = ts.getParsedCommandLineOfConfigFile(
    join(packageFolder, 'tsconfig.json'),
    {},
    {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic: ({ messageText }) => {
        throw new Error(ts.flattenDiagnosticMessageText(messageText, '\n'));
      },
    },
  );
  const entry = join(packageFolder, 'src/index.ts');
  const program = ts.createProgram([entry], { ...config?.options, noEmit: true, composite: false, incremental: false });
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(entry);
  const module = source && checker.getSymbolAtLocation(source);
  if (!module) throw new Error(`${relative(process.cwd(), entry)} exports nothing`);
  const entries = checker
    .getExportsOfModule(module)
    .map((symbol) => entryOf(checker, symbol))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const sections = Object.entries(TITLES).map(([kind, title]) => {
    const texts = entries.filter((one) => one.kind === kind).map(({ text }) => text);
    return `## ${title}\n\n${texts.join('\n')}`;
  });
  return [
    '# API of node-libbpf',
    '',
    'Written by `scripts/api-reference.mjs` from the types and their comments. `kernel` is the first release that has it; where none is',
    'named, 5.8 is enough (the ring buffer), and often less.',
    '',
    sections.join('\n'),
  ].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const text = apiReference();
  if (!process.argv.includes('--check')) writeFileSync(referenceFile, text);
  else if (readFileSync(referenceFile, 'utf8') !== text) {
    console.error(
      'libs/node-libbpf/API.md is not what the types say: run node libs/node-libbpf/scripts/api-reference.mjs',
    );
    process.exit(1);
  }
}
