import type { Names } from './print.js';
import type { BtfType } from './types.js';

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Types that compilers know by themselves, in every order of words that DWARF uses. */
const BUILTIN_TYPE =
  /^(?:(?:unsigned|signed|char|short|int|long|float|double|_Bool|_Complex|__int128|_Float16)(?: |$))+$/;
const KEYWORDS: ReadonlySet<string> = new Set(
  (
    'asm auto break case char const continue default do double else enum extern float for goto if inline int long ' +
    'register restrict return short signed sizeof static struct switch typedef typeof union unsigned void volatile while'
  ).split(' '),
);

export function isBuiltin(name: string): boolean {
  return BUILTIN_TYPE.test(name);
}

/**
 * Names of a whole header. Kernels have several types of one name (each driver its own `struct chip`), which C does not
 * allow: later ones become flavours, `chip___2`, so that CO-RE still knows what they are.
 */
export class HeaderNames implements Names {
  /** Struct, union and enum tags share one space; typedefs and enumerators the other. */
  readonly noElements = '0';
  readonly #tags = new Map<string, { kind: string; definedBy: number | undefined }>();
  /** The kernel's `va_list` is not that of the compiler that reads the header, and must not lend it its layout. */
  readonly #ordinary = new Set<string>(['__builtin_va_list']);
  readonly #byId = new Map<number, string>();
  /** The flavour to try next, so that many types of one name do not ask for each other's again and again. */
  readonly #versions = new Map<string, number>();

  readonly type = (type: BtfType): string => {
    const known = this.#byId.get(type.id);
    if (known !== undefined) return known;
    const name = this.#choose(type);
    this.#byId.set(type.id, name);
    return name;
  };

  readonly member = (name: string): string => (name === '' ? '' : clean(name));

  /** An unnamed enum may be written several times; its enumerators may exist once. */
  readonly enumerator = (name: string): string => this.#unique(clean(name));

  #choose(type: BtfType): string {
    switch (type.kind) {
      case 'int':
      case 'float':
        return isBuiltin(type.name) ? type.name : clean(type.name);
      case 'struct':
      case 'union':
        return this.#tag(clean(type.name), type.kind, type.id);
      case 'enum':
      case 'enum64':
        return this.#tag(clean(type.name), 'enum', type.id);
      case 'fwd':
        return this.#tag(clean(type.name), type.of, undefined);
      default:
        return this.#unique(clean(type.name));
    }
  }

  #unique(name: string): string {
    let candidate = name;
    let version = this.#versions.get(name) ?? 2;
    for (; this.#ordinary.has(candidate); version += 1) candidate = `${name}___${version}`;
    if (candidate !== name) this.#versions.set(name, version);
    this.#ordinary.add(candidate);
    return candidate;
  }

  /** A forward declaration shares the name of the definition, whichever comes first. */
  #tag(name: string, kind: string, definedBy: number | undefined): string {
    const key = `${kind}${definedBy === undefined ? ' declared' : ''} ${name}`;
    for (let version = this.#versions.get(key) ?? 1; ; version += 1) {
      const candidate = version === 1 ? name : `${name}___${version}`;
      const taken = this.#tags.get(candidate);
      // What comes before it is of another kind, or defined, and stays so.
      this.#versions.set(key, version);
      if (taken === undefined) {
        this.#tags.set(candidate, { kind, definedBy });
        return candidate;
      }
      if (taken.kind !== kind) continue;
      if (definedBy === undefined) return candidate;
      if (taken.definedBy !== undefined) continue;
      taken.definedBy = definedBy;
      return candidate;
    }
  }
}

function clean(name: string): string {
  if (IDENTIFIER.test(name)) return KEYWORDS.has(name) ? `${name}_` : name;
  return `_${name.replaceAll(/[^A-Za-z0-9_]/g, '_')}`;
}
