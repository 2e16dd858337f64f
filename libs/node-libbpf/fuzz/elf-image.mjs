// A BPF object as the fuzz run mutates it: without DWARF, with a dictionary of telling names in its string tables, and with
// spare sections that a mutation can turn into something.

const HEADER_BYTES = 64;
export const SECTION_HEADER_BYTES = 64;
export const SYMBOL_BYTES = 24;
const SPARE_SECTIONS = 3;

/** Names that libbpf gives a meaning to; long, empty-looking and format-like ones among them. */
export const SECTION_NAMES = [
  '.maps', 'maps', '.struct_ops', '.struct_ops.link', '?.struct_ops', '?.struct_ops.link', '.kconfig', '.ksyms', 'license',
  'version', '.BTF', '.BTF.ext', '.BTF.base', '.rodata', '.rodata.x', '.rodata.str1.1', '.data', '.data.x', '.bss', '.bss.x', '.text',
  '.addr_space.1', '.rel.maps', '.symtab', '.debug_info', '.llvm_addrsig', '.eh_frame', 'xdp', '?xdp', 'xdp.frags/cpumap', 'tc', 'tcx/ingress',
  'socket', 'kprobe/', 'kprobe/a+', 'kprobe/a+0xffffffffffffffff', 'kprobe/%s%n', 'kretprobe/a+8', 'kprobe.multi/x*', 'kprobe.session/*',
  'uprobe//bin/sh:main+0x1', 'uprobe/libc.so.6:x@y+', 'uprobe/', 'uprobe/:', 'uprobe.multi/libc.so.6:get*', 'ksyscall/read', 'usdt/', 'usdt/libc.so.6:a:b',
  'usdt//:::', 'tp/', 'tp/a', 'tp/a/b/c', 'tracepoint/sched/sched_switch', 'raw_tp/', 'raw_tp/sys_enter', 'tp_btf/sys_enter', 'fentry/', 'fentry.s/vfs_read',
  'fexit/vfs_read', 'fmod_ret/x', 'freplace/x', 'lsm/file_open', 'lsm_cgroup/x', 'iter/', 'iter/task', 'iter.s/bpf_map', 'struct_ops/ssthresh',
  'struct_ops/', 'struct_ops.s/x', 'syscall', 'perf_event', 'cgroup/skb', 'cgroup_skb/egress', 'sk_lookup', 'netfilter', 'sockops', 'a'.repeat(300),
  'kprobe/' + 'b'.repeat(5000), '%s%s%s%n', '\u0001', ' ', 'x:', '/', '?', 'LICENSE', 'bpf_prog',
]; // prettier-ignore

/** What BTF says by name: members of map definitions, externs, access strings, tags, kernel types. */
export const BTF_NAMES = [
  'type', 'max_entries', 'key', 'value', 'key_size', 'value_size', 'map_flags', 'map_extra', 'numa_node', 'pinning', 'values', '.maps', '.kconfig', '.ksyms',
  '.struct_ops', '.struct_ops.link', '.rodata', '.data', '.bss', '.rodata.x', 'license', '.text', 'xdp', 'LINUX_KERNEL_VERSION', 'LINUX_HAS_BPF_COOKIE',
  'LINUX_HAS_SYSCALL_WRAPPER', 'LINUX_UNKNOWN', 'CONFIG_HZ', 'CONFIG_', 'libbpf_tristate', 'bpf_prog_active', 'bpf_task_acquire', 'vfs_read', 'task_struct',
  'task_struct___x', '___', 'a___b___c', 'tcp_congestion_ops', 'sched_ext_ops', 'data', 'ssthresh', 'cong_avoid', 'name', 'arg:ctx', 'arg:nonnull', 'arg:arena',
  'exception_callback:tail', 'kernel', 'user', 'rcu', 'bpf_spin_lock', 'bpf_timer', 'lock', 'comm', 'pid', 'mm', '0', '0:0', '0:1', '0:1:2', '0:0:0:0:0', '0:9999',
  '0:4294967295', '4294967295', '4294967296', '-1', '0:-1', '0:', ':', '0:0:'.repeat(70), '0:'.repeat(40) + '0', '1:2:3', 'x', '%s%n', 'y'.repeat(600), '/', '../../x', 'a/b',
  'int', 'unsigned int', 'long unsigned int', 'char', '_Bool', 'bool', 'enum',
]; // prettier-ignore

const isDwarf = (name) => /^\.(rel)?\.?debug/.test(name) || name.startsWith('.rel.debug');

/** Sections of a little-endian ELF64 file that a compiler wrote. */
export function readSections(bytes) {
  const at = Number(bytes.readBigUInt64LE(40));
  const count = bytes.readUInt16LE(60);
  const sections = Array.from({ length: count }, (_, index) => {
    const header = at + index * SECTION_HEADER_BYTES;
    const type = bytes.readUInt32LE(header + 4);
    const offset = Number(bytes.readBigUInt64LE(header + 24));
    const size = Number(bytes.readBigUInt64LE(header + 32));
    return {
      index,
      header,
      nameAt: bytes.readUInt32LE(header),
      type,
      offset,
      size: type === 8 ? 0 : size,
      link: bytes.readUInt32LE(header + 40),
      info: bytes.readUInt32LE(header + 44),
    };
  });
  const names = sections[bytes.readUInt16LE(62)];
  return sections.map((section) => {
    const start = names.offset + section.nameAt;
    return { ...section, name: bytes.toString('latin1', start, bytes.indexOf(0, start)) };
  });
}

const joined = (names) => Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1');

function withMoreNames(section, bytes, namesIndex) {
  const data = bytes.subarray(section.offset, section.offset + section.size);
  if (section.index === namesIndex) return Buffer.concat([data, joined(['.spare', ...SECTION_NAMES])]);
  if (section.name !== '.BTF') return data;
  // clang puts the strings last.
  const grown = Buffer.concat([data, joined(BTF_NAMES)]);
  grown.writeUInt32LE(grown.readUInt32LE(20) + grown.length - data.length, 20);
  return grown;
}

/** Lays the file out anew: what is kept, in its order, then spare sections, then the section headers. */
export function rebuild(original) {
  const bytes = Buffer.from(original);
  const namesIndex = bytes.readUInt16LE(62);
  const kept = readSections(bytes).filter(({ name }) => !isDwarf(name));
  const newIndex = new Map(kept.map(({ index }, position) => [index, position]));
  const parts = [bytes.subarray(0, HEADER_BYTES)];
  let end = HEADER_BYTES;
  const add = (data) => {
    const padding = (8 - (end % 8)) % 8;
    parts.push(Buffer.alloc(padding), data);
    const at = end + padding;
    end = at + data.length;
    return at;
  };
  const headers = [];
  for (const section of kept) {
    const header = Buffer.from(bytes.subarray(section.header, section.header + SECTION_HEADER_BYTES));
    const data = Buffer.from(withMoreNames(section, bytes, namesIndex));
    if (section.type === 2) renumberSymbols(data, newIndex);
    header.writeBigUInt64LE(BigInt(add(data)), 24);
    if (section.type !== 8) header.writeBigUInt64LE(BigInt(data.length), 32);
    header.writeUInt32LE(newIndex.get(section.link) ?? 0, 40);
    // Of a symbol table it is the number of local symbols.
    if (section.type !== 2) header.writeUInt32LE(newIndex.get(section.info) ?? 0, 44);
    headers.push(header);
  }
  const names = kept.find(({ index }) => index === namesIndex);
  for (let i = 0; i < SPARE_SECTIONS; i += 1) headers.push(spareHeader(add(Buffer.alloc(64, i)), names.size));
  const table = add(Buffer.concat(headers));
  const image = Buffer.concat(parts);
  image.writeBigUInt64LE(BigInt(table), 40);
  image.writeUInt16LE(headers.length, 60);
  image.writeUInt16LE(newIndex.get(namesIndex), 62);
  return image;
}

function renumberSymbols(data, newIndex) {
  for (let at = 0; at + SYMBOL_BYTES <= data.length; at += SYMBOL_BYTES) {
    const section = data.readUInt16LE(at + 6);
    if (section < 0xff00) data.writeUInt16LE(newIndex.get(section) ?? 0, at + 6);
  }
}

function spareHeader(offset, nameAt) {
  const header = Buffer.alloc(SECTION_HEADER_BYTES);
  header.writeUInt32LE(nameAt, 0);
  header.writeUInt32LE(1, 4);
  header.writeBigUInt64LE(3n, 8);
  header.writeBigUInt64LE(BigInt(offset), 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeBigUInt64LE(8n, 48);
  return header;
}
