/**
 * Of the code that finds out each. Count one up with every change after which the same release may come to another word on the same
 * kernel: of `prove` in apps/verifier or in what the lab makes of its report, of `resolve` in libs/btf or in what is made of it.
 * What another version said is on record and does not count, and is found out again.
 */
export const VERDICT_VERSIONS: Readonly<Record<'resolve' | 'prove', number>> = { resolve: 2, prove: 5 };
