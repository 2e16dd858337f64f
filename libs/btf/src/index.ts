export { BtfError, BtfValueError } from './error.js';
export type { BtfErrorCode } from './error.js';
export { Btf } from './types/btf.js';
export { parseBtf } from './types/parse.js';
export { BTF_KINDS } from './types/types.js';
export type {
  ArrayType,
  BtfKind,
  BtfType,
  CompositeType,
  DataSectionType,
  DeclTagType,
  EnumType,
  EnumValue,
  FloatType,
  ForwardType,
  FunctionPrototype,
  FunctionType,
  IntType,
  Member,
  Parameter,
  ReferenceType,
  SectionVariable,
  TypeTagType,
  TypeOfKind,
  VariableType,
  VoidType,
} from './types/types.js';
export { gnuBuildId } from './elf/build-id.js';
export { EM_BPF, parseElf } from './elf/elf.js';
export type { ElfFile, ElfRelocation, ElfSection, ElfSymbol } from './elf/elf.js';
export { moduleInfo } from './elf/module-info.js';
export type { ModuleInfo } from './elf/module-info.js';
export { readElfTable } from './elf/section-table.js';
export type { ElfSectionPlace, ElfTable, ReadAt } from './elf/section-table.js';
export { variablesOf } from './object/globals.js';
export { parseBtfExt } from './object/btf-ext.js';
export type { BtfExt, FunctionInfo, LineInfo } from './object/btf-ext.js';
export { readObject } from './object/object.js';
export type { BpfObjectFile, DataSection, GlobalVariable, MapDefinition, ProgramDefinition } from './object/types.js';
export type { LineTable, SourceLine } from './object/line-table.js';
export type { DataReference } from './object/data-references.js';
export type { CodeTable, FunctionCode, ProgramPart } from './object/code-table.js';
export { RELOCATION_KINDS } from './core/relocation.js';
export type { Relocation, RelocationKind } from './core/relocation.js';
export { resolveCoreRelocations } from './core/resolve.js';
export type {
  CoreResolution,
  RelocationOutcome,
  RelocationTarget,
  ResolvedRelocation,
  ResolveOptions,
} from './core/resolve.js';
export type { Accessor, AccessSpec } from './core/spec.js';
export type { SpecValue } from './core/value.js';
export { essentialName } from './core/names.js';
export { accessLineAt } from './core/access-line.js';
export { findLongReads, findReadMismatches } from './core/read-sizes.js';
export type { ReadMismatch, ReadMismatchKind } from './core/read-sizes.js';
export { kernelTypeNeeds } from './core/kernel-needs.js';
export type { KernelTypeNeeds } from './core/kernel-needs.js';
export { tailorBtf } from './core/tailor.js';
export type { HeaderOptions } from './types/print-header.js';
export { writeBtf } from './types/write.js';
export { patchInstructions } from './core/patch.js';
export type { ConstantData } from './core/patch.js';
export type { PatchedProgram, PatchRefusal, PatchResult } from './core/patch.js';
export type { ArrayElement, Column, ColumnKind } from './layout/column.js';
export { CopyWriter } from './decode/copy-writer.js';
export type { PgType } from './decode/copy-writer.js';
export { columnOf, columnsOf } from './layout/columns.js';
export type { ColumnOptions } from './layout/columns.js';
export { codecOf } from './encode/codec.js';
export type { BtfCodec, BtfValue } from './encode/codec.js';
export { objectDecoder } from './decode/object-decoder.js';
export type { ObjectDecoder } from './decode/object-decoder.js';
export { columnReader, rowDecoder } from './decode/row-decoder.js';
export type { RowDecoder, RowField } from './decode/row-decoder.js';
export { copyEncoder, pgTypeOf } from './decode/copy-encoder.js';
export type { CopyColumn, CopyEncoder } from './decode/copy-encoder.js';
export type { Layout } from './decode/source.js';
