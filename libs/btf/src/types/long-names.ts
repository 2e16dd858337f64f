/** What compilers call `long`, the one type that says how large a pointer is. */
export const LONG_NAMES: ReadonlySet<string> = new Set([
  'long',
  'long int',
  'int long',
  'unsigned long',
  'long unsigned',
  'long unsigned int',
  'unsigned long int',
  'unsigned int long',
  'long int unsigned',
  'int unsigned long',
  'int long unsigned',
]);
