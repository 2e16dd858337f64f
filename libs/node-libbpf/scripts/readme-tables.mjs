#!/usr/bin/env node
// Writes the tables of attach and map types into README.md, from the tables of the library (built: dist). With --check it says
// whether they are what the library says. A test holds them against it.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { attachTypes, capabilitiesToAttach, capabilitiesToCreate, linkTypes, mapTypes } from '../dist/index.js';

const readmeFile = fileURLToPath(new URL('../README.md', import.meta.url));

/** The older of the two is no help: a link is pinned where both are there. */
function newer(a, b) {
  const [[majorA, minorA], [majorB, minorB]] = [a, b].map((version) => version.split('.').map(Number));
  return majorA > majorB || (majorA === majorB && minorA >= minorB) ? a : b;
}

function kernelOf(type) {
  const machines = Object.entries(type.sinceByMachine ?? {}).map(
    ([machine, since]) => `${machine} ${since === '' ? 'never' : since}`,
  );
  return `${type.since} (${type.commit})${machines.length === 0 ? '' : `; ${machines.join(', ')}`}`;
}

function attachTable() {
  const rows = attachTypes.map((type) => {
    const link = type.linkType === undefined ? undefined : linkTypes[type.linkType];
    return [
      type.name,
      `\`${type.section.replaceAll('|', '\\|')}\``,
      kernelOf(type),
      link === undefined ? 'none' : newer(link.since, type.since),
      link?.updatableSince === undefined ? 'no' : newer(link.updatableSince, type.since),
      capabilitiesToAttach(type).join(', '),
    ];
  });
  return table(['attach type', 'section', 'kernel', 'link', 'update', 'capabilities'], rows);
}

function mapTable() {
  const rows = mapTypes.map((type) => [
    type.name,
    type.view,
    `${kernelOf(type)}${type.needsJit === true ? '; JIT on' : ''}`,
    capabilitiesToCreate(type).join(', '),
  ]);
  return table(['map type', 'class', 'kernel', 'capabilities'], rows);
}

function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function between(text, name, content) {
  const pattern = new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- end -->)`);
  if (!pattern.test(text)) throw new Error(`README.md has no place for the ${name}`);
  return text.replace(pattern, (_, begin, end) => `${begin}\n${content}\n\n${end}`);
}

const before = readFileSync(readmeFile, 'utf8');
const after = between(between(before, 'attach types', attachTable()), 'map types', mapTable());
if (!process.argv.includes('--check')) {
  writeFileSync(readmeFile, after);
} else if (after !== before) {
  console.error(
    'the tables of libs/node-libbpf/README.md are old: run node libs/node-libbpf/scripts/readme-tables.mjs',
  );
  process.exitCode = 1;
}
