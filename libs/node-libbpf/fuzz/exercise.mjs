// What is done with an input: everything that a careless caller could do with an object of unknown origin.

// Types whose programs can be attached for a moment without doing anything to this machine.
const HARMLESS = new Set(['kprobe', 'tracepoint', 'raw_tracepoint', 'perf_event']);
const MAP_BYTES_MAX = 1 << 22;
const MAP_TYPES = [
  'hash',
  'array',
  'ringbuf',
  'perf_event_array',
  'percpu_array',
  'lpm_trie',
  'hash_of_maps',
  'nothing',
];

/** The library's own errors are answers; anything else is a finding. */
function attempt(api, act) {
  try {
    return act();
  } catch (error) {
    if (error instanceof api.LibbpfError) return undefined;
    throw error;
  }
}

function changeProgram(api, random, program) {
  if (random.chance(0.7)) attempt(api, () => (program.autoload = true));
  if (random.chance(0.05)) attempt(api, () => (program.autoload = false));
  if (random.chance(0.1))
    attempt(api, () => program.setAttachTarget({ function: random.pick(['vfs_read', 'nowhere', 'x']) }));
}

function changeMap(api, random, map) {
  const entryBytes = map.keyBytes + map.valueBytes;
  if (entryBytes * map.maxEntries > MAP_BYTES_MAX || random.chance(0.1))
    attempt(api, () => (map.maxEntries = 1 + random.below(64)));
  if (random.chance(0.05))
    attempt(api, () => map.setSizes({ keyBytes: random.below(64), valueBytes: random.below(4096) }));
  if (random.chance(0.05)) attempt(api, () => (map.flags = random.below(4096)));
  if (random.chance(0.05)) attempt(api, () => (map.autocreate = random.chance(0.3)));
  attempt(api, () => [map.keyType, map.valueType]);
  if (random.chance(0.05)) attempt(api, () => (map.type = random.pick(MAP_TYPES)));
  if (map.pinPath !== undefined || random.chance(0.03)) attempt(api, () => (map.pinPath = undefined));
  const value = attempt(api, () => map.initialValue);
  if (value === undefined) return;
  value.fill(random.u32(), random.below(value.length + 1));
  attempt(api, () => (map.initialValue = value));
}

function changeGlobal(api, random, each) {
  const value = attempt(api, () => [each.type, each.get()])?.[1];
  if (random.chance(0.5)) attempt(api, () => each.set(random.pick([0, 1n, '', [], {}, value])));
}

function useMap(api, map) {
  attempt(api, () => map.nextKey());
  if (map.keyBytes + map.valueBufferBytes > MAP_BYTES_MAX) return;
  const key = Buffer.alloc(map.keyBytes);
  const value = attempt(api, () => map.lookup(key));
  if (value !== undefined) attempt(api, () => map.update(key, value));
  attempt(api, () => map.readAll({ entriesMax: 64 }));
  attempt(api, () => map.mmap())?.fill(0, 0, 8);
}

/** Returns how far it came: `refused`, `opened` or `loaded`. */
export function exerciseObject(api, bytes, random, options) {
  const spec = attempt(api, () =>
    options.open(bytes, { ...options.with, verifierLogLevel: random.pick([0, 0, 0, 1, 2, 4]) }),
  );
  if (spec === undefined) return 'refused';
  try {
    for (const program of spec.programs) changeProgram(api, random, program);
    for (const map of spec.maps) changeMap(api, random, map);
    for (const each of attempt(api, () => spec.globals) ?? []) changeGlobal(api, random, each);
    if (random.chance(0.05)) return 'opened';
    const object = attempt(api, () => spec.load());
    if (object === undefined) return 'opened';
    for (const map of object.maps) useMap(api, map);
    for (const program of object.programs) {
      if (HARMLESS.has(options.typeOf(spec, program))) attempt(api, () => program.attach())?.close();
    }
    object.close();
    return 'loaded';
  } finally {
    spec.close();
  }
}

/** Attaches by function, by version, by offset and by static tracepoint to a file that is no good program. */
export function exerciseProgram(api, path, random, object) {
  const program = object.program('on_uprobe');
  const names = ['main', 'handle_line', 'nowhere', 'main@', 'fgets@GLIBC_2.2.5', 'fgets@@GLIBC_2.2.5', '*'];
  const target = { path, function: random.pick(names), offset: BigInt(random.below(16)), onReturn: random.chance(0.2) };
  attempt(api, () => program.attachUprobe(target))?.close();
  attempt(api, () => object.program('on_usdt').attachUsdt({ path, provider: 'node_libbpf', name: 'line' }))?.close();
  return 'attached';
}
