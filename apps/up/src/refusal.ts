/** Something a person can act on, in one sentence; printed without a stack. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code = 'REFUSED';
}
