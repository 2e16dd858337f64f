export type AgentErrorCode =
  | 'STATE_IN_USE' // another agent runs on this folder
  | 'STATE_MISSING' // the folder holds no identity: enrol first
  | 'STATE_CORRUPT'
  | 'STATE_UNWRITABLE' // the disk does not take what must be on it before the next step
  | 'SPOOL_NO_ROOM' // the disk is down to the reserve that the spool leaves to others
  | 'FACTS_UNREADABLE' // the machine does not say about itself what a server must know
  | 'TOKEN_INVALID'
  | 'ENROL_REFUSED'
  | 'ENROL_INVALID'
  | 'SERVER_INVALID'
  | 'ENROL_EXISTS'
  | 'ENROL_OTHER_FLEET' // the token is of another fleet than the identity that the folder holds
  | 'LINK_DOWN'
  | 'LINK_TIMEOUT'
  | 'FETCH_REFUSED'
  | 'FETCH_SIZE'
  | 'RELEASE_ARCH' // the release has no object for this machine
  | 'MANIFEST_INVALID'
  | 'OBJECT_INVALID'
  | 'PARAM_INVALID'
  | 'BUDGET_MAP_BYTES'
  | 'DEVICE_MEMORY' // more map memory than this machine lets one probe have
  | 'DEVICE_FULL' // of probes: their maps together have what this machine lets them have
  | 'BUDGET_CPU'
  | 'VERIFIER_REFUSED'
  | 'BTF_MISSING' // the kernel shows no types of its own, and nothing stands in for them
  | 'LOAD_FAILED'
  | 'ATTACH_FAILED'
  | 'HOOK_MISSING' // no such function, tracepoint or file here: what is loaded or installed later may bring it
  | 'TARGET_UNTRACEABLE' // the kernel cannot trace the code that a program is for: of another bitness, Thumb, or kept to itself
  | 'KERNEL_DISABLED'
  | 'FEATURE_MISSING' // of those that the probe requires
  | 'BLIND_SPOT' // the kernel takes it, and would then show it nothing
  | 'KERNEL_TOO_OLD' // than the oldest one that tests run on
  | 'LEASE_LAPSED'
  | 'UNCLEAN_BOOTS' // the device went down so often that nothing is attached for now
  | 'ABORTED';

/** What goes wrong in an agent: a stable code that travels to the server, a sentence, and facts. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  constructor(
    readonly code: AgentErrorCode,
    message: string,
    readonly facts: Readonly<Record<string, string | number>> = {},
    readonly log?: string,
  ) {
    super(message);
  }
}
